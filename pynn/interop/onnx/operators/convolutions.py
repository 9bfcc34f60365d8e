"""Convolution and pooling of sequences and images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .... import ops
from ..errors import UnsupportedError
from ..graph import Node
from .floats import computed
from .limits import affordable, check_windows


def _images(node: Node, *arrays: np.ndarray | None) -> list[Any]:
    """Return sequences as images of one row."""
    x = arrays[0]
    if x is None or x.ndim not in (3, 4):
        shape = None if x is None else x.shape
        raise UnsupportedError(f"{node} has an input of shape {shape}; expected sequences or images")
    return [None if a is None else a[:, :, None] if a.ndim == 3 else a for a in arrays]


class Windows:
    """The attributes of windows, as pairs for rows and columns; sequences have one row."""

    def __init__(self, node: Node, kernel: list[int], size: tuple[int, ...]) -> None:
        check_windows(node, kernel)
        self.rank = len(kernel)
        self.kernel = self._pair(kernel, 1)
        self.stride = self._pair(node.get("strides") or [1] * self.rank, 1)
        self.dilation = self._pair(node.get("dilations") or [1] * self.rank, 1)
        pads = list(node.get("pads") or [0] * 2 * self.rank)
        self.before, self.after = self._pair(pads[: self.rank], 0), self._pair(pads[self.rank :], 0)
        self.size = size
        self.node = node
        how = node.get("auto_pad", "NOTSET")
        if how not in ("NOTSET", "VALID"):
            self._same(lower=how == "SAME_LOWER")

    def _pair(self, values: list[int], filling: int) -> tuple[int, int]:
        first, second = (filling, *values)[-2:]
        return int(first), int(second)

    def _same(self, lower: bool) -> None:
        """Pad so that there are ceil(size / stride) windows."""
        total = [
            max(0, (-(-n // s) - 1) * s + r - n) for n, s, r in zip(self.size, self.stride, self.reach, strict=True)
        ]
        small, large = [t // 2 for t in total], [t - t // 2 for t in total]
        before, after = (large, small) if lower else (small, large)
        self.before, self.after = (before[0], before[1]), (after[0], after[1])

    @property
    def reach(self) -> tuple[int, int]:
        """What a window spans."""
        rows, columns = ((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True))
        return rows, columns

    def beyond(self) -> tuple[int, int]:
        """Return how far, with ceil_mode, the last windows reach beyond the padding."""
        more = [0, 0]
        for axis in range(2):
            size, stride, before = self.size[axis], self.stride[axis], self.before[axis]
            length = size + before + self.after[axis]
            count = -(-(length - self.reach[axis]) // stride) + 1
            if (count - 1) * stride >= size + before:  # it would begin in the padding
                count -= 1
            more[axis] = max(0, (count - 1) * stride + self.reach[axis] - length)
        return more[0], more[1]

    def check(self, x: np.ndarray, beyond: tuple[int, int] = (0, 0)) -> None:
        """Raise ValueError if images with their borders are too large."""
        borders = zip(x.shape[2:], self.before, self.after, beyond, strict=True)
        affordable(self.node, (*x.shape[:2], *(sum(sizes) for sizes in borders)))

    def pad(self, x: np.ndarray, value: float, beyond: tuple[int, int] = (0, 0)) -> np.ndarray:
        """Return images with their borders."""
        if not any((*self.before, *self.after, *beyond)):
            return x
        self.check(x, beyond)
        ends = [a + b for a, b in zip(self.after, beyond, strict=True)]
        return np.pad(x, [(0, 0), (0, 0), *zip(self.before, ends, strict=True)], constant_values=value)


def _conv(node: Node, x: np.ndarray, w: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    a, b = _images(node, x, w)
    a, b, added = computed(node, a, b, bias)
    windows = Windows(node, list(w.shape[2:]), a.shape[2:])
    windows.check(a)
    padding = windows.before
    if windows.before != windows.after:
        a, padding = windows.pad(a, 0), (0, 0)
    geometry = {"stride": windows.stride, "dilation": windows.dilation, "groups": node.get("group", 1)}
    y = ops.conv2d(a, b, bias=added, padding=padding, **geometry).astype(x.dtype, copy=False)
    return y if x.ndim == 4 else y[:, :, 0]


def _conv_transpose(node: Node, x: np.ndarray, w: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    a, b = _images(node, x, w)
    a, b, added = computed(node, a, b, bias)
    windows = Windows(node, list(w.shape[2:]), a.shape[2:])
    geometry = {"stride": windows.stride, "dilation": windows.dilation, "groups": node.get("group", 1)}
    grown = zip(a.shape[2:], windows.stride, windows.reach, strict=True)
    affordable(node, (len(a), w.shape[1] * node.get("group", 1), *((n - 1) * s + r for n, s, r in grown)))
    y = ops.conv_transpose2d(a, b, **geometry)
    rank = w.ndim - 2
    more = (0, *(node.get("output_padding") or [0] * rank))[-2:]
    if any(m >= max(s, d) for m, s, d in zip(more, windows.stride, windows.dilation, strict=True)):
        raise ValueError(f"{node} has output_padding {list(more)}; expected less than the strides or dilations")
    y = np.pad(y, [(0, 0), (0, 0), (0, more[0]), (0, more[1])])
    before, after, how = windows.before, windows.after, node.get("auto_pad", "NOTSET")
    wanted = node.get("output_shape")
    if wanted is None and how in ("SAME_UPPER", "SAME_LOWER"):
        wanted = [n * s for n, s in zip(a.shape[-rank:], windows.stride[-rank:], strict=True)]
    if wanted is not None:  # what is too much is cut off on both sides
        total = [n - size for n, size in zip(y.shape[2:], (1, *wanted)[-2:], strict=True)]
        y = np.pad(y, [(0, 0), (0, 0), *((0, max(0, -t)) for t in total)])
        total = [max(0, t) for t in total]
        less, most = [t // 2 for t in total], [t - t // 2 for t in total]
        first, last = (less, most) if how == "SAME_UPPER" else (most, less)
        before, after = (first[0], first[1]), (last[0], last[1])
    y = y[:, :, before[0] : y.shape[2] - after[0], before[1] : y.shape[3] - after[1]]
    if added is not None:
        y = y + added.reshape(-1, 1, 1)
    return (y if x.ndim == 4 else y[:, :, 0]).astype(x.dtype, copy=False)


def _max_pool(node: Node, x: np.ndarray) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    (images,) = _images(node, x)
    # 8-bit integers are exact in float32.
    (a,) = computed(node, images.astype(np.float32) if x.dtype in (np.int8, np.uint8) else images)
    windows = Windows(node, node.get("kernel_shape"), a.shape[2:])
    padded = windows.pad(a, -np.inf, windows.beyond() if node.get("ceil_mode", 0) else (0, 0))
    y, within = ops.max_pool2d(padded, windows.kernel, stride=windows.stride, dilation=windows.dilation)
    assert within is not None
    pooled = (y if x.ndim == 4 else y[:, :, 0]).astype(x.dtype, copy=False)
    if len(node.outputs) == 1:
        return pooled
    return pooled, _places(node, windows, within, a.shape).reshape(pooled.shape)


def _places(node: Node, windows: Windows, within: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the places of the largest elements in the flattened input."""
    place = within.astype(np.int64)
    examples, channels, i, j = np.ogrid[tuple(slice(size) for size in place.shape)]
    row = i * windows.stride[0] + place // windows.kernel[1] * windows.dilation[0] - windows.before[0]
    column = j * windows.stride[1] + place % windows.kernel[1] * windows.dilation[1] - windows.before[1]
    height, width = shape[2:]
    inside = row + column * height if node.get("storage_order", 0) else row * width + column
    return (examples * shape[1] + channels) * (height * width) + inside


def _average_pool(node: Node, x: np.ndarray) -> np.ndarray:
    (images,) = _images(node, x)
    (a,) = computed(node, images)
    windows = Windows(node, node.get("kernel_shape"), a.shape[2:])
    beyond = windows.beyond() if node.get("ceil_mode", 0) else (0, 0)
    ones = np.ones((1, 1, *a.shape[2:]), a.dtype)
    counted = windows.pad(ones, 1 if node.get("count_include_pad", 0) else 0)
    if any(beyond):
        counted = np.pad(counted, [(0, 0), (0, 0), (0, beyond[0]), (0, beyond[1])])
    if not node.get("count_include_pad", 0):
        counted = windows.pad(ones, 0, beyond)
    y = _window_means(windows.pad(a, 0, beyond), windows) / _window_means(counted, windows)
    return (y if x.ndim == 4 else y[:, :, 0]).astype(x.dtype, copy=False)


def _window_means(x: np.ndarray, windows: Windows) -> np.ndarray:
    if windows.dilation == (1, 1):
        return ops.avg_pool2d(x, windows.kernel, stride=windows.stride)
    # The op has no dilation; a depthwise convolution has.
    ones = np.full((x.shape[1], 1, *windows.kernel), 1 / np.prod(windows.kernel), x.dtype)
    return ops.conv2d(x, ones, stride=windows.stride, dilation=windows.dilation, groups=x.shape[1])


def _lp_pool(node: Node, x: np.ndarray) -> np.ndarray:
    (images,) = _images(node, x)
    (a,) = computed(node, images)
    windows, p = Windows(node, node.get("kernel_shape"), a.shape[2:]), node.get("p", 2)
    powers = windows.pad(np.abs(a) ** p, 0, windows.beyond() if node.get("ceil_mode", 0) else (0, 0))
    y = (_window_means(powers, windows) * np.prod(windows.kernel)) ** (1 / p)
    return (y if x.ndim == 4 else y[:, :, 0]).astype(x.dtype, copy=False)


def _global_average_pool(node: Node, x: np.ndarray) -> np.ndarray:
    if x.ndim == 4 and x.dtype.kind == "f":
        (a,) = computed(node, x)
        return ops.adaptive_avg_pool2d(a).astype(x.dtype, copy=False)
    return x.mean(axis=tuple(range(2, x.ndim)), keepdims=True, dtype=x.dtype)


def _global_max_pool(node: Node, x: np.ndarray) -> np.ndarray:
    return x.max(axis=tuple(range(2, x.ndim)), keepdims=True)


OPERATORS: dict[str, Callable[..., Any]] = {
    "AveragePool": _average_pool,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "GlobalAveragePool": _global_average_pool,
    "GlobalMaxPool": _global_max_pool,
    "LpPool": _lp_pool,
    "MaxPool": _max_pool,
}
