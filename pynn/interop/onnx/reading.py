"""State of reading the nodes of a graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .drafts import Step
from .errors import UnsupportedError
from .graph import Graph, Node

#: Sizes of a batch, the first of them that of examples; None where unknown.
Shape = tuple[int | None, ...] | None


class Reading:
    """State of reading a graph: the constants, and the shapes of the values read so far.

    Attributes
    ----------
    batch : int or None
        The number of examples for which the graph was made, if it is fixed.
    """

    def __init__(self, graph: Graph) -> None:
        self.constants = graph.constants
        self.shapes: dict[str, Shape] = {value.name: value.shape for value in graph.inputs}
        first = graph.inputs[0].shape if graph.inputs else None
        self.batch = first[0] if first else None
        self.consumers: dict[str, list[Node]] = {}
        #: The last of the nodes of which the layer just read is made.
        self.reached: Node | None = None

    def following(self, node: Node, op: str) -> Node | None:
        """Return the only node that uses a node's output, if it has that operator."""
        users = self.consumers.get(node.outputs[0], [])
        return users[0] if len(users) == 1 and users[0].op == op else None

    def array(self, node: Node, index: int) -> np.ndarray:
        """Return an input that must be a constant."""
        name = node.inputs[index] if index < len(node.inputs) else ""
        if name not in self.constants:
            raise UnsupportedError(f"{node} needs its input {index} to be a constant")
        return self.constants[name]

    def optional(self, node: Node, index: int, attribute: str | None = None, default: Any = None) -> Any:
        """Return an input that may be absent, or an attribute in its place."""
        if index < len(node.inputs) and node.inputs[index]:
            return self.array(node, index)
        return node.get(attribute, default) if attribute else default

    def shape(self, node: Node) -> Shape:
        """Return the shape of a node's first input that is no constant."""
        return next((self.shapes.get(name) for name in node.inputs if name not in self.constants), None)

    def known_shape(self, node: Node) -> tuple[int | None, ...]:
        """Return that shape, or raise UnsupportedError if not even the number of dimensions is known."""
        shape = self.shape(node)
        if shape is None:
            raise unknown_shape(node)
        return shape

    def rank(self, node: Node) -> int:
        """Return the number of its dimensions."""
        return len(self.known_shape(node))


def unknown_shape(node: Node) -> UnsupportedError:
    """Return the error of a node that can only be read for an input of known shape."""
    return UnsupportedError(f"{node} has an input of unknown shape; export the model with its input's shape")


#: Reads a node; returns the layer, or None if there is nothing to do, and the shape of the output.
Reader = Callable[[Reading, Node], tuple[Step | None, Shape]]


def floats(node: Node, array: np.ndarray) -> np.ndarray:
    """Return weights, or raise UnsupportedError unless they are float32 or float64."""
    if array.dtype not in (np.float32, np.float64):
        raise UnsupportedError(f"{node} has weights of {array.dtype}; expected float32 or float64")
    return array
