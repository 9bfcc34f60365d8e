"""How layers with windows over sequences and images are written as nodes of ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...nn import layers
from ...nn.context import Context
from ...ops.upsample import output_size
from .building import Builder, Tensor, Writer


def _conv(graph: Builder, layer: layers.Conv2d, x: Tensor) -> str:
    before, after = layer.borders()
    return graph.add(
        "Conv",
        x.name,
        *graph.parameters(layer),
        kernel_shape=layer.kernel_size,
        strides=layer.stride,
        dilations=layer.dilation,
        pads=[*before, *after],
        group=layer.groups,
    )


def _conv_transpose(graph: Builder, layer: layers.ConvTranspose2d, x: Tensor) -> str:
    return graph.add(
        "ConvTranspose",
        x.name,
        *graph.parameters(layer),
        kernel_shape=layer.kernel_size,
        strides=layer.stride,
        dilations=layer.dilation,
        pads=[*layer.padding, *layer.padding],
        output_padding=layer.output_padding,
        group=layer.groups,
    )


def _max_pool(graph: Builder, layer: layers.MaxPool2d, x: Tensor) -> str:
    return graph.add("MaxPool", x.name, dilations=layer.dilation, **_window(layer, x))


def _avg_pool(graph: Builder, layer: layers.AvgPool2d, x: Tensor) -> str:
    window = _window(layer, x)
    if not layer.count_include_pad:
        return graph.add("AveragePool", x.name, count_include_pad=0, **window)
    padding = layer.padding
    if window["pads"] == [*padding, *padding]:
        return graph.add("AveragePool", x.name, count_include_pad=1, **window)
    # Zeros of the padding count, but not what the last windows reach beyond it: the former become part of the image.
    pads = np.array([0, 0, *padding, 0, 0, *padding], np.int64)
    padded = graph.add("Pad", x.name, graph.constant(pads, "pads"))
    beyond = [reached - size for reached, size in zip(window["pads"][len(padding) :], padding, strict=True)]
    window["pads"] = [*(0 for _ in padding), *beyond]
    return graph.add("AveragePool", padded, count_include_pad=0, **window)


def _window(layer: layers.MaxPool2d | layers.AvgPool2d, x: Tensor) -> dict[str, Any]:
    """Return the attributes of a pooling; with ceil_mode, the padding includes what the last windows reach beyond it.

    Runtimes do not agree on ceil_mode where a window begins in the padding.
    """
    kernel, stride, padding = layer.kernel_size, layer.stride, layer.padding
    after = list(padding)
    if layer.ceil_mode:
        given, made = (images.shape[2:] for images in (x.example, layer.forward(x.example, Context())))
        dilation = getattr(layer, "dilation", (1,) * len(kernel))
        for axis in range(len(kernel)):
            needed = (made[axis] - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1
            after[axis] = max(padding[axis], needed - given[axis] - padding[axis])
    return {"kernel_shape": kernel, "strides": stride, "pads": [*padding, *after]}


def _adaptive_avg_pool(graph: Builder, layer: layers.AdaptiveAvgPool2d, x: Tensor) -> str:
    given, size = x.example.shape[2:], layer.output_size
    if set(size) == {1}:
        return graph.add("GlobalAveragePool", x.name)
    if all(n % k == 0 for n, k in zip(given, size, strict=True)):
        return _grid(graph, "AveragePool", size, x)
    # Windows of different sizes: a product with the shares of rows, and one with those of columns.
    *rows, columns = (shares(n, k, x.example.dtype) for n, k in zip(given, size, strict=True))
    y = graph.add("MatMul", graph.constant(rows[0], "rows"), x.name) if rows else x.name
    return graph.add("MatMul", y, graph.constant(columns.T, "columns"))


def _adaptive_max_pool(graph: Builder, layer: layers.AdaptiveMaxPool2d, x: Tensor) -> str:
    if set(layer.output_size) == {1}:  # by GlobalMaxPool the reference evaluator mixes the channels of sequences
        return graph.reduce("ReduceMax", x.name, list(range(2, x.example.ndim)), keepdims=True)
    return _grid(graph, "MaxPool", layer.output_size, x)


def _grid(graph: Builder, op: str, size: tuple[int, ...], x: Tensor) -> str:
    """Add the pooling over a grid of adjacent windows of one size."""
    window = [n // k for n, k in zip(x.example.shape[2:], size, strict=True)]
    return graph.add(op, x.name, kernel_shape=window, strides=window)


def _zero_pad(graph: Builder, layer: layers.ZeroPad2d, x: Tensor) -> str:
    before, after = layer.padding[::2][::-1], layer.padding[1::2][::-1]
    return graph.add("Pad", x.name, graph.constant(np.array([0, 0, *before, 0, 0, *after], np.int64), "pads"))


def shares(size: int, windows: int, dtype: np.dtype[Any]) -> np.ndarray:
    """Return the matrix (windows, size) whose product with a vector is the mean of each of its windows."""
    shares = np.zeros((windows, size), dtype)
    for k in range(windows):
        start, stop = k * size // windows, -(-(k + 1) * size // windows)
        shares[k, start:stop] = 1 / (stop - start)
    return shares


def _upsample(graph: Builder, layer: layers.Upsample, x: Tensor) -> str:
    how: dict[str, Any] = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    if layer.mode == "nearest":
        how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    elif layer.align_corners:
        how["coordinate_transformation_mode"] = "align_corners"
    if layer.scale_factor is not None and not layer.align_corners:  # runtimes do not agree on half a pixel at the end
        return graph.add("Resize", x.name, "", graph.constant((1, 1, *layer.scale_factor), "scales", "f4"), **how)
    first, two = (graph.constant(np.array(n, np.int64), name) for n, name in (([0], "first"), ([2], "two")))
    batch = graph.add("Slice", graph.add("Shape", x.name), first, two)
    size = output_size(x.example.shape, layer.size, layer.scale_factor)
    sizes = graph.add("Concat", batch, graph.constant(np.array(size, np.int64), "size"), axis=0)
    return graph.add("Resize", x.name, "", "", sizes, **how)


def _pixel_shuffle(graph: Builder, layer: layers.PixelShuffle, x: Tensor) -> str:
    return graph.add("DepthToSpace", x.name, blocksize=layer.upscale_factor, mode="CRD")


def _pixel_unshuffle(graph: Builder, layer: layers.PixelUnshuffle, x: Tensor) -> str:
    # SpaceToDepth gives the channels another order.
    (channels, height, width), r = x.example.shape[1:], layer.downscale_factor
    blocks = graph.reshape(x.name, 0, channels, height // r, r, width // r, r)
    planes = graph.add("Transpose", blocks, perm=[0, 1, 3, 5, 2, 4])
    return graph.reshape(planes, 0, channels * r**2, height // r, width // r)


WRITERS: dict[type[layers.Layer], Writer] = {
    layers.AdaptiveAvgPool2d: _adaptive_avg_pool,
    layers.AdaptiveMaxPool2d: _adaptive_max_pool,
    layers.AvgPool2d: _avg_pool,
    layers.Conv2d: _conv,
    layers.ConvTranspose2d: _conv_transpose,
    layers.MaxPool2d: _max_pool,
    layers.PixelShuffle: _pixel_shuffle,
    layers.PixelUnshuffle: _pixel_unshuffle,
    layers.Upsample: _upsample,
    layers.ZeroPad2d: _zero_pad,
}
