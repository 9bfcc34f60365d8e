"""Constants, shapes, and the moving of elements, by NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import UnsupportedError
from ..graph import DTYPES, Node
from .limits import affordable


def _integers(node: Node, attribute: str, given: np.ndarray | None) -> list[int] | None:
    """Return integers that are an input or, in earlier versions, an attribute."""
    values = node.get(attribute) if given is None else given
    return None if values is None else [int(value) for value in values]


def _constant(node: Node) -> np.ndarray:
    for name, dtype in (("value_float", "f4"), ("value_int", "i8"), ("value_floats", "f4"), ("value_ints", "i8")):
        if name in node.attributes:
            return np.array(node.get(name), dtype)
    if "value" not in node.attributes:
        raise UnsupportedError(f"{node} has the attributes {sorted(node.attributes)}; expected value")
    return np.asarray(node.get("value"))


def _constant_of_shape(node: Node, shape: np.ndarray) -> np.ndarray:
    value = node.get("value", np.zeros(1, np.float32))
    return np.full(affordable(node, shape), value.reshape(-1)[0], value.dtype)


def reshaped(node: Node, shape: tuple[int, ...], wanted: list[int]) -> list[int]:
    """Return the sizes that Reshape gives: 0 keeps a size, -1 is what remains."""
    if not node.get("allowzero", 0):
        wanted = [shape[k] if size == 0 else size for k, size in enumerate(wanted)]
    return wanted


def _reshape(node: Node, x: np.ndarray, shape: np.ndarray | None = None) -> np.ndarray:
    return x.reshape(reshaped(node, x.shape, _integers(node, "shape", shape) or []))


def _flatten(node: Node, x: np.ndarray) -> np.ndarray:
    axis = node.get("axis", 1)
    rows = math.prod(x.shape[:axis])  # a negative axis counts from the end, as in a slice
    return x.reshape(rows, math.prod(x.shape[axis:]) if axis else x.size)


def _transpose(node: Node, x: np.ndarray) -> np.ndarray:
    return x.transpose(node.get("perm"))


def _squeeze(node: Node, x: np.ndarray, axes: np.ndarray | None = None) -> np.ndarray:
    given = _integers(node, "axes", axes)
    return x.squeeze(None if given is None else tuple(given))


def _unsqueeze(node: Node, x: np.ndarray, axes: np.ndarray | None = None) -> np.ndarray:
    return np.expand_dims(x, tuple(_integers(node, "axes", axes) or ()))


def _concat(node: Node, *arrays: np.ndarray) -> np.ndarray:
    return np.concatenate(arrays, node.get("axis", 1))


def _split(node: Node, x: np.ndarray, sizes: np.ndarray | None = None) -> tuple[np.ndarray, ...]:
    axis, given = node.get("axis", 0), _integers(node, "split", sizes)
    if given is None:
        size = -(-x.shape[axis] // node.get("num_outputs", len(node.outputs)))
        stops = [size * (k + 1) for k in range(len(node.outputs) - 1)]
    else:
        stops = np.cumsum(given)[:-1].tolist()
    return tuple(np.split(x, stops, axis))


def _slice(
    node: Node,
    x: np.ndarray,
    starts: np.ndarray | None = None,
    ends: np.ndarray | None = None,
    axes: np.ndarray | None = None,
    steps: np.ndarray | None = None,
) -> np.ndarray:
    first, last = _integers(node, "starts", starts) or [], _integers(node, "ends", ends) or []
    over = _integers(node, "axes", axes) or list(range(len(first)))
    strides = _integers(node, "steps", steps) or [1] * len(first)
    parts = [slice(None)] * x.ndim
    for axis, start, end, step in zip(over, first, last, strides, strict=True):
        # Going backwards, an end before the first element is no count from the last one.
        stop = None if step < 0 and end < -x.shape[axis] else end
        parts[axis] = slice(start, stop, step)
    return x[tuple(parts)]


def _gather(node: Node, x: np.ndarray, places: np.ndarray) -> np.ndarray:
    return np.take(x, places, node.get("axis", 0))


def _gather_elements(node: Node, x: np.ndarray, places: np.ndarray) -> np.ndarray:
    axis = node.get("axis", 0)
    return np.take_along_axis(x, np.where(places < 0, places + x.shape[axis], places), axis)


def _expand(node: Node, x: np.ndarray, shape: np.ndarray) -> np.ndarray:
    wanted = np.broadcast_shapes(x.shape, tuple(affordable(node, shape)))
    return np.broadcast_to(x, affordable(node, wanted)).copy()


def _tile(node: Node, x: np.ndarray, repeats: np.ndarray) -> np.ndarray:
    counts = [int(count) for count in repeats]
    affordable(node, (n * count for n, count in zip(x.shape, counts, strict=True)))
    return np.tile(x, counts)


def _pad(
    node: Node,
    x: np.ndarray,
    pads: np.ndarray | None = None,
    value: np.ndarray | None = None,
    axes: np.ndarray | None = None,
) -> np.ndarray:
    given = _integers(node, "pads", pads) or []
    over = list(range(x.ndim)) if axes is None else [int(axis) for axis in axes]
    borders = [(0, 0)] * x.ndim
    for axis, before, after in zip(over, given[: len(over)], given[len(over) :], strict=True):
        borders[axis] = (before, after)
    cut = tuple(slice(max(0, -b), n - max(0, -a)) for (b, a), n in zip(borders, x.shape, strict=True))
    borders = [(max(0, b), max(0, a)) for b, a in borders]
    affordable(node, (n + b + a for n, (b, a) in zip(x[cut].shape, borders, strict=True)))
    mode = node.get("mode", "constant")
    if mode != "constant":
        return np.pad(x[cut], borders, mode)
    filling = node.get("value", 0.0) if value is None or value.size == 0 else value.reshape(-1)[0]
    return np.pad(x[cut], borders, constant_values=filling)


def _center_crop_pad(node: Node, x: np.ndarray, shape: np.ndarray) -> np.ndarray:
    axes = node.get("axes") or range(x.ndim)
    wanted = list(x.shape)
    for axis, size in zip(axes, shape.tolist(), strict=True):
        wanted[axis] = size
    y = np.zeros(affordable(node, wanted), x.dtype)
    taken, put = [], []
    for old, new in zip(x.shape, wanted, strict=True):
        size = min(old, new)
        taken.append(slice((old - size) // 2, (old - size) // 2 + size))
        put.append(slice((new - size) // 2, (new - size) // 2 + size))
    y[tuple(put)] = x[tuple(taken)]
    return y


def _range(node: Node, start: np.ndarray, limit: np.ndarray, delta: np.ndarray) -> np.ndarray:
    first, last, step = (array.item() for array in (start, limit, delta))
    affordable(node, [max(0, math.ceil((last - first) / step))])
    return np.arange(first, last, step, dtype=start.dtype)


def _shape(node: Node, x: np.ndarray) -> np.ndarray:
    return np.array(x.shape[slice(node.get("start", 0), node.get("end"))], np.int64)


def _one_hot(node: Node, places: np.ndarray, depth: np.ndarray, values: np.ndarray) -> np.ndarray:
    count, axis = int(depth.reshape(-1)[0]), node.get("axis", -1)
    affordable(node, [*places.shape, count])
    wrapped = np.where(places < 0, places + count, places).astype(np.int64)
    hot = np.expand_dims(wrapped, axis)
    steps = np.arange(count).reshape([-1 if k == axis % hot.ndim else 1 for k in range(hot.ndim)])
    return np.where(hot == steps, values[1], values[0]).astype(values.dtype)


def _trilu(node: Node, x: np.ndarray, k: np.ndarray | None = None) -> np.ndarray:
    offset = 0 if k is None else int(k)
    rows, columns = np.ogrid[: x.shape[-2], : x.shape[-1]]
    kept = columns - rows >= offset if node.get("upper", 1) else columns - rows <= offset
    return np.where(kept, x, x.dtype.type(0))


def _depth_to_space(node: Node, x: np.ndarray) -> np.ndarray:
    n, channels, height, width = x.shape
    size = node.get("blocksize")
    inner = channels // size**2
    if node.get("mode", "DCR") == "DCR":
        y = x.reshape(n, size, size, inner, height, width).transpose(0, 3, 4, 1, 5, 2)
    else:
        y = x.reshape(n, inner, size, size, height, width).transpose(0, 1, 4, 2, 5, 3)
    return y.reshape(n, inner, height * size, width * size)


def _space_to_depth(node: Node, x: np.ndarray) -> np.ndarray:
    n, channels, height, width = x.shape
    size = node.get("blocksize")
    y = x.reshape(n, channels, height // size, size, width // size, size)
    order = (0, 3, 5, 1, 2, 4) if node.get("mode", "DCR") == "DCR" else (0, 1, 3, 5, 2, 4)
    return y.transpose(order).reshape(n, channels * size**2, height // size, width // size)


def _eye_like(node: Node, x: np.ndarray) -> np.ndarray:
    dtype = DTYPES.get(node.get("dtype")) if "dtype" in node.attributes else x.dtype
    rows, columns = x.shape
    return np.eye(rows, columns, node.get("k", 0)).astype(dtype)


OPERATORS: dict[str, Callable[..., Any]] = {
    "CenterCropPad": _center_crop_pad,
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "DepthToSpace": _depth_to_space,
    "Expand": _expand,
    "EyeLike": _eye_like,
    "Flatten": _flatten,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "Identity": lambda node, x: x,
    "OneHot": _one_hot,
    "Pad": _pad,
    "Range": _range,
    "Reshape": _reshape,
    "Shape": _shape,
    "Size": lambda node, x: np.array(x.size, np.int64),
    "Slice": _slice,
    "SpaceToDepth": _space_to_depth,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Trilu": _trilu,
    "Unsqueeze": _unsqueeze,
}
