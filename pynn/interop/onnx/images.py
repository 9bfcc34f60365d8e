"""How nodes with windows over sequences and images are read as layers."""

from __future__ import annotations

from typing import Any

from ...nn import layers
from ...ops._windows import borders, pooled_shape
from .drafts import Draft, Step
from .graph import Node, UnsupportedError
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
    if len(kernel) != 2 or before != after or node.get("output_shape") or node.get("auto_pad", "NOTSET") != "NOTSET":
        raise UnsupportedError(f"{node} is over sequences, or has other pads on both sides, or an output_shape")
    more, groups = tuple(node.get("output_padding") or (0, 0)), node.get("group", 1)
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
    sizes: list[int | None] = [None, None]
    if shape is not None and len(shape) == 4:
        spans = zip(shape[2:], stride, before, dilation, kernel, more, strict=True)
        sizes = [None if n is None else (n - 1) * s - 2 * p + d * (k - 1) + m + 1 for n, s, p, d, k, m in spans]
    return Draft(layers.ConvTranspose2d, settings, arrays, node=node, rank=3), (None, weight.shape[1] * groups, *sizes)


def _max_pool(read: Reading, node: Node) -> tuple[Step, Shape]:
    if len(node.outputs) > 1 and node.outputs[1]:
        raise UnsupportedError(f"{node} also gives the places of the largest elements")
    settings, shape = _pooling(read, node)
    return Draft(layers.MaxPool2d, settings, node=node), shape


def _avg_pool(read: Reading, node: Node) -> tuple[Step, Shape]:
    settings, shape = _pooling(read, node)
    if settings.pop("dilation") != (1, 1):
        raise UnsupportedError(f"{node} has dilations {node.get('dilations')}; expected 1")
    settings["count_include_pad"] = bool(node.get("count_include_pad", 0))
    return Draft(layers.AvgPool2d, settings, node=node), shape


def _pooling(read: Reading, node: Node) -> tuple[dict[str, Any], Shape]:
    kernel, stride, before, after, dilation = _spatial(read, node, list(node.get("kernel_shape") or []))
    shape, ceil = read.shape(node), bool(node.get("ceil_mode", 0))
    if len(kernel) != 2 or shape is None or len(shape) != 4:
        raise UnsupportedError(f"{node} has a kernel of {len(kernel)} dimensions; expected images")
    known = None not in shape[2:]
    if before != after:
        given = (1, 1, *(n or 0 for n in shape[2:]))
        counts = [
            (n + b + a - (k - 1) * d - 1) // s + 1
            for n, b, a, k, d, s in zip(given[2:], before, after, kernel, dilation, stride, strict=True)
        ]
        if not known or pooled_shape(given, kernel, stride, before, dilation, True)[2:] != tuple(counts):
            raise UnsupportedError(f"{node} has pads {[*before, *after]}; expected the same on both sides")
        ceil = True
    settings = {"kernel_size": kernel, "stride": stride, "padding": before, "dilation": dilation, "ceil_mode": ceil}
    sizes: tuple[int | None, ...] = (None, None)
    if known:
        sizes = pooled_shape((1, 1, *shape[2:]), kernel, stride, before, dilation, ceil)[2:]  # type: ignore[arg-type]
    return settings, (None, shape[1], *sizes)


def _global_pool(read: Reading, node: Node) -> tuple[Step, Shape]:
    if read.rank(node) != 4:
        raise UnsupportedError(f"{node} has an input of {read.rank(node)} dimensions; expected images")
    shape = read.shape(node)
    assert shape is not None
    return Draft(layers.AdaptiveAvgPool2d, {"output_size": 1}, node=node), (*shape[:2], 1, 1)


READERS: dict[str, Reader] = {
    "AveragePool": _avg_pool,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "GlobalAveragePool": _global_pool,
    "MaxPool": _max_pool,
}
