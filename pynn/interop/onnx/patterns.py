"""Layers that other libraries write as several nodes, found as expressions and read as one node."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .graph import Graph, Node

#: An expression: (operator, operands...), a number, "x" for the input, or "?name" for any number, which gets the name.
Template = tuple[Any, ...] | str | float

_ERF = ("Erf", ("Div", "x", math.sqrt(2)))
_TANHS = [
    ("Add", ("Tanh", ("Mul", ("Add", "x", ("Mul", cube, 0.044715)), math.sqrt(2 / math.pi))), 1.0)
    for cube in (("Pow", "x", 3.0), ("Mul", "x", ("Mul", "x", "x")))
]
_CENTERED = ("Sub", "x", ("ReduceMean", "x"))
_PART = ("Div", "x", "?limit")
_ROOTS = [("Sqrt", ("Add", ("ReduceMean", square), "?epsilon")) for square in (("Mul", "x", "x"), ("Pow", "x", 2.0))]
_THRESHOLD = ("Mul", "x", "?beta")

#: The operator to read instead, and the expression. "SoftLimit" is the compression of `Standardize(limit=)`.
TEMPLATES: tuple[tuple[str, Template], ...] = (
    ("Swish", ("Mul", "x", ("Sigmoid", "x"))),
    ("Relu", ("Max", "x", 0.0)),
    ("Mish", ("Mul", "x", ("Tanh", ("Softplus", "x")))),
    ("HardSwish", ("Mul", "x", ("HardSigmoid", "x"))),
    ("Gelu", ("Mul", ("Mul", "x", ("Add", _ERF, 1.0)), 0.5)),
    ("Gelu", ("Mul", ("Mul", "x", 0.5), ("Add", _ERF, 1.0))),
    *(("Gelu tanh", ("Mul", ("Mul", "x", 0.5), tanh)) for tanh in _TANHS),
    *(("Gelu tanh", ("Mul", ("Mul", "x", tanh), 0.5)) for tanh in _TANHS),
    ("Softsign", ("Div", "x", ("Add", ("Abs", "x"), 1.0))),
    ("LogSigmoid", ("Neg", ("Softplus", ("Neg", "x")))),
    ("LogSigmoid", ("Log", ("Sigmoid", "x"))),
    ("Celu", ("Mul", ("Elu", ("Div", "x", "?alpha")), "?alpha")),
    ("Softplus", ("Where", ("Greater", "x", "?threshold"), "x", ("Softplus", "x"))),
    ("Softplus", ("Where", ("Greater", _THRESHOLD, "?threshold"), "x", ("Softplus", "x"))),
    ("Softplus", ("Div", ("Softplus", _THRESHOLD), "?beta")),
    ("Layer norm", ("Div", _CENTERED, ("Sqrt", ("Add", ("ReduceMean", ("Pow", _CENTERED, 2.0)), "?epsilon")))),
    *(("RMS norm", ("Div", "x", root)) for root in _ROOTS),
    *(("RMS norm", ("Mul", "x", ("Reciprocal", root))) for root in _ROOTS),
    ("Glu", ("Mul", ("Split", "x"), ("Sigmoid", ("Split", "x")))),
    ("SoftLimit", ("Div", "x", ("Sqrt", ("Add", 1.0, ("Mul", _PART, _PART))))),
    ("One minus", ("Concat", ("Sub", 1.0, "x"), "x")),
)
_COMMUTATIVE = ("Add", "Max", "Mul")


@dataclass
class Found:
    """What an expression matched: the input, the numbers by name, and the nodes."""

    x: str | None = None
    numbers: dict[str, float] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)

    def copy(self) -> Found:
        """Return a copy, for an attempt that may fail."""
        return Found(self.x, dict(self.numbers), list(self.nodes))


def fuse(graph: Graph) -> None:
    """Replace the last node of every expression that is one layer; the others are no longer needed."""
    makers = {name: node for node in graph.nodes for name in node.outputs}
    by_root: dict[str, list[tuple[str, Template]]] = {}
    for name, template in TEMPLATES:
        by_root.setdefault(template[0], []).append((name, template))  # type: ignore[index]
    for index, node in enumerate(graph.nodes):
        for name, template in by_root.get(node.op, ()):
            found = _match(template, node.outputs[0], makers, graph.constants, Found())
            if found is not None and found.x is not None:
                made = _FUSED.get(name, _plain)(name, node, found, graph)
                if made is not None:
                    graph.nodes[index] = made
                    makers[made.outputs[0]] = made
                    break


def _match(
    template: Template, value: str, makers: Mapping[str, Node], constants: Mapping[str, np.ndarray], found: Found
) -> Found | None:
    """Return `found` with what a value adds to it, or None if it is not the expression."""
    if isinstance(template, str) and template == "x":
        if value in constants or found.x not in (None, value):
            return None
        found.x = value
        return found
    if isinstance(template, str | float):
        return _match_number(template, value, constants, found)
    node = makers.get(value)
    if node is None or node.op != template[0] or len([name for name in node.inputs if name]) < len(template) - 1:
        return None
    found.nodes.append(node)
    orders = [node.inputs, node.inputs[::-1]] if node.op in _COMMUTATIVE else [node.inputs]
    for order in orders:
        attempt: Found | None = found.copy()
        for part, name in zip(template[1:], order, strict=False):
            attempt = None if attempt is None else _match(part, name, makers, constants, attempt)
        if attempt is not None:
            return attempt
    return None


def _match_number(template: str | float, value: str, constants: Mapping[str, np.ndarray], found: Found) -> Found | None:
    array = constants.get(value)
    if array is None or array.size != 1 or array.dtype.kind not in "fiu":
        return None
    number = float(array.reshape(-1)[0])
    wanted = found.numbers.setdefault(template, number) if isinstance(template, str) else template
    return found if math.isclose(number, wanted, rel_tol=1e-4) else None


def _plain(name: str, node: Node, found: Found, graph: Graph) -> Node | None:
    """Return the one node of an expression."""
    assert found.x is not None
    attributes: dict[str, Any] = {key.removeprefix("?"): number for key, number in found.numbers.items()}
    return Node(name, node.name, [found.x], node.outputs[:1], attributes, node.opset)


def _gelu_tanh(name: str, node: Node, found: Found, graph: Graph) -> Node | None:
    assert found.x is not None
    return Node("Gelu", node.name, [found.x], node.outputs[:1], {"approximate": "tanh"}, node.opset)


def _hard_swish(name: str, node: Node, found: Found, graph: Graph) -> Node | None:
    (inner,) = (part for part in found.nodes if part.op == "HardSigmoid")
    usual = math.isclose(inner.get("alpha", 0.2), 1 / 6, rel_tol=1e-4) and inner.get("beta", 0.5) == 0.5
    return _plain(name, node, found, graph) if usual else None


def _softplus(name: str, node: Node, found: Found, graph: Graph) -> Node | None:
    # Above a threshold PyTorch returns x, which equals softplus(x) to rounding from 20 on.
    inner = next(part for part in found.nodes if part.op == "Softplus")
    beta = found.numbers.setdefault("?beta", inner.get("beta", 1.0))
    usual = found.numbers.get("?threshold", 20) >= 20 and inner.get("beta", beta) == beta
    return _plain(name, node, found, graph) if usual else None


def _over_last(name: str, node: Node, found: Found, graph: Graph) -> Node | None:
    """Return a norm whose means are over the last dimensions, which stay, of size 1."""
    axes = set()
    for part in found.nodes:
        if part.op == "ReduceMean":
            given = graph.constants.get(part.inputs[1]) if len(part.inputs) > 1 else part.get("axes")
            stays = part.get("keepdims", 1)
            axes.add(tuple(sorted(int(axis) for axis in given)) if stays and given is not None else None)
    (over,) = axes if len(axes) == 1 else (None,)
    if over is None or over != tuple(range(-len(over), 0)):
        return None
    made = _plain({"Layer norm": "LayerNormalization", "RMS norm": "RMSNormalization"}[name], node, found, graph)
    assert made is not None
    made.attributes["axis"] = over[0]
    return made


def _glu(name: str, node: Node, found: Found, graph: Graph) -> Node | None:
    (gate,) = (part for part in found.nodes if part.op == "Sigmoid")
    parts = {part.outputs[0]: part for part in found.nodes if part.op == "Split"}
    (split,) = parts.values() if len(parts) == 1 else (None,)
    if split is None or [gate.inputs[0], *(set(node.inputs) - {gate.outputs[0]})] != split.outputs[::-1]:
        return None
    sizes = graph.constants.get(split.inputs[1]) if len(split.inputs) > 1 else split.get("split")
    if sizes is not None and len(set(np.asarray(sizes).tolist())) != 1:
        return None
    return Node(name, node.name, split.inputs[:1], node.outputs, {"axis": split.get("axis", 0)}, node.opset)


_FUSED: dict[str, Callable[[str, Node, Found, Graph], Node | None]] = {
    "Gelu tanh": _gelu_tanh,
    "Glu": _glu,
    "HardSwish": _hard_swish,
    "Layer norm": _over_last,
    "RMS norm": _over_last,
    "Softplus": _softplus,
}
