"""How preprocessing is written as nodes of ONNX: in float64, as pynn computes it."""

from __future__ import annotations

import numpy as np

from ... import preprocessing as pre
from ...preprocessing.decorrelate import Decorrelation
from ...preprocessing.scaling import ShiftScale
from .building import Builder, Tensor


def write_transform(graph: Builder, transformer: pre.Transformer, x: Tensor, name: str) -> Tensor:
    """Add the nodes of a fitted transformer and return its output, in the dtype of its input.

    Raises
    ------
    TypeError
        If the transformer is of the user's own kind.
    NotFittedError
        If it has not been fitted.
    """
    if isinstance(transformer, pre.Pipeline):
        for index, step in enumerate(transformer.steps):
            x = write_transform(graph, step, x, f"{name}.{index}")
        return x
    after = transformer.transform(x.example)
    graph.scope, dtype = name, x.example.dtype
    double = x.name if dtype == np.float64 else graph.cast(x.name, np.float64)
    if isinstance(transformer, ShiftScale):
        y = _shift_scale(graph, transformer, double)
    elif isinstance(transformer, Decorrelation):
        y = _decorrelation(graph, transformer, double, after.shape[1:])
    else:
        raise TypeError(f"{name} is a {type(transformer).__name__}, which has no counterpart in ONNX")
    return Tensor(y if dtype == np.float64 else graph.cast(y, dtype), after)


def _shift_scale(graph: Builder, transformer: ShiftScale, x: str) -> str:
    shift, scale = transformer.shift_scale()
    y = graph.add("Sub", x, graph.constant(shift, "shift"))
    if scale is not None:
        y = graph.add("Div", y, graph.constant(scale, "scale"))
    if transformer.offset():
        y = graph.add("Add", y, graph.constant(transformer.offset(), "offset"))
    if isinstance(transformer, pre.MinMax) and transformer.clip:
        low, high = transformer.feature_range
        y = graph.add("Clip", y, graph.constant(np.float64(low), "low"), graph.constant(np.float64(high), "high"))
    limit = getattr(transformer, "limit", None)
    if limit is not None:
        y = graph.add("Div", y, _root(graph, y, limit, "Add"))
    return y


def _root(graph: Builder, y: str, limit: float, op: str) -> str:
    """Add sqrt(1 + (y / limit)^2), or with "Sub" sqrt(1 - (y / limit)^2)."""
    part = graph.add("Div", y, graph.constant(np.float64(limit), "limit"))
    one = graph.constant(np.float64(1), "one")
    inside = graph.add(op, one, graph.add("Mul", part, part))
    if op == "Sub":
        inside = graph.add("Max", inside, graph.constant(np.float64(0), "zero"))
    return graph.add("Sqrt", inside)


def _decorrelation(graph: Builder, transformer: Decorrelation, x: str, shape: tuple[int, ...]) -> str:
    if transformer.mean_.ndim > 1:
        x = graph.add("Flatten", x)
    centered = graph.add("Sub", x, graph.constant(transformer.mean_.reshape(-1), "mean"))
    y = graph.add("MatMul", centered, graph.constant(transformer.matrix(), "matrix"))
    return y if len(shape) == 1 else graph.reshape(y, 0, *shape)


def write_inverse(graph: Builder, transformer: pre.Transformer, x: Tensor, name: str) -> Tensor:
    """Add the nodes of a transformer's `inverse_transform`, in float64; errors are those of `write_transform`."""
    if isinstance(transformer, pre.Pipeline):
        for index, step in reversed(list(enumerate(transformer.steps))):
            x = write_inverse(graph, step, x, f"{name}.{index}")
        return x
    after = transformer.inverse_transform(x.example.astype(np.float64))
    graph.scope = name
    y = x.name if x.example.dtype == np.float64 else graph.cast(x.name, np.float64)
    if isinstance(transformer, ShiftScale):
        return Tensor(_inverse_shift_scale(graph, transformer, y), after)
    if isinstance(transformer, Decorrelation):
        flat = graph.add("Flatten", y)
        y = graph.add("MatMul", flat, graph.constant(transformer.inverse_matrix(), "matrix"))
        y = graph.add("Add", y, graph.constant(transformer.mean_.reshape(-1), "mean"))
        return Tensor(y if after.ndim == 2 else graph.reshape(y, 0, *after.shape[1:]), after)
    raise TypeError(f"{name} is a {type(transformer).__name__}, which has no counterpart in ONNX")


def _inverse_shift_scale(graph: Builder, transformer: ShiftScale, y: str) -> str:
    limit = getattr(transformer, "limit", None)
    if limit is not None:
        y = graph.add("Div", y, _root(graph, y, limit, "Sub"))
    shift, scale = transformer.shift_scale()
    if transformer.offset():
        y = graph.add("Sub", y, graph.constant(transformer.offset(), "offset"))
    if scale is not None:
        y = graph.add("Mul", y, graph.constant(scale, "scale"))
    return graph.add("Add", y, graph.constant(shift, "shift"))
