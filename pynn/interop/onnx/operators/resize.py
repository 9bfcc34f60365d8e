"""Resizing: along each dimension, every element of the output is a weighted sum of a few of the input's."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..errors import UnsupportedError
from ..graph import Node
from .limits import affordable, dimension


class Line(NamedTuple):
    """How one dimension is resized: its sizes, the factor between them, and the part of the input that is taken."""

    size: int
    wanted: int
    scale: float
    start: float
    stop: float


def _places(how: str, line: Line) -> np.ndarray:
    """Return where the elements of the output lie in the input."""
    n, count, scale, start, stop = line
    length, k = scale * n, np.arange(count, dtype=np.float64)
    if how == "align_corners":
        return k * ((n - 1) / (length - 1) if length != 1 else 0)
    if how == "asymmetric":
        return k / scale
    if how == "tf_crop_and_resize":
        if length == 1:
            return np.full(count, (start + stop) * (n - 1) / 2)
        return k * ((stop - start) * (n - 1) / (length - 1)) + start * (n - 1)
    places = (k + 0.5) / scale - 0.5
    if how == "half_pixel_symmetric":
        return places + n / 2 * (1 - count / length)
    if how == "pytorch_half_pixel" and length == 1:
        return np.full(count, -0.5)
    return places


def _linear(distance: np.ndarray) -> np.ndarray:
    return np.clip(1 - np.abs(distance), 0, 1)


def _cubic(a: float) -> Callable[[np.ndarray], np.ndarray]:
    """Return the kernel of cubic convolution (Keys 1981), a polynomial in |distance| on each of [0, 1] and [1, 2]."""

    def kernel(distance: np.ndarray) -> np.ndarray:
        d = np.abs(distance)
        inner = ((a + 2) * d - (a + 3)) * d * d + 1
        outer = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        return np.where(d <= 1, inner, np.where(d < 2, outer, 0))

    return kernel


def _nearest(how: str, beyond: np.ndarray) -> np.ndarray:
    """Return the weights of the elements before and after places that are so far beyond the first, in (0, 1]."""
    second = {
        "floor": beyond == 1,
        "ceil": beyond > 0,
        "round_prefer_floor": beyond > 0.5,
        "round_prefer_ceil": beyond >= 0.5,
    }[how]
    return np.stack([~second, second], axis=1).astype(np.float64)


def _taps(node: Node, line: Line, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which elements each place takes, (wanted, taps), possibly beyond the ends, and their weights."""
    mode = node.get("mode", "nearest")
    first = np.ceil(places) - 1  # the element before a place, also before one that lies on an element
    beyond = places - first
    if mode == "nearest":
        how = node.get("nearest_mode", "round_prefer_floor") if node.opset > 10 else "floor"
        return first[:, None] + [0, 1], _nearest(how, beyond)
    if mode not in ("linear", "cubic"):
        raise UnsupportedError(f"{node} has mode {mode!r}; expected nearest, linear or cubic")
    shrunk = min(line.scale, 1.0) if node.get("antialias", 0) else 1.0
    begin = math.floor(-(1 if mode == "linear" else 2) / shrunk) + 1
    offsets = np.arange(begin, 2 - begin)
    kernel = _linear if mode == "linear" else _cubic(node.get("cubic_coeff_a", -0.75))
    weights = kernel((offsets - beyond[:, None]) * shrunk)
    return first[:, None] + offsets, weights / weights.sum(axis=1, keepdims=True)


def _along(node: Node, x: np.ndarray, axis: int, line: Line) -> np.ndarray:
    """Return x with one dimension resized."""
    how = node.get("coordinate_transformation_mode", "half_pixel") if node.opset > 10 else "asymmetric"
    places = _places(how, line)
    taken, weights = _taps(node, line, places)
    if node.get("exclude_outside", 0):
        weights = np.where((taken < 0) | (taken >= line.size), 0, weights)
        weights /= weights.sum(axis=1, keepdims=True)
    taken = np.clip(taken, 0, line.size - 1).astype(np.intp)
    shape = [-1 if k == axis else 1 for k in range(x.ndim)]
    y = np.zeros((*x.shape[:axis], line.wanted, *x.shape[axis + 1 :]))
    for tap in range(taken.shape[1]):
        y += np.take(x, taken[:, tap], axis) * weights[:, tap].reshape(shape)
    if how == "tf_crop_and_resize":
        outside = (places < 0) | (places > line.size - 1)
        y = np.where(outside.reshape(shape), node.get("extrapolation_value", 0.0), y)
    return y


def _lines(node: Node, x: np.ndarray, roi: Any, scales: Any, sizes: Any) -> dict[int, Line]:
    """Return how the dimensions are resized."""
    axes = [dimension(node, axis, x.ndim) for axis in node.get("axes") or range(x.ndim)]
    old = [x.shape[axis] for axis in axes]
    if scales is not None and len(scales):
        factors = [float(scale) for scale in scales]
        new = [math.floor(n * factor) for n, factor in zip(old, factors, strict=True)]
    elif sizes is not None:
        new = [int(size) for size in sizes]
        factors = [size / n for size, n in zip(new, old, strict=True)]
        policy = node.get("keep_aspect_ratio_policy", "stretch")
        if policy != "stretch":
            factors = [{"not_larger": min, "not_smaller": max}[policy](factors)] * len(axes)
            new = [math.floor(n * factor + 0.5) for n, factor in zip(old, factors, strict=True)]
    else:
        raise UnsupportedError(f"{node} has neither scales nor sizes")
    part = [0.0] * len(axes) + [1.0] * len(axes) if roi is None or not len(roi) else [float(end) for end in roi]
    made = map(Line, old, new, factors, part[: len(axes)], part[len(axes) :])
    return dict(zip(axes, made, strict=True))


def _resize(node: Node, x: np.ndarray, *given: np.ndarray | None) -> np.ndarray:
    roi, scales, sizes = (*(given if node.opset > 10 else (None, *given)), None, None, None)[:3]
    lines = _lines(node, x, roi, scales, sizes)
    affordable(node, (lines[axis].wanted if axis in lines else n for axis, n in enumerate(x.shape)))
    y = x.astype(np.float64)
    for axis, line in lines.items():
        if (line.size, line.scale, line.start, line.stop) != (line.wanted, 1.0, 0.0, 1.0):
            y = _along(node, y, axis, line)
    if x.dtype.kind in "iu":
        limits = np.iinfo(x.dtype)
        y = np.clip(np.round(y), limits.min, limits.max)
    return y.astype(x.dtype)


def _upsample(node: Node, x: np.ndarray, scales: np.ndarray | None = None) -> np.ndarray:
    """Compute what Resize of opset 10 does, which replaced it."""
    return _resize(node, x, np.asarray(node.get("scales")) if scales is None else scales)


OPERATORS: dict[str, Callable[..., Any]] = {"Resize": _resize, "Upsample": _upsample}
