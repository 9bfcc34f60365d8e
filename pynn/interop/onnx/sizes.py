"""Shapes that a graph computes from shapes, as PyTorch writes ``x.view(x.size(0), -1)``."""

from __future__ import annotations

import math

import numpy as np

from .errors import UnsupportedError
from .graph import Graph, Node
from .operators import OPERATORS
from .reading import Reading, Shape, unknown_shape

#: Stand for the number of examples, and for a size that is not known, where sizes are only moved.
BATCH, UNKNOWN = -(2**40), -(2**41)
#: What moves sizes.
MOVES = frozenset({"Cast", "Concat", "Gather", "Identity", "Reshape", "Slice", "Squeeze", "Unsqueeze"})
#: More sizes than this are no shape.
MOST = 64


def split_off(graph: Graph) -> dict[str, Node]:
    """Remove the nodes that compute shapes from the graph, and return them by their outputs."""
    found: dict[str, Node] = {}
    rest = []
    for node in graph.nodes:
        open_inputs = [name for name in node.inputs if name and name not in graph.constants]
        moves = node.op in MOVES and open_inputs and all(name in found for name in open_inputs)
        if node.op == "Shape" or moves:
            found[node.outputs[0]] = node
        else:
            rest.append(node)
    graph.nodes = rest
    return found


class Sizes:
    """Evaluates shapes with the sizes that are known."""

    def __init__(self, nodes: dict[str, Node], read: Reading) -> None:
        self.nodes = nodes
        self.read = read
        self._known: dict[str, np.ndarray] = {}

    def wanted(self, node: Node) -> tuple[int | None, ...]:
        """Return the shape that a Reshape gives, the first size being that of the batch; None where unknown.

        Raises
        ------
        UnsupportedError
            If it may not keep the examples apart.
        """
        shape = self.read.shape(node)
        given = node.get("shape") if len(node.inputs) < 2 else self._value(node.inputs[1]).reshape(-1).tolist()
        if shape is None or not given:
            raise unknown_shape(node)
        features = None if None in shape[1:] else math.prod(shape[1:])  # type: ignore[arg-type]
        sizes = [self._size(node, shape, k, size) for k, size in enumerate(given)]
        first, rest = sizes[0], sizes[1:]
        filled = _filled(rest, features)
        keeps = first == BATCH or (first == -1 and features is not None and math.prod(rest) == features)
        if not keeps or (features is not None and UNKNOWN not in filled and math.prod(filled) != features):
            message = f"{node} gives an input of shape {shape} the shape {tuple(given)}"
            raise UnsupportedError(f"{message}; expected the batch first")
        return (None, *(None if size == UNKNOWN else size for size in filled))

    def images(self, node: Node, index: int) -> tuple[int, int]:
        """Return height and width of an input that is a shape of images, the batch and the channels being kept."""
        shape, given = self.read.shape(node), self._value(node.inputs[index] if index < len(node.inputs) else "")
        sizes = given.reshape(-1).tolist()
        kept = len(sizes) == 4 and shape is not None and sizes[0] in (BATCH, self.read.batch) and sizes[1] == shape[1]
        if not kept or min(sizes[2:]) < 1:
            raise UnsupportedError(f"{node} gives images of shape {shape} the shape {sizes}; expected other images")
        return sizes[2], sizes[3]

    def _size(self, node: Node, shape: tuple[int | None, ...], k: int, size: int) -> int:
        if size == 0 and not node.get("allowzero", 0) and k < len(shape):
            return BATCH if k == 0 else UNKNOWN if shape[k] is None else shape[k]  # type: ignore[return-value]
        return BATCH if k == 0 and size == self.read.batch else size

    def _value(self, name: str) -> np.ndarray:
        if name in self.read.constants:
            return self.read.constants[name]
        if name not in self._known:
            node = self.nodes.get(name)
            if node is None:
                raise UnsupportedError(f"the shape {name!r} depends on data")
            if node.op == "Shape":
                value = self._shape(node)
            else:
                value = OPERATORS[node.op](node, *(self._value(given) if given else None for given in node.inputs))
            if value.size > MOST:
                raise UnsupportedError(f"{node} gives {value.size} numbers; expected a shape")
            self._known[name] = value
        return self._known[name]

    def _shape(self, node: Node) -> np.ndarray:
        shape: Shape = self.read.shapes.get(node.inputs[0])
        if shape is None:
            raise unknown_shape(node)
        sizes = [BATCH, *(UNKNOWN if size is None else size for size in shape[1:])]
        return np.array(sizes[slice(node.get("start", 0), node.get("end"))], np.int64)


def _filled(rest: list[int], features: int | None) -> list[int]:
    """Return sizes with what -1 stands for."""
    if rest.count(-1) != 1:
        return rest
    others = math.prod(size for size in rest if size != -1)
    known = features is not None and UNKNOWN not in rest and others > 0 and features % others == 0
    return [(features // others if known else UNKNOWN) if size == -1 else size for size in rest]  # type: ignore[operator]
