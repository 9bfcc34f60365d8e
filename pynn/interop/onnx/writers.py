"""How each layer is written as nodes of ONNX."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...nn import layers
from ...nn.context import Context
from ...nn.sequential import Sequential
from ...ops._windows import borders, pooled_shape
from ...ops.upsample import output_size
from .building import Builder, Tensor

#: Writes a layer that is not a container; returns the name of its output.
Writer = Callable[[Builder, Any, Tensor], str]


def write_layer(graph: Builder, layer: layers.Layer, x: Tensor, name: str) -> Tensor:
    """Add the nodes of a layer and return its output.

    Raises
    ------
    TypeError
        If the layer is of the user's own kind, and has no method ``to_onnx(graph, x)``.
    """
    container = _entry(layer, CONTAINERS)
    if container is not None:
        return container(graph, layer, x, name)
    writer = _entry(layer, WRITERS)
    graph.scope = name
    if hasattr(layer, "to_onnx"):
        output = layer.to_onnx(graph, x.name)
    elif writer is not None:
        output = writer(graph, layer, x)
    else:
        raise TypeError(
            f"layer {name} is a {type(layer).__name__}, which has no counterpart in ONNX; give it a method "
            "to_onnx(graph, x) that adds its nodes by graph.add(operator, x, ...) and returns the name of the last"
        )
    return Tensor(output, layer.forward(x.example, Context(output_only=True)))


def _entry(layer: layers.Layer, table: dict[type[layers.Layer], Any]) -> Any:
    """Return what a table has for a layer; not for a subclass that computes something else."""
    for kind in type(layer).__mro__:
        if kind in table:
            return table[kind] if type(layer).forward is kind.forward else None
    return None


def _sequential(graph: Builder, layer: Sequential, x: Tensor, name: str) -> Tensor:
    for inner, child in layer.children():
        x = write_layer(graph, child, x, f"{name}.{inner}" if name else inner)
    return x


def _residual(graph: Builder, layer: layers.Residual, x: Tensor, name: str) -> Tensor:
    y = write_layer(graph, layer.inner, x, f"{name}.inner")
    around = x if layer.shortcut is None else write_layer(graph, layer.shortcut, x, f"{name}.shortcut")
    graph.scope = name
    return Tensor(graph.add("Add", y.name, around.name), y.example + around.example)


def _average(graph: Builder, layer: layers.Average, x: Tensor, name: str) -> Tensor:
    total, parts = sum(layer.weights), []
    for (inner, branch), weight in zip(layer.children(), layer.weights, strict=True):
        y = write_layer(graph, branch, x, f"{name}.{inner}")
        graph.scope = name
        parts.append(graph.add("Mul", y.name, graph.constant(weight / total, "share", y.example.dtype)))
    return Tensor(graph.add("Sum", *parts), y.example)


def _concat(graph: Builder, layer: layers.Concat, x: Tensor, name: str) -> Tensor:
    parts = [write_layer(graph, branch, x, f"{name}.{inner}") for inner, branch in layer.children()]
    graph.scope = name
    joined = graph.add("Concat", *(part.name for part in parts), axis=1)
    return Tensor(joined, np.concatenate([part.example for part in parts], axis=1))


def _embed(graph: Builder, layer: layers.Embedding, x: str) -> str:
    return graph.add("Gather", graph.constant(layer.weight.data, "weight"), graph.cast(x, np.int64))


def _embedding(graph: Builder, layer: layers.Embedding, x: Tensor) -> str:
    return _embed(graph, layer, x.name)


def _embed_columns(graph: Builder, layer: layers.EmbedColumns, x: Tensor) -> str:
    numbers = [column for column, size in enumerate(layer.cardinalities) if not size]
    categories = [column for column, size in enumerate(layer.cardinalities) if size]
    parts = [graph.add("Gather", x.name, graph.constant(np.array(numbers), "numbers"), axis=1)] if numbers else []
    for column, embedding in zip(categories, layer.embeddings, strict=True):
        parts.append(_embed(graph, embedding, graph.add("Gather", x.name, graph.constant(column, "column"), axis=1)))
    return graph.add("Concat", *parts, axis=1)


def _conv_transpose(graph: Builder, layer: layers.ConvTranspose2d, x: Tensor) -> str:
    arrays = [graph.constant(layer.weight.data, "weight")]
    if layer.bias is not None:
        arrays.append(graph.constant(layer.bias.data, "bias"))
    return graph.add(
        "ConvTranspose",
        x.name,
        *arrays,
        kernel_shape=layer.kernel_size,
        strides=layer.stride,
        dilations=layer.dilation,
        pads=[*layer.padding, *layer.padding],
        output_padding=layer.output_padding,
        group=layer.groups,
    )


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


def _linear(graph: Builder, layer: layers.Linear, x: Tensor) -> str:
    weight = graph.constant(layer.weight.data, "weight")
    if layer.bias is None:
        return graph.add("MatMul", x.name, weight)
    return graph.add("Gemm", x.name, weight, graph.constant(layer.bias.data, "bias"))


def _maxout(graph: Builder, layer: layers.Maxout, x: Tensor) -> str:
    z = graph.add("Gemm", x.name, graph.constant(layer.weight.data, "weight"), graph.constant(layer.bias.data, "bias"))
    return graph.reduce("ReduceMax", graph.reshape(z, 0, layer.pieces, layer.out_features), [1], keepdims=False)


def _conv(graph: Builder, layer: layers.Conv2d, x: Tensor) -> str:
    geometry, rank = layer._geometry(), len(layer.kernel_size)
    before, after = borders(geometry["padding"], layer._window(), geometry["stride"], geometry["dilation"])
    arrays = [graph.constant(layer.weight.data, "weight")]
    if layer.bias is not None:
        arrays.append(graph.constant(layer.bias.data, "bias"))
    return graph.add(
        "Conv",
        x.name,
        *arrays,
        kernel_shape=layer.kernel_size,
        strides=layer.stride,
        dilations=layer.dilation,
        pads=[*before[-rank:], *after[-rank:]],
        group=layer.groups,
    )


def _batch_norm(graph: Builder, layer: layers.BatchNorm, x: Tensor) -> str:
    arrays = (layer.weight.data, layer.bias.data, layer.running_mean, layer.running_var)
    names = ("weight", "bias", "running_mean", "running_var")
    inputs = [graph.constant(array, name) for array, name in zip(arrays, names, strict=True)]
    return graph.add("BatchNormalization", x.name, *inputs, epsilon=layer.eps, momentum=1 - layer.momentum)


def _layer_norm(graph: Builder, layer: layers.LayerNorm, x: Tensor) -> str:
    dtype, axes = x.example.dtype, list(range(-len(layer.normalized_shape), 0))
    gamma = np.ones(layer.normalized_shape, dtype) if layer.weight is None else layer.weight.data
    weight = graph.constant(gamma, "weight")
    bias = [] if layer.bias is None else [graph.constant(layer.bias.data, "bias")]
    if graph.opset >= 17:
        return graph.add("LayerNormalization", x.name, weight, *bias, axis=axes[0], epsilon=layer.eps)
    centered = graph.add("Sub", x.name, graph.reduce("ReduceMean", x.name, axes, keepdims=True))
    square = graph.add("Pow", centered, graph.constant(2, "two", dtype))
    variance = graph.reduce("ReduceMean", square, axes, keepdims=True)
    deviation = graph.add("Sqrt", graph.add("Add", variance, graph.constant(layer.eps, "eps", dtype)))
    y = graph.add("Mul", graph.add("Div", centered, deviation), weight)
    return graph.add("Add", y, *bias) if bias else y


def _group_norm(graph: Builder, layer: layers.GroupNorm, x: Tensor) -> str:
    # As instances of one channel per group: GroupNormalization has had one gamma per channel only since opset 21.
    dtype, shape = x.example.dtype, x.example.shape[1:]
    ones, zeros = (np.full(layer.num_groups, value, dtype) for value in (1, 0))
    y = graph.add(
        "InstanceNormalization",
        graph.reshape(x.name, 0, layer.num_groups, -1),
        graph.constant(ones, "ones"),
        graph.constant(zeros, "zeros"),
        epsilon=layer.eps,
    )
    y = graph.reshape(y, 0, *shape)
    if layer.weight is None or layer.bias is None:
        return y
    per_channel = (-1, *(1,) * (len(shape) - 1))
    y = graph.add("Mul", y, graph.constant(layer.weight.data.reshape(per_channel), "weight"))
    return graph.add("Add", y, graph.constant(layer.bias.data.reshape(per_channel), "bias"))


def _max_pool(graph: Builder, layer: layers.MaxPool2d, x: Tensor) -> str:
    return graph.add("MaxPool", x.name, dilations=layer.dilation, **_window(layer, x, layer.dilation))


def _avg_pool(graph: Builder, layer: layers.AvgPool2d, x: Tensor) -> str:
    window = _window(layer, x)
    if not layer.count_include_pad:
        return graph.add("AveragePool", x.name, count_include_pad=0, **window)
    rows, columns = layer.padding
    if window["pads"] == [rows, columns, rows, columns]:
        return graph.add("AveragePool", x.name, count_include_pad=1, **window)
    # Zeros of the padding count, but not what the last windows reach beyond it: the former become part of the image.
    pads = np.array([0, 0, rows, columns, 0, 0, rows, columns], np.int64)
    padded = graph.add("Pad", x.name, graph.constant(pads, "pads"))
    window["pads"] = [0, 0, window["pads"][2] - rows, window["pads"][3] - columns]
    return graph.add("AveragePool", padded, count_include_pad=0, **window)


def _window(layer: Any, x: Tensor, dilation: tuple[int, int] = (1, 1)) -> dict[str, Any]:
    """Return the attributes of a pooling; with ceil_mode, the padding includes what the last windows reach beyond it.

    Runtimes do not agree on ceil_mode where a window begins in the padding.
    """
    kernel, stride, padding = layer.kernel_size, layer.stride, layer.padding
    shape = pooled_shape(x.example.shape, kernel, stride, padding, dilation, layer.ceil_mode)
    after = list(padding)
    if layer.ceil_mode:
        for axis in range(2):
            needed = (shape[2 + axis] - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1
            after[axis] = max(padding[axis], needed - x.example.shape[2 + axis] - padding[axis])
    return {"kernel_shape": kernel, "strides": stride, "pads": [*padding, *after]}


def _adaptive_avg_pool(graph: Builder, layer: layers.AdaptiveAvgPool2d, x: Tensor) -> str:
    size, given = layer.output_size, x.example.shape[2:]
    if size == (1, 1):
        return graph.add("GlobalAveragePool", x.name)
    if all(n % k == 0 for n, k in zip(given, size, strict=True)):
        window = [n // k for n, k in zip(given, size, strict=True)]
        return graph.add("AveragePool", x.name, kernel_shape=window, strides=window)
    # Windows of different sizes: a product with the shares of rows, and one with those of columns.
    rows, columns = (shares(n, k, x.example.dtype) for n, k in zip(given, size, strict=True))
    y = graph.add("MatMul", graph.constant(rows, "rows"), x.name)
    return graph.add("MatMul", y, graph.constant(columns.T, "columns"))


def shares(size: int, windows: int, dtype: np.dtype[Any]) -> np.ndarray:
    """Return the matrix (windows, size) whose product with a vector is the mean of each of its windows."""
    shares = np.zeros((windows, size), dtype)
    for k in range(windows):
        start, stop = k * size // windows, -(-(k + 1) * size // windows)
        shares[k, start:stop] = 1 / (stop - start)
    return shares


def _flatten(graph: Builder, layer: layers.Flatten, x: Tensor) -> str:
    return graph.add("Flatten", x.name)


def _identity(graph: Builder, layer: layers.Layer, x: Tensor) -> str:
    return x.name


def _prelu(graph: Builder, layer: layers.PReLU, x: Tensor) -> str:
    slope = layer.weight.data.reshape(-1, *(1,) * (x.example.ndim - 2))
    return graph.add("PRelu", x.name, graph.constant(slope, "weight"))


def _plain(op: str, *attributes: tuple[str, str]) -> Writer:
    """Return the writer of a layer that is one operator, with attributes by the names of ONNX and of the layer."""

    def write(graph: Builder, layer: layers.Layer, x: Tensor) -> str:
        return graph.add(op, x.name, **{name: getattr(layer, own) for name, own in attributes})

    return write


def _softplus(graph: Builder, layer: layers.Softplus, x: Tensor) -> str:
    if layer.beta == 1:
        return graph.add("Softplus", x.name)
    beta = graph.constant(layer.beta, "beta", x.example.dtype)
    return graph.add("Div", graph.add("Softplus", graph.add("Mul", x.name, beta)), beta)


def _silu(graph: Builder, layer: layers.SiLU, x: Tensor) -> str:
    return graph.add("Mul", x.name, graph.add("Sigmoid", x.name))


def _mish(graph: Builder, layer: layers.Mish, x: Tensor) -> str:
    if graph.opset >= 18:
        return graph.add("Mish", x.name)
    return graph.add("Mul", x.name, graph.add("Tanh", graph.add("Softplus", x.name)))


def _celu(graph: Builder, layer: layers.CELU, x: Tensor) -> str:
    # Celu of ONNX is only for float32.
    alpha = graph.constant(layer.alpha, "alpha", x.example.dtype)
    return graph.add("Mul", graph.add("Elu", graph.add("Div", x.name, alpha)), alpha)


def _log_sigmoid(graph: Builder, layer: layers.LogSigmoid, x: Tensor) -> str:
    return graph.add("Neg", graph.add("Softplus", graph.add("Neg", x.name)))


def _clip(graph: Builder, layer: layers.Hardtanh | layers.ReLU6, x: Tensor) -> str:
    low, high = (layer.min_val, layer.max_val) if isinstance(layer, layers.Hardtanh) else (0, 6)
    bounds = (graph.constant(value, name, x.example.dtype) for name, value in (("low", low), ("high", high)))
    return graph.add("Clip", x.name, *bounds)


def _hardsigmoid(graph: Builder, layer: layers.Hardsigmoid, x: Tensor) -> str:
    return graph.add("HardSigmoid", x.name, alpha=1 / 6, beta=0.5)


def _unflatten(graph: Builder, layer: layers.Unflatten, x: Tensor) -> str:
    shape = x.example.shape
    return graph.reshape(x.name, 0, *shape[1 : layer.dim], *layer.unflattened_size, *shape[layer.dim + 1 :])


def _instance_norm(graph: Builder, layer: Any, x: Tensor) -> str:
    gamma, beta = (np.full(layer.num_features, value, x.example.dtype) for value in (1, 0))
    if layer.weight is not None:
        gamma, beta = layer.weight.data, layer.bias.data
    arrays = graph.constant(gamma, "weight"), graph.constant(beta, "bias")
    return graph.add("InstanceNormalization", x.name, *arrays, epsilon=layer.eps)


def _gelu(graph: Builder, layer: layers.GELU, x: Tensor) -> str:
    if graph.opset >= 20:
        return graph.add("Gelu", x.name, approximate=layer.approximate)

    def number(value: float) -> str:
        return graph.constant(value, dtype=x.example.dtype)

    if layer.approximate == "none":
        inner = graph.add("Erf", graph.add("Div", x.name, number(math.sqrt(2))))
        doubled = graph.add("Mul", x.name, graph.add("Add", inner, number(1)))
        return graph.add("Mul", doubled, number(0.5))
    cube = graph.add("Mul", graph.add("Pow", x.name, number(3)), number(0.044715))
    inner = graph.add("Mul", graph.add("Add", x.name, cube), number(math.sqrt(2 / math.pi)))
    half = graph.add("Mul", x.name, number(0.5))
    return graph.add("Mul", half, graph.add("Add", graph.add("Tanh", inner), number(1)))


#: Layers that contain layers.
CONTAINERS: dict[type[layers.Layer], Any] = {
    Sequential: _sequential,
    layers.Residual: _residual,
    layers.Average: _average,
    layers.Concat: _concat,
}

#: All other layers.
WRITERS: dict[type[layers.Layer], Writer] = {
    layers.AdaptiveAvgPool2d: _adaptive_avg_pool,
    layers.AvgPool2d: _avg_pool,
    layers.BatchNorm: _batch_norm,
    layers.CELU: _celu,
    layers.Conv2d: _conv,
    layers.ConvTranspose2d: _conv_transpose,
    layers.Dropout: _identity,
    layers.Dropout2d: _identity,
    layers.ELU: _plain("Elu", ("alpha", "alpha")),
    layers.EmbedColumns: _embed_columns,
    layers.Embedding: _embedding,
    layers.Flatten: _flatten,
    layers.GELU: _gelu,
    layers.GroupNorm: _group_norm,
    layers.Hardsigmoid: _hardsigmoid,
    layers.Hardswish: _plain("HardSwish"),
    layers.Hardtanh: _clip,
    layers.Identity: _identity,
    layers.InstanceNorm1d: _instance_norm,
    layers.InstanceNorm2d: _instance_norm,
    layers.LayerNorm: _layer_norm,
    layers.LeakyReLU: _plain("LeakyRelu", ("alpha", "negative_slope")),
    layers.Linear: _linear,
    layers.LogSigmoid: _log_sigmoid,
    layers.LogSoftmax: _plain("LogSoftmax", ("axis", "dim")),
    layers.MaxPool2d: _max_pool,
    layers.Maxout: _maxout,
    layers.Mish: _mish,
    layers.PReLU: _prelu,
    layers.ReLU: _plain("Relu"),
    layers.ReLU6: _clip,
    layers.SELU: _plain("Selu"),
    layers.SiLU: _silu,
    layers.Sigmoid: _plain("Sigmoid"),
    layers.Softmax: _plain("Softmax", ("axis", "dim")),
    layers.Softplus: _softplus,
    layers.Softsign: _plain("Softsign"),
    layers.Tanh: _plain("Tanh"),
    layers.Unflatten: _unflatten,
    layers.Upsample: _upsample,
}
