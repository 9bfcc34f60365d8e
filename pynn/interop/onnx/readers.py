"""How each node of ONNX is read as a layer of pynn."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...nn import layers
from ...ops._windows import borders, pooled_shape
from .drafts import Affine, Draft, Limits, Step
from .graph import Graph, Node, UnsupportedError

#: Sizes of a batch, the first of them that of examples; None where unknown.
Shape = tuple[int | None, ...] | None


class Reading:
    """What reading a node needs: the constants, and the shapes of the values read so far.

    Attributes
    ----------
    batch : int or None
        The number of examples for which the graph was made, if it is fixed.
    """

    def __init__(self, graph: Graph) -> None:
        self.constants = graph.constants
        self.shapes: dict[str, Shape] = {value.name: value.shape for value in graph.inputs}
        first = graph.inputs[0].shape if graph.inputs else None
        self.batch = first[0] if first else None
        self.consumers: dict[str, list[Node]] = {}
        #: The last of the nodes of which the layer just read is made.
        self.reached: Node | None = None

    def following(self, node: Node, op: str) -> Node | None:
        """Return the only node that uses a node's output, if it has that operator."""
        users = self.consumers.get(node.outputs[0], [])
        return users[0] if len(users) == 1 and users[0].op == op else None

    def array(self, node: Node, index: int) -> np.ndarray:
        """Return an input that must be a constant."""
        name = node.inputs[index] if index < len(node.inputs) else ""
        if name not in self.constants:
            raise UnsupportedError(f"{node} needs its input {index} to be a constant")
        return self.constants[name]

    def optional(self, node: Node, index: int, attribute: str | None = None, default: Any = None) -> Any:
        """Return an input that may be absent, or an attribute in its place."""
        if index < len(node.inputs) and node.inputs[index]:
            return self.array(node, index)
        return node.get(attribute, default) if attribute else default

    def shape(self, node: Node) -> Shape:
        """Return the shape of a node's first input that is no constant."""
        return next((self.shapes.get(name) for name in node.inputs if name not in self.constants), None)

    def rank(self, node: Node) -> int:
        """Return the number of its dimensions."""
        shape = self.shape(node)
        if shape is None:
            raise UnsupportedError(f"{node} has an input of unknown shape; export the model with its input's shape")
        return len(shape)


#: Reads a node; returns the layer, or None if there is nothing to do, and the shape of the output.
Reader = Callable[[Reading, Node], tuple[Step | None, Shape]]


def _floats(node: Node, array: np.ndarray) -> np.ndarray:
    if array.dtype not in (np.float32, np.float64):
        raise UnsupportedError(f"{node} has weights of {array.dtype}; expected float32 or float64")
    return array


def _matrix(node: Node, array: np.ndarray) -> np.ndarray:
    if array.ndim != 2 or array.size == 0:
        raise UnsupportedError(f"{node} has weights of shape {array.shape}; expected a matrix")
    return _floats(node, array)


def _linear(node: Node, weight: np.ndarray, bias: np.ndarray | None) -> tuple[Step, Shape]:
    arrays = {"weight": np.ascontiguousarray(weight)}
    if bias is not None:
        bias = _floats(node, bias)
        if bias.size not in (1, weight.shape[1]) or max(bias.shape, default=1) != bias.size:
            raise UnsupportedError(f"{node} adds an array of shape {bias.shape}; expected ({weight.shape[1]},)")
        arrays["bias"] = np.broadcast_to(bias.reshape(-1), weight.shape[1:])
    settings = {"in_features": weight.shape[0], "out_features": weight.shape[1]}
    return Draft(layers.Linear, settings, arrays, node=node), (None, weight.shape[1])


def _gemm(read: Reading, node: Node) -> tuple[Step, Shape]:
    if node.get("transA", 0):
        raise UnsupportedError(f"{node} transposes its input")
    weight = _matrix(node, read.array(node, 1))
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    weight = (weight.T if node.get("transB", 0) else weight) * weight.dtype.type(alpha)
    bias = read.optional(node, 2)
    return _linear(node, weight, None if bias is None else bias * bias.dtype.type(beta))


def _matmul(read: Reading, node: Node) -> tuple[Step, Shape]:
    if node.inputs[0] in read.constants:
        raise UnsupportedError(f"{node} multiplies a constant by its input; expected the input first")
    if read.rank(node) != 2:
        raise UnsupportedError(f"{node} has an input of {read.rank(node)} dimensions; expected (batch, features)")
    return _linear(node, _matrix(node, read.array(node, 1)), None)


def _linear_regressor(read: Reading, node: Node) -> tuple[Step, Shape]:
    targets = node.get("targets", 1)
    weight = np.array(node.get("coefficients"), np.float32).reshape(targets, -1).T
    if node.get("post_transform", "NONE") != "NONE":
        raise UnsupportedError(f"{node} has post_transform {node.get('post_transform')!r}; expected NONE")
    return _linear(node, weight, np.array(node.get("intercepts", [0.0] * targets), np.float32))


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
    weight, shape = _floats(node, read.array(node, 1)), read.shape(node)
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


def _batch_norm(read: Reading, node: Node) -> tuple[Step, Shape]:
    if node.get("training_mode", 0):
        raise UnsupportedError(f"{node} is in training mode; export the model in inference mode")
    names = ("weight", "bias", "running_mean", "running_var")
    arrays = {name: _floats(node, read.array(node, index + 1)) for index, name in enumerate(names)}
    kind = layers.BatchNorm2d if read.rank(node) == 4 else layers.BatchNorm1d
    settings = {
        "num_features": len(arrays["weight"]),
        "eps": node.get("epsilon", 1e-5),
        "momentum": 1 - node.get("momentum", 0.9),
    }
    return Draft(kind, settings, arrays, node=node, rank=read.rank(node) - 1), read.shape(node)


def _layer_norm(read: Reading, node: Node) -> tuple[Step, Shape]:
    shape, settings = read.shape(node), {"eps": node.get("epsilon", 1e-5)}
    if len(node.inputs) == 1:  # made of several nodes; gamma and beta follow
        over = None if shape is None else shape[node.get("axis") :]
        if over is None or None in over:
            raise UnsupportedError(f"{node} has an input of unknown shape; export the model with its input's shape")
        settings |= {"normalized_shape": over, "elementwise_affine": False}
        return Draft(layers.LayerNorm, settings, node=node), shape
    gamma, beta = _floats(node, read.array(node, 1)), read.optional(node, 2)
    axis = node.get("axis", -1)
    dimensions = -axis if axis < 0 else read.rank(node) - axis
    if gamma.ndim != dimensions or any(node.outputs[1:]):
        raise UnsupportedError(f"{node} has weights of shape {gamma.shape} over {dimensions} dimensions")
    settings["normalized_shape"] = gamma.shape
    if beta is None and (gamma == 1).all():
        return Draft(layers.LayerNorm, {**settings, "elementwise_affine": False}, node=node), shape
    arrays = {"weight": gamma, "bias": np.zeros_like(gamma) if beta is None else beta}
    return Draft(layers.LayerNorm, settings, arrays, node=node), shape


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


def _flatten(read: Reading, node: Node) -> tuple[Step, Shape]:
    if node.get("axis", 1) != 1:
        raise UnsupportedError(f"{node} has axis {node.get('axis')}; expected 1")
    shape = read.shape(node)
    features = None if shape is None or None in shape[1:] else math.prod(shape[1:])  # type: ignore[arg-type]
    return Draft(layers.Flatten, node=node), (None, features)


def _dropout(read: Reading, node: Node) -> tuple[Step, Shape]:
    ratio = float(np.asarray(read.optional(node, 1, "ratio", 0.5)))
    return Draft(layers.Dropout, {"p": ratio}, node=node), read.shape(node)


def _prelu(read: Reading, node: Node) -> tuple[Step, Shape]:
    slope = _floats(node, read.array(node, 1))
    shape = (1,) * (read.rank(node) - slope.ndim) + slope.shape
    if slope.size != 1 and any(size != 1 for k, size in enumerate(shape) if k != 1):
        raise UnsupportedError(f"{node} has slopes of shape {slope.shape}; expected one, or one per channel")
    draft = Draft(layers.PReLU, {"num_parameters": slope.size}, {"weight": slope.reshape(-1)}, node=node)
    return draft, read.shape(node)


def _activation(kind: type[layers.Layer], **attributes: tuple[str, Any]) -> Reader:
    """Return the reader of an activation: settings by the names of pynn, from attributes of ONNX and their defaults."""

    def reader(read: Reading, node: Node) -> tuple[Step, Shape]:
        settings = {name: node.get(attribute, default) for name, (attribute, default) in attributes.items()}
        return Draft(kind, settings, node=node), read.shape(node)

    return reader


def _swish(read: Reading, node: Node) -> tuple[Step, Shape]:
    if node.get("alpha", 1.0) != 1:
        raise UnsupportedError(f"{node} has alpha {node.get('alpha')}; expected 1")
    return Draft(layers.SiLU, node=node), read.shape(node)


def _selu(read: Reading, node: Node) -> tuple[Step, Shape]:
    for name, usual in (("alpha", 1.67326), ("gamma", 1.0507)):
        if not math.isclose(node.get(name, usual), usual, rel_tol=1e-4):
            raise UnsupportedError(f"{node} has {name} {node.get(name)}; expected {usual}")
    return Draft(layers.SELU, node=node), read.shape(node)


def _softmax(kind: type[layers.Layer]) -> Reader:
    """Return the reader of a softmax or its logarithm."""

    def reader(read: Reading, node: Node) -> tuple[Step, Shape]:
        axis, rank = node.get("axis", -1 if node.opset >= 13 else 1), read.rank(node)
        last = axis % rank == rank - 1
        if axis % rank == 0 or (node.opset < 13 and not last):  # earlier, it was over all dimensions from `axis` on
            raise UnsupportedError(f"{node} has axis {axis} of {rank}; expected the last one")
        return Draft(kind, {"dim": -1 if last else axis % rank}, node=node), read.shape(node)

    return reader


def _hard_sigmoid(read: Reading, node: Node) -> tuple[Step, Shape]:
    slope, offset = node.get("alpha", 0.2), node.get("beta", 0.5)
    if not math.isclose(slope, 1 / 6, rel_tol=1e-4) or offset != 0.5:
        raise UnsupportedError(f"{node} has alpha {slope:g} and beta {offset:g}; expected 1/6 and 0.5")
    return Draft(layers.Hardsigmoid, node=node), read.shape(node)


def _instance_norm(read: Reading, node: Node) -> tuple[Step, Shape]:
    gamma, beta, rank = _floats(node, read.array(node, 1)), read.array(node, 2), read.rank(node)
    if rank not in (3, 4):
        raise UnsupportedError(f"{node} has an input of {rank} dimensions; expected sequences or images")
    settings: dict[str, Any] = {"num_features": len(gamma), "eps": node.get("epsilon", 1e-5)}
    settings["affine"] = bool((gamma != 1).any() or beta.any())
    kind = layers.InstanceNorm2d if rank == 4 else layers.InstanceNorm1d
    arrays = {"weight": gamma, "bias": beta} if settings["affine"] else {}
    return Draft(kind, settings, arrays, node=node, rank=rank - 1), read.shape(node)


def _same(read: Reading, node: Node) -> tuple[None, Shape]:
    return None, read.shape(node)


def _cast(read: Reading, node: Node) -> tuple[None, Shape]:
    if node.get("to") not in (1, 11):
        raise UnsupportedError(f"{node} converts to another type than float32 and float64")
    return None, read.shape(node)


def _arithmetic(read: Reading, node: Node) -> tuple[Step, Shape]:
    first = node.inputs[0] in read.constants
    constant, op = read.array(node, 0 if first else 1), node.op
    constant = _floats(node, constant)
    if constant.ndim == read.rank(node) and constant.shape[0] == 1:
        constant = constant[0]
    if constant.ndim >= read.rank(node):
        raise UnsupportedError(f"{node} has a constant of shape {constant.shape}, which tells examples apart")
    if op == "Div" and (first or not constant.all()):
        raise UnsupportedError(f"{node} divides by its input, or by 0")
    values = constant.astype(np.float64)
    if op in ("Add", "Sub"):
        scale: Any = -1.0 if op == "Sub" and first else 1.0
        shift: Any = values if op == "Add" or first else -values
    else:
        scale, shift = values if op == "Mul" else 1 / values, 0.0
    shape = read.shape(node)
    if shape is not None:
        trailing = shape[len(shape) - constant.ndim :]
        if any(n != 1 and m not in (None, n) for n, m in zip(constant.shape, trailing, strict=True)):
            raise UnsupportedError(f"{node} has a constant of shape {constant.shape} for an input of shape {shape}")
    return Affine(np.asarray(scale, np.float64), np.asarray(shift, np.float64), node, constant.dtype), shape


def _scaler(read: Reading, node: Node) -> tuple[Step, Shape]:
    offset, scale = (np.array(node.get(name), np.float32).astype(np.float64) for name in ("offset", "scale"))
    return Affine(scale, -offset * scale, node, np.dtype(np.float32)), read.shape(node)


def _clip(read: Reading, node: Node) -> tuple[Step, Shape]:
    low, high = (
        float(np.asarray(read.optional(node, index, name, bound)))
        for index, name, bound in ((1, "min", -math.inf), (2, "max", math.inf))
    )
    if low == 0 and high > 3e38:
        return Draft(layers.ReLU, node=node), read.shape(node)
    return Limits(low, high, node), read.shape(node)


def _soft_limit(read: Reading, node: Node) -> tuple[Step, Shape]:
    return Limits(-node.get("limit"), node.get("limit"), node, soft=True), read.shape(node)


#: How every operator is read; those that pynn's own `load` names as unreadable are not here.
READERS: dict[str, Reader] = {
    "Add": _arithmetic,
    "AveragePool": _avg_pool,
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Celu": _activation(layers.CELU, alpha=("alpha", 1.0)),
    "Clip": _clip,
    "Conv": _conv,
    "Div": _arithmetic,
    "Dropout": _dropout,
    "Elu": _activation(layers.ELU, alpha=("alpha", 1.0)),
    "Flatten": _flatten,
    "Gelu": _activation(layers.GELU, approximate=("approximate", "none")),
    "Gemm": _gemm,
    "GlobalAveragePool": _global_pool,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _activation(layers.Hardswish),
    "Identity": _same,
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "LeakyRelu": _activation(layers.LeakyReLU, negative_slope=("alpha", 0.01)),
    "LogSigmoid": _activation(layers.LogSigmoid),
    "LogSoftmax": _softmax(layers.LogSoftmax),
    "MatMul": _matmul,
    "MaxPool": _max_pool,
    "Mish": _activation(layers.Mish),
    "Mul": _arithmetic,
    "PRelu": _prelu,
    "Relu": _activation(layers.ReLU),
    "Selu": _selu,
    "Sigmoid": _activation(layers.Sigmoid),
    "SoftLimit": _soft_limit,
    "Softmax": _softmax(layers.Softmax),
    "Softplus": _activation(layers.Softplus, beta=("beta", 1.0)),
    "Softsign": _activation(layers.Softsign),
    "Sub": _arithmetic,
    "Swish": _swish,
    "Tanh": _activation(layers.Tanh),
    "ai.onnx.ml.LinearRegressor": _linear_regressor,
    "ai.onnx.ml.Scaler": _scaler,
}
