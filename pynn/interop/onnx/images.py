"""How nodes with windows over sequences and images are read as layers."""

from __future__ import annotations

from typing import Any

from ...nn import layers
from ...ops._windows import borders, pooled_shape
from .drafts import Draft, Step
from .errors import UnsupportedError
from .graph import Node
from .operators.limits import check_windows
from .reading import Reader, Reading, Shape, floats


def _spatial(read: Reading, node: Node, kernel: list[int]) -> tuple[Any, ...]:
    """Return kernel, stride, padding before and after, and dilation of a node with windows."""
    rank = len(kernel)
    if rank not in (1, 2):
        raise UnsupportedError(f"{node} has a kernel of {rank} dimensions; expected sequences or images")
    stride, dilation = (tuple(node.get(name) or [1] * rank) for name in ("strides", "dilations"))
    pads, how = list(node.get("pads") or [0] * 2 * rank), node.get("auto_pad", "NOTSET")
    if len(stride) != rank or len(dilation) != rank or len(pads) != 2 * rank:
        raise ValueError(f"{node} has strides, dilations or pads of another number of dimensions than its kernel")
    check_windows(node, kernel)
    if how == "SAME_UPPER" and set(stride) == {1}:
        before = [(k - 1) * d // 2 for k, d in zip(kernel, dilation, strict=True)]
        pads = [*before, *((k - 1) * d - b for k, d, b in zip(kernel, dilation, before, strict=True))]
    elif how not in ("NOTSET", "VALID"):
        raise UnsupportedError(f"{node} has auto_pad {how!r} and strides {list(stride)}; expected explicit pads")
    return tuple(kernel), stride, tuple(pads[:rank]), tuple(pads[rank:]), dilation


def _conv(read: Reading, node: Node) -> tuple[Step, Shape]:
    weight, shape = floats(node, read.array(node, 1)), read.shape(node)
    kernel, stride, before, after, dilation = _spatial(read, node, list(weight.shape[2:]))
    padding: Any = before
    if before != after:
        wide = ((1, *kernel)[-2:], (1, *dilation)[-2:])
        same = borders("same", wide[0], (1, 1), wide[1]) if set(stride) == {1} else None
        if same is None or (before, after) != (same[0][-len(before) :], same[1][-len(after) :]):
            raise UnsupportedError(f"{node} has pads {[*before, *after]}; expected the same on both sides")
        padding = "same"
    groups = node.get("group", 1)
    settings = {
        "in_channels": weight.shape[1] * groups,
        "out_channels": weight.shape[0],
        "kernel_size": kernel,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
    }
    arrays = {"weight": weight}
    bias = read.optional(node, 2)
    if bias is not None:
        arrays["bias"] = bias
    kind = layers.Conv2d if len(kernel) == 2 else layers.Conv1d
    sizes: list[int | None] = [None] * len(kernel)
    if shape is not None and len(shape) == 2 + len(kernel):
        spans = zip(shape[2:], before, after, kernel, dilation, stride, strict=True)
        sizes = [None if n is None else (n + b + a - (k - 1) * d - 1) // s + 1 for n, b, a, k, d, s in spans]
    return Draft(kind, settings, arrays, node=node, rank=1 + len(kernel)), (None, weight.shape[0], *sizes)


def _conv_transpose(read: Reading, node: Node) -> tuple[Step, Shape]:
    weight, shape = floats(node, read.array(node, 1)), read.shape(node)
    kernel, stride, before, after, dilation = _spatial(read, node, list(weight.shape[2:]))
    if before != after or node.get("output_shape") or node.get("auto_pad", "NOTSET") != "NOTSET":
        raise UnsupportedError(f"{node} has other pads on both sides, or an output_shape")
    rank, groups = len(kernel), node.get("group", 1)
    more = tuple(node.get("output_padding") or (0,) * rank)
    settings = {
        "in_channels": weight.shape[0],
        "out_channels": weight.shape[1] * groups,
        "kernel_size": kernel,
        "stride": stride,
        "padding": before,
        "output_padding": more,
        "dilation": dilation,
        "groups": groups,
    }
    bias = read.optional(node, 2)
    arrays = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
    sizes: list[int | None] = [None] * rank
    if shape is not None and len(shape) == 2 + rank:
        spans = zip(shape[2:], stride, before, dilation, kernel, more, strict=True)
        sizes = [None if n is None else (n - 1) * s - 2 * p + d * (k - 1) + m + 1 for n, s, p, d, k, m in spans]
    kind = layers.ConvTranspose2d if rank == 2 else layers.ConvTranspose1d
    return Draft(kind, settings, arrays, node=node, rank=1 + rank), (None, weight.shape[1] * groups, *sizes)


def _max_pool(read: Reading, node: Node) -> tuple[Step, Shape]:
    if len(node.outputs) > 1 and node.outputs[1]:
        raise UnsupportedError(f"{node} also gives the places of the largest elements")
    settings, shape = _pooling(read, node)
    kind = layers.MaxPool2d if len(settings["kernel_size"]) == 2 else layers.MaxPool1d
    return Draft(kind, settings, node=node), shape


def _avg_pool(read: Reading, node: Node) -> tuple[Step, Shape]:
    settings, shape = _pooling(read, node)
    if set(settings.pop("dilation")) != {1}:
        raise UnsupportedError(f"{node} has dilations {node.get('dilations')}; expected 1")
    settings["count_include_pad"] = bool(node.get("count_include_pad", 0))
    kind = layers.AvgPool2d if len(settings["kernel_size"]) == 2 else layers.AvgPool1d
    return Draft(kind, settings, node=node), shape


def _pooling(read: Reading, node: Node) -> tuple[dict[str, Any], Shape]:
    kernel, stride, before, after, dilation = _spatial(read, node, list(node.get("kernel_shape") or []))
    shape, ceil, rank = read.shape(node), bool(node.get("ceil_mode", 0)), len(kernel)
    if shape is None or len(shape) != 2 + rank:
        raise UnsupportedError(f"{node} has an input of shape {shape}; expected a kernel of {len(kernel)} dimensions")
    sizes = shape[2:]
    known = None not in sizes

    def pooled(ceil: bool) -> tuple[int, ...]:
        """Return the number of windows, if they reach as far after the input as before it."""
        images = (1, 1, *(1, *(n or 0 for n in sizes))[-2:])
        wide, step, border, spread = (
            (one, *given)[-2:] for one, given in ((1, kernel), (1, stride), (0, before), (1, dilation))
        )
        return pooled_shape(images, wide, step, border, spread, ceil)[-rank:]

    if before != after:
        given = [n or 0 for n in sizes]
        counts = tuple(
            (n + b + a - (k - 1) * d - 1) // s + 1
            for n, b, a, k, d, s in zip(given, before, after, kernel, dilation, stride, strict=True)
        )
        if not known or pooled(True) != counts:
            raise UnsupportedError(f"{node} has pads {[*before, *after]}; expected the same on both sides")
        ceil = True
    settings = {"kernel_size": kernel, "stride": stride, "padding": before, "dilation": dilation, "ceil_mode": ceil}
    return settings, (None, shape[1], *(pooled(ceil) if known else (None,) * rank))


def over_all_positions(of: str) -> Reader:
    """Return the reader of a mean ("Avg") or maximum ("Max") of each channel that keeps the dimensions."""

    def read_global(read: Reading, node: Node) -> tuple[Step, Shape]:
        shape, rank = read.shape(node), read.rank(node) - 2
        if rank not in (1, 2):
            raise UnsupportedError(f"{node} has an input of {rank + 2} dimensions; expected sequences or images")
        assert shape is not None
        kind = getattr(layers, f"Adaptive{of}Pool{rank}d")
        return Draft(kind, {"output_size": 1}, node=node), (*shape[:2], *(1,) * rank)

    return read_global


def _depth_to_space(read: Reading, node: Node) -> tuple[Step, Shape]:
    shape, r = read.shape(node), node.get("blocksize", 0)
    if node.get("mode", "DCR") != "CRD":
        raise UnsupportedError(f"{node} has mode {node.get('mode', 'DCR')!r}; expected CRD")
    if shape is None or len(shape) != 4 or None in shape[1:] or r < 1:
        raise UnsupportedError(f"{node} has an input of shape {shape} and blocksize {r}; expected images")
    _, channels, height, width = shape
    assert channels is not None and height is not None and width is not None
    return Draft(layers.PixelShuffle, {"upscale_factor": r}, node=node), (None, channels // r**2, height * r, width * r)


READERS: dict[str, Reader] = {
    "AveragePool": _avg_pool,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "DepthToSpace": _depth_to_space,
    "GlobalAveragePool": over_all_positions("Avg"),
    "GlobalMaxPool": over_all_positions("Max"),
    "MaxPool": _max_pool,
}
