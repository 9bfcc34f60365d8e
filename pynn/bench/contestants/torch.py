"""PyTorch: eager with fused optimisers, with preallocated outputs where supported; and compiled.

Image workloads run in both memory layouts, as two contestants; single ops on images use the faster one.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from ..cases import WORKLOADS, Case, CaseStage, Workload
from ..data import batch, factors, labels, normal, weights
from . import Run, bound

aten = torch.ops.aten
# Thousands of steps on one batch lead to denormal gradients and moments, a slowdown that real training does not have;
# pynn's kernels flush them anyway.
torch.set_flush_denormal(True)
_LAYERS = {"relu": nn.ReLU, "tanh": nn.Tanh}


def prepare(case: Case, mode: str) -> Run | None:
    """Return a function that runs the case, or None; only steps have compiled and layout variants."""
    if case.group == "step":
        return _step(case, mode)
    return _MAKERS[case.group](case) if mode == "eager" else None


def _tensor(seed: int, *shape: int) -> torch.Tensor:
    return torch.from_numpy(normal(seed, *shape))


def _product(case: Case) -> Run:
    a, b = (torch.from_numpy(factor) for factor in factors(case))
    a = a.T if case.op.endswith("trans_a") else a
    b = b.T if case.op.endswith("trans_b") else b
    return bound(torch.mm, a, b, out=torch.empty(a.shape[0], b.shape[1], dtype=a.dtype))


def _linear(case: Case) -> Run:
    a, b = (torch.from_numpy(factor) for factor in factors(case))
    bias, out = _tensor(3, case.shape[2]), torch.empty(case.shape[0], case.shape[2])

    def run() -> None:
        torch.addmm(bias, a, b, out=out)
        out.relu_()

    return run


def _better_layout(make: Callable[[torch.memory_format], Run]) -> Run:
    """Return the run in the faster of PyTorch's two image layouts."""
    runs = [make(layout) for layout in (torch.contiguous_format, torch.channels_last)]
    for run in runs:
        run()  # the first call selects an algorithm and compiles
    seconds = [min(timeit.repeat(run, number=1, repeat=5)) for run in runs]
    return runs[seconds.index(min(seconds))]


def _images(case: Case) -> Run:
    def make(layout: torch.memory_format) -> Run:
        x = _tensor(1, *case.shape[:4]).to(memory_format=layout)
        if case.group == "conv":
            w = _tensor(2, case.shape[4], case.shape[1], 3, 3).to(memory_format=layout)
            if case.op == "conv2d":
                return bound(aten.convolution, x, w, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1)
            dy = _tensor(3, case.shape[0], case.shape[4], *case.shape[2:4]).to(memory_format=layout)
            wanted = [not case.op.endswith("weights"), True, False]
            geometry = None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1
            return bound(aten.convolution_backward, dy, x, w, *geometry, wanted)
        if case.op.startswith("max_pool2d"):
            window = [2, 2], [2, 2], [0, 0], [1, 1], False
            if case.op == "max_pool2d":
                return bound(aten.max_pool2d_with_indices, x, *window)
            y, index = aten.max_pool2d_with_indices(x, *window)
            dy = _tensor(2, *y.shape).to(memory_format=layout)
            return bound(aten.max_pool2d_with_indices_backward, dy, x, *window, index)
        gamma, beta, mean, var = (torch.ones(case.shape[1]) for _ in range(4))
        _, *used = aten.native_batch_norm(x, gamma, beta, mean, var, True, 0.1, 1e-5)
        if case.op == "batchnorm2d":
            return bound(aten.native_batch_norm, x, gamma, beta, mean, var, True, 0.1, 1e-5)
        dy = _tensor(2, *case.shape).to(memory_format=layout)
        return bound(aten.native_batch_norm_backward, dy, x, gamma, mean, var, *used, True, 1e-5, [True] * 3)

    return _better_layout(make)


def _batchnorm(case: Case) -> Run:
    x, columns = _tensor(1, *case.shape), case.shape[1]
    gamma, beta, running_mean, running_var = (f(columns) for f in (torch.ones, torch.zeros, torch.zeros, torch.ones))
    y, mean, rstd = aten.native_batch_norm(x, gamma, beta, running_mean, running_var, True, 0.1, 1e-5)
    relu = "relu" in case.op
    if "backward" not in case.op:
        outputs = {"out": y, "save_mean": mean, "save_invstd": rstd}

        def forward() -> None:
            aten.native_batch_norm.out(x, gamma, beta, running_mean, running_var, True, 0.1, 1e-5, **outputs)
            if relu:
                y.relu_()

        return forward
    dy, dx = _tensor(2, *case.shape), torch.empty_like(x)
    y.relu_()

    def backward() -> None:
        upstream = aten.threshold_backward.grad_input(dy, y, 0, grad_input=dx) if relu else dy
        aten.native_batch_norm_backward(
            upstream, x, gamma, running_mean, running_var, mean, rstd, True, 1e-5, [True] * 3
        )

    return backward


def _activation(case: Case) -> Run:
    x = _tensor(1, *case.shape)
    out = torch.empty_like(x)
    name = case.op.removesuffix("_backward")
    extra = {"elu": (1.0,), "leaky_relu": (0.01,)}.get(name, ())
    forward = getattr(aten, name)
    if case.op == "relu":  # torch's `out` form computes into a temporary first
        return bound(torch.clamp_min, x, 0, out=out)
    if name == case.op:
        return bound(forward.out, x, *extra, out=out)
    dy, y = _tensor(2, *case.shape), forward(x, *extra)
    operator, arguments = {
        "relu": (aten.threshold_backward, (dy, y, 0)),
        "leaky_relu": (aten.leaky_relu_backward, (dy, x, 0.01, False)),
        "elu": (aten.elu_backward, (dy, 1.0, 1, 1, True, y)),
        "sigmoid": (aten.sigmoid_backward, (dy, y)),
        "tanh": (aten.tanh_backward, (dy, y)),
        "softplus": (aten.softplus_backward, (dy, x, 1, 20)),
        "gelu": (aten.gelu_backward, (dy, x)),
        "silu": (aten.silu_backward, (dy, x)),
    }[name]
    return bound(operator.grad_input, *arguments, grad_input=out)


def _loss(case: Case) -> Run:
    logits, target = _tensor(1, *case.shape), torch.from_numpy(labels(*case.shape))
    one = torch.ones(())

    def run() -> None:  # the parts of cross_entropy and its gradient, without autograd
        log_probabilities = aten._log_softmax(logits, 1, False)
        _, weight = aten.nll_loss_forward(log_probabilities, target, None, 1, -100)
        gradient = aten.nll_loss_backward(one, log_probabilities, target, None, 1, -100, weight)
        aten._log_softmax_backward_data(gradient, log_probabilities, 1, torch.float32)

    return run


def make_optimizer(name: str, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """Return the optimiser of a workload, with fused updates."""
    if name == "sgd":
        return torch.optim.SGD(parameters, lr=0.01, momentum=0.9, fused=True)
    return torch.optim.Adam(parameters, lr=1e-3, fused=True)


def _optimizer(case: Case) -> Run:
    parameter = nn.Parameter(_tensor(1, *case.shape))
    parameter.grad = _tensor(2, *case.shape)
    return make_optimizer(case.op, [parameter]).step


def network(workload: Workload) -> Any:  # nn.Sequential; its stub lacks `to(memory_format=)`
    """Return the workload's network."""
    chain: list[nn.Module] = []
    stages = workload.stages
    for stage, weight in zip(stages, weights(workload), strict=True):
        if stage.image:
            layer: Any = nn.Conv2d(stage.inputs, stage.outputs, stage.kernel, padding=stage.padding)
        else:
            layer = nn.Linear(stage.inputs, stage.outputs)
            chain += [nn.Flatten()] if workload.filters else []
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weight if stage.image else weight.T))
            layer.bias.zero_()
        chain.append(layer)
        if stage is not stages[-1]:
            chain += _after_product(stage, workload)
    return nn.Sequential(*chain)


def _after_product(stage: CaseStage, workload: Workload) -> Iterator[nn.Module]:
    if workload.batchnorm:
        yield nn.BatchNorm2d(stage.outputs) if stage.image else nn.BatchNorm1d(stage.outputs)
    yield _LAYERS[workload.activation]()
    if stage.image:
        yield nn.MaxPool2d(2)


def _step(case: Case, mode: str) -> Run | None:
    workload = WORKLOADS[case.op]
    model = network(workload)
    criterion = nn.CrossEntropyLoss() if workload.loss == "cross_entropy" else nn.MSELoss()
    x, target = (torch.from_numpy(array) for array in batch(workload))
    if mode == "channels-last":
        if not workload.filters:
            return None
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    optimizer = make_optimizer(workload.optimizer, list(model.parameters()))

    def loss_of(inputs: torch.Tensor) -> torch.Tensor:
        return criterion(model(inputs), target)

    forward = torch.compile(loss_of) if mode == "compile" else loss_of

    def run() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = forward(x)
        loss.backward()
        optimizer.step()
        return loss.item()

    return run


_MAKERS = {
    "matmul": _product,
    "linear": _linear,
    "batchnorm": _batchnorm,
    "conv": _images,
    "image": _images,
    "activation": _activation,
    "loss": _loss,
    "optimizer": _optimizer,
}
