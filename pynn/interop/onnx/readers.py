"""How each node of ONNX is read as a layer of pynn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...nn import layers
from .drafts import Affine, Draft, Limits, Step
from .errors import UnsupportedError
from .graph import Node
from .operators.limits import dimension
from .reading import Reader, Reading, Shape, floats, unknown_shape


def _matrix(node: Node, array: np.ndarray) -> np.ndarray:
    if array.ndim != 2 or array.size == 0:
        raise UnsupportedError(f"{node} has weights of shape {array.shape}; expected a matrix")
    return floats(node, array)


def _linear(
    node: Node, weight: np.ndarray, bias: np.ndarray | None, shape: tuple[int | None, ...] = (None, None)
) -> tuple[Step, Shape]:
    arrays = {"weight": np.ascontiguousarray(weight)}
    if bias is not None:
        bias = floats(node, bias)
        if bias.size not in (1, weight.shape[1]) or max(bias.shape, default=1) != bias.size:
            raise UnsupportedError(f"{node} adds an array of shape {bias.shape}; expected ({weight.shape[1]},)")
        arrays["bias"] = np.broadcast_to(bias.reshape(-1), weight.shape[1:])
    settings = {"in_features": weight.shape[0], "out_features": weight.shape[1]}
    draft = Draft(layers.Linear, settings, arrays, node=node, rank=len(shape) - 1)
    return draft, (*shape[:-1], weight.shape[1])


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
    shape, matrix = read.shape(node), _matrix(node, read.array(node, 1))
    if shape is None or len(shape) < 2 or shape[-1] not in (None, len(matrix)):
        raise UnsupportedError(f"{node} has an input of shape {shape}; expected (batch, ..., {len(matrix)})")
    return _linear(node, matrix, None, shape)


def _linear_regressor(read: Reading, node: Node) -> tuple[Step, Shape]:
    targets = node.get("targets", 1)
    weight = np.array(node.get("coefficients"), np.float32).reshape(targets, -1).T
    if node.get("post_transform", "NONE") != "NONE":
        raise UnsupportedError(f"{node} has post_transform {node.get('post_transform')!r}; expected NONE")
    return _linear(node, weight, np.array(node.get("intercepts", [0.0] * targets), np.float32))


def _batch_norm(read: Reading, node: Node) -> tuple[Step, Shape]:
    _refuse_training(node, bool(node.get("training_mode", 0)))
    if not node.get("spatial", 1):
        raise UnsupportedError(f"{node} has spatial 0, statistics of each pixel; expected those of channels")
    names = ("weight", "bias", "running_mean", "running_var")
    arrays = {name: floats(node, read.array(node, index + 1)) for index, name in enumerate(names)}
    kind = layers.BatchNorm2d if read.rank(node) == 4 else layers.BatchNorm1d
    settings = {
        "num_features": len(arrays["weight"]),
        "eps": node.get("epsilon", 1e-5),
        "momentum": 1 - node.get("momentum", 0.9),
    }
    return Draft(kind, settings, arrays, node=node, rank=read.rank(node) - 1), read.shape(node)


def _refuse_training(node: Node, trains: bool) -> None:
    """Raise UnsupportedError if a node is in training mode; before opset 7, an attribute said that it is not."""
    if trains or (node.opset < 7 and not node.get("is_test", 0)):
        raise UnsupportedError(f"{node} is in training mode; export the model in inference mode")


def _layer_norm(read: Reading, node: Node) -> tuple[Step, Shape]:
    shape, settings = read.shape(node), {"eps": node.get("epsilon", 1e-5)}
    if len(node.inputs) == 1:  # made of several nodes; gamma and beta follow
        return _plain_norm(layers.LayerNorm, node, shape), shape
    gamma, beta = floats(node, read.array(node, 1)), read.optional(node, 2)
    axis = node.get("axis", -1)
    dimensions = -axis if axis < 0 else read.rank(node) - axis
    if gamma.ndim != dimensions or any(node.outputs[1:]):
        raise UnsupportedError(f"{node} has weights of shape {gamma.shape} over {dimensions} dimensions")
    settings["normalized_shape"] = gamma.shape
    if beta is None and (gamma == 1).all():
        return Draft(layers.LayerNorm, {**settings, "elementwise_affine": False}, node=node), shape
    arrays = {"weight": gamma, "bias": np.zeros_like(gamma) if beta is None else beta}
    return Draft(layers.LayerNorm, settings, arrays, node=node), shape


def _rms_norm(read: Reading, node: Node) -> tuple[Step, Shape]:
    shape = read.shape(node)
    if len(node.inputs) == 1:  # made of several nodes; gamma follows
        return _plain_norm(layers.RMSNorm, node, shape), shape
    gamma, axis = floats(node, read.array(node, 1)), node.get("axis", -1)
    dimensions = -axis if axis < 0 else read.rank(node) - axis
    if gamma.ndim != dimensions:
        raise UnsupportedError(f"{node} has weights of shape {gamma.shape} over {dimensions} dimensions")
    settings = {"eps": node.get("epsilon", 1e-5), "normalized_shape": gamma.shape}
    return Draft(layers.RMSNorm, settings, {"weight": gamma}, node=node), shape


def _plain_norm(kind: type[layers.Layer], node: Node, shape: Shape) -> Draft:
    """Return a norm over the last dimensions without weights."""
    over = None if shape is None else shape[node.get("axis") :]
    if over is None or None in over:
        raise unknown_shape(node)
    settings = {"eps": node.get("epsilon", 1e-5), "normalized_shape": over, "elementwise_affine": False}
    return Draft(kind, settings, node=node)


def _glu(read: Reading, node: Node) -> tuple[Step, Shape]:
    rank, axis, shape = read.rank(node), node.get("axis"), read.shape(node)
    dim = dimension(node, axis, rank)
    if dim == 0:
        raise UnsupportedError(f"{node} has axis {axis} of {rank}, the batch; expected another one")
    assert shape is not None
    size = shape[dim]
    if size is not None and size % 2:
        raise UnsupportedError(f"{node} splits {size} elements; expected an even number, for two equal parts")
    halved = (*shape[:dim], None if size is None else size // 2, *shape[dim + 1 :])
    return Draft(layers.GLU, {"dim": -1 if dim == rank - 1 else dim}, node=node), halved


def _flatten(read: Reading, node: Node) -> tuple[Step, Shape]:
    if node.get("axis", 1) != 1:
        raise UnsupportedError(f"{node} has axis {node.get('axis')}; expected 1")
    shape = read.shape(node)
    features = None if shape is None or None in shape[1:] else math.prod(shape[1:])  # type: ignore[arg-type]
    return Draft(layers.Flatten, node=node), (None, features)


def _dropout(read: Reading, node: Node) -> tuple[Step, Shape]:
    ratio = float(np.asarray(read.optional(node, 1, "ratio", 0.5)))
    _refuse_training(node, bool(np.any(read.optional(node, 2, default=False))))
    return Draft(layers.Dropout, {"p": ratio}, node=node), read.shape(node)


def _prelu(read: Reading, node: Node) -> tuple[Step, Shape]:
    slope = floats(node, read.array(node, 1))
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
        place = dimension(node, axis, rank)
        last = place == rank - 1
        if place == 0 or (node.opset < 13 and not last):  # earlier, it was over all dimensions from `axis` on
            raise UnsupportedError(f"{node} has axis {axis} of {rank}; expected the last one")
        return Draft(kind, {"dim": -1 if last else place}, node=node), read.shape(node)

    return reader


def _hard_sigmoid(read: Reading, node: Node) -> tuple[Step, Shape]:
    slope, offset = node.get("alpha", 0.2), node.get("beta", 0.5)
    if not math.isclose(slope, 1 / 6, rel_tol=1e-4) or offset != 0.5:
        raise UnsupportedError(f"{node} has alpha {slope:g} and beta {offset:g}; expected 1/6 and 0.5")
    return Draft(layers.Hardsigmoid, node=node), read.shape(node)


def _instance_norm(read: Reading, node: Node) -> tuple[Step, Shape]:
    gamma, beta, rank = floats(node, read.array(node, 1)), read.array(node, 2), read.rank(node)
    if rank not in (3, 4):
        raise UnsupportedError(f"{node} has an input of {rank} dimensions; expected sequences or images")
    settings: dict[str, Any] = {"num_features": len(gamma), "eps": node.get("epsilon", 1e-5)}
    settings["affine"] = bool((gamma != 1).any() or beta.any())
    kind = layers.InstanceNorm2d if rank == 4 else layers.InstanceNorm1d
    arrays = {"weight": gamma, "bias": beta} if settings["affine"] else {}
    return Draft(kind, settings, arrays, node=node, rank=rank - 1), read.shape(node)


def _same(read: Reading, node: Node) -> tuple[None, Shape]:
    return None, read.shape(node)


def _alone(read: Reading, node: Node) -> tuple[None, Shape]:
    """Read what joins values, and has only one."""
    if len(node.inputs) > 1:
        raise UnsupportedError(f"{node} joins its input with constants")
    return _same(read, node)


def _cast(read: Reading, node: Node) -> tuple[None, Shape]:
    if node.get("to") not in (1, 11):
        raise UnsupportedError(f"{node} converts to another type than float32 and float64")
    return None, read.shape(node)


def _arithmetic(read: Reading, node: Node) -> tuple[Step, Shape]:
    first = node.inputs[0] in read.constants
    constant, op = read.array(node, 0 if first else 1), node.op
    constant = floats(node, constant)
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


READERS: dict[str, Reader] = {
    "Add": _arithmetic,
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Celu": _activation(layers.CELU, alpha=("alpha", 1.0)),
    "Clip": _clip,
    "Concat": _alone,
    "Div": _arithmetic,
    "Dropout": _dropout,
    "Elu": _activation(layers.ELU, alpha=("alpha", 1.0)),
    "Flatten": _flatten,
    "Gelu": _activation(layers.GELU, approximate=("approximate", "none")),
    "Gemm": _gemm,
    "Glu": _glu,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _activation(layers.Hardswish),
    "Identity": _same,
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "LeakyRelu": _activation(layers.LeakyReLU, negative_slope=("alpha", 0.01)),
    "LogSigmoid": _activation(layers.LogSigmoid),
    "LogSoftmax": _softmax(layers.LogSoftmax),
    "MatMul": _matmul,
    "Mish": _activation(layers.Mish),
    "Mul": _arithmetic,
    "PRelu": _prelu,
    "RMSNormalization": _rms_norm,
    "Relu": _activation(layers.ReLU),
    "Selu": _selu,
    "Sigmoid": _activation(layers.Sigmoid),
    "SoftLimit": _soft_limit,
    "Softmax": _softmax(layers.Softmax),
    "Softplus": _activation(layers.Softplus, beta=("beta", 1.0)),
    "Softsign": _activation(layers.Softsign),
    "Sub": _arithmetic,
    "Sum": _alone,
    "Swish": _swish,
    "Tanh": _activation(layers.Tanh),
    "ai.onnx.ml.LinearRegressor": _linear_regressor,
    "ai.onnx.ml.Scaler": _scaler,
}
