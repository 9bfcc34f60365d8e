"""How each layer is written as nodes of ONNX."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...nn import layers
from ...nn.context import Context
from ...nn.sequential import Sequential
from . import image_writers
from .building import Builder, Tensor, Writer


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


def _linear(graph: Builder, layer: layers.Linear, x: Tensor) -> str:
    weight, *bias = graph.parameters(layer)
    if bias and x.example.ndim == 2:
        return graph.add("Gemm", x.name, weight, *bias)
    product = graph.add("MatMul", x.name, weight)  # of more dimensions than Gemm takes, or without a sum
    return graph.add("Add", product, *bias) if bias else product


def _maxout(graph: Builder, layer: layers.Maxout, x: Tensor) -> str:
    z = graph.add("Gemm", x.name, *graph.parameters(layer))
    return graph.reduce("ReduceMax", graph.reshape(z, 0, layer.pieces, layer.out_features), [1], keepdims=False)


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


def _rms_norm(graph: Builder, layer: layers.RMSNorm, x: Tensor) -> str:
    dtype, axes = x.example.dtype, list(range(-len(layer.normalized_shape), 0))
    eps = float(np.finfo(dtype).eps) if layer.eps is None else layer.eps
    square = graph.add("Mul", x.name, x.name)
    mean = graph.add("Add", graph.reduce("ReduceMean", square, axes, keepdims=True), graph.constant(eps, "eps", dtype))
    y = graph.add("Div", x.name, graph.add("Sqrt", mean))
    return y if layer.weight is None else graph.add("Mul", y, graph.constant(layer.weight.data, "weight"))


def _glu(graph: Builder, layer: layers.GLU, x: Tensor) -> str:
    halves = graph.split(x.name, layer.dim, [x.example.shape[layer.dim] // 2] * 2)
    return graph.add("Mul", halves[0], graph.add("Sigmoid", halves[1]))


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
    **image_writers.WRITERS,
    layers.BatchNorm: _batch_norm,
    layers.CELU: _celu,
    layers.Dropout: _identity,
    layers.Dropout2d: _identity,
    layers.ELU: _plain("Elu", ("alpha", "alpha")),
    layers.EmbedColumns: _embed_columns,
    layers.Embedding: _embedding,
    layers.Flatten: _flatten,
    layers.GELU: _gelu,
    layers.GLU: _glu,
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
    layers.Maxout: _maxout,
    layers.Mish: _mish,
    layers.PReLU: _prelu,
    layers.RMSNorm: _rms_norm,
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
}
