"""pynn itself, on any of its backends."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ... import ops
from ...backends import selection as backend
from ...nn import layers, losses
from ...nn.parameters import aligned_zeros
from ...nn.sequential import Sequential
from ...optim import optimizers as optim
from ...training.trainer import Trainer
from ..cases import WORKLOADS, Case, CaseStage, Workload
from ..data import batch, factors, labels, normal, product_of, result_like, weights
from . import Run, bound

_OPTIMIZERS = {"sgd": lambda: optim.SGD(lr=0.01, momentum=0.9), "adam": lambda: optim.Adam(lr=1e-3)}
_LAYERS = {"relu": layers.ReLU, "tanh": layers.Tanh}


def prepare(case: Case, backend_name: str) -> Run:
    """Return a function that runs the case; selects the backend for the whole process."""
    backend.use_backend(backend_name)
    return _MAKERS[case.group](case)


def _product(case: Case) -> Run:
    a, b = factors(case)
    transposed = {"trans_a": case.op.endswith("trans_a"), "trans_b": case.op.endswith("trans_b")}
    out = product_of(a.T if transposed["trans_a"] else a, b.T if transposed["trans_b"] else b)
    return bound(ops.matmul, a, b, **transposed, out=out)


def _linear(case: Case) -> Run:
    a, b = factors(case)
    out = product_of(a, b)
    return bound(ops.matmul, a, b, bias=normal(3, case.shape[2]), activation="relu", out=out)


def _conv(case: Case) -> Run:
    x, w = normal(1, *case.shape[:4]), normal(2, case.shape[4], case.shape[1], 3, 3)
    y = result_like(ops.conv2d(x, w, padding=1))
    if case.op == "conv2d":
        return bound(ops.conv2d, x, w, padding=1, out=y)
    dx = None if case.op.endswith("weights") else result_like(x)
    gradients = {"dw": result_like(w), "dx": dx, "need_dx": dx is not None, "need_db": False}
    return bound(ops.conv2d_backward, normal(3, *y.shape), x, w, padding=1, **gradients)


def _image(case: Case) -> Run:
    x = normal(1, *case.shape)
    if case.op.startswith("max_pool2d"):
        y = aligned_zeros((*case.shape[:2], case.shape[2] // 2, case.shape[3] // 2), x.dtype)
        index = aligned_zeros(y.shape, np.uint16)
        forward = bound(ops.max_pool2d, x, 2, out=y, index_out=index)
        if case.op == "max_pool2d":
            return forward
        forward()
        return bound(ops.max_pool2d_backward, normal(2, *y.shape), index, x.shape, 2, out=result_like(x))
    gamma, beta, mean, var = (np.ones(case.shape[1], np.float32) for _ in range(4))
    _, *used = ops.batch_norm2d(x, gamma, beta, mean, var)
    if case.op == "batchnorm2d":
        outputs = {"out": result_like(x), "mean_out": used[0], "rstd_out": used[1]}
        return bound(ops.batch_norm2d, x, gamma, beta, mean, var, **outputs)
    gradients = {"dx": result_like(x), "dgamma": np.empty_like(gamma), "dbeta": np.empty_like(beta)}
    return bound(ops.batch_norm2d_backward, normal(2, *case.shape), x, gamma, beta, *used, **gradients)


def _batchnorm(case: Case) -> Run:
    x = normal(1, *case.shape)
    columns = case.shape[1]
    activation = "relu" if "relu" in case.op else None
    gamma, beta, mean, rstd = (np.ones(columns, np.float32) for _ in range(4))
    running = np.zeros(columns, np.float32), np.ones(columns, np.float32)
    y = result_like(x)
    outputs = {"out": y, "mean_out": mean, "rstd_out": rstd, "activation": activation}
    forward = bound(ops.batch_norm, x, gamma, beta, *running, **outputs)
    if "backward" not in case.op:
        return forward
    forward()
    gradients = {"dx": result_like(x), "dgamma": result_like(gamma), "dbeta": result_like(beta)}
    dy = normal(2, *case.shape)
    return bound(ops.batch_norm_backward, dy, x, gamma, beta, mean, rstd, activation=activation, **gradients)


def _activation(case: Case) -> Run:
    x = normal(1, *case.shape)
    out = result_like(x)
    if not case.op.endswith("_backward"):
        return bound(getattr(ops, case.op), x, out=out)
    name = case.op.removesuffix("_backward")
    saved = x if name in ("gelu", "silu") else getattr(ops, name)(x, out=result_like(x))
    return bound(getattr(ops, case.op), normal(2, *case.shape), saved, out=out)


def _loss(case: Case) -> Run:
    logits = normal(1, *case.shape)
    return bound(ops.softmax_cross_entropy, logits, labels(*case.shape), dlogits=result_like(logits))


def _optimizer(case: Case) -> Run:
    (size,) = case.shape
    parameters, gradients = normal(1, size), normal(2, size)
    bounds, rates = np.array([[0, size]]), np.array([[1e-6, 0.0]])
    state = [aligned_zeros((size,), np.float32) for _ in range(2)]
    if case.op == "sgd":
        return bound(ops.sgd, parameters, gradients, state[0], bounds, rates, momentum=0.9)
    return bound(ops.adam, parameters, gradients, *state, bounds, rates, step=np.array([10]))


def network(workload: Workload) -> Sequential:
    """Return the workload's network."""
    chain: list[layers.Layer] = []
    stages = workload.stages
    for stage, weight in zip(stages, weights(workload), strict=True):
        if stage.image:
            layer: layers.Conv2d | layers.Linear = layers.Conv2d(
                stage.inputs, stage.outputs, stage.kernel, padding=stage.padding
            )
        else:
            layer = layers.Linear(stage.inputs, stage.outputs)
            chain += [layers.Flatten()] if workload.filters else []
        assert layer.bias is not None
        layer.weight[...], layer.bias[...] = weight, 0
        chain.append(layer)
        if stage is not stages[-1]:
            chain += _after_product(stage, workload)
    return Sequential(*chain)


def _after_product(stage: CaseStage, workload: Workload) -> Iterator[layers.Layer]:
    if workload.batchnorm:
        yield layers.BatchNorm2d(stage.outputs) if stage.image else layers.BatchNorm1d(stage.outputs)
    yield _LAYERS[workload.activation]()
    if stage.image:
        yield layers.MaxPool2d(2)


def trainer_of(workload: Workload) -> Trainer:
    """Return a trainer of the workload's network."""
    loss = losses.CrossEntropyLoss() if workload.loss == "cross_entropy" else losses.MSELoss()
    return Trainer(network(workload), loss, _OPTIMIZERS[workload.optimizer]())


def _step(case: Case) -> Run:
    workload = WORKLOADS[case.op]
    return bound(trainer_of(workload).step, *batch(workload))


_MAKERS = {
    "matmul": _product,
    "linear": _linear,
    "batchnorm": _batchnorm,
    "conv": _conv,
    "image": _image,
    "activation": _activation,
    "loss": _loss,
    "optimizer": _optimizer,
    "step": _step,
}
