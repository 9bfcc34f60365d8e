"""The benchmark cases: ops on representative shapes, and whole training steps."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

#: Activations in the benchmark, by their names in `pynn.ops`.
ACTIVATIONS = ("relu", "leaky_relu", "elu", "sigmoid", "tanh", "softplus", "gelu", "silu")

#: Groups in the order of the table.
GROUPS = ("matmul", "linear", "conv", "image", "batchnorm", "activation", "loss", "optimizer", "step")


class Case(NamedTuple):
    """One row of the benchmark.

    `shape` is (m, k, n) of a product, (n, channels, height, width, filters) of a 3 x 3 convolution with padding 1, of
    any other one followed by kernel size and padding, (n, channels, height, width) of other ops on images, (rows,
    columns) of batch norm and losses, (elements,) of activations and optimisers, and empty for steps, whose `op` is the
    workload's letter.
    """

    group: str
    op: str
    shape: tuple[int, ...] = ()
    dtype: str = "float32"

    @property
    def title(self) -> str:
        """Name of the row."""
        size = "x".join(map(str, self.shape))
        return " ".join(filter(None, (self.op, size, "" if self.dtype == "float32" else self.dtype)))


class CaseStage(NamedTuple):
    """A layer with weights: linear, or for images of `image` height and width a convolution."""

    inputs: int
    outputs: int
    image: tuple[int, ...] = ()
    kernel: int = 3
    padding: int = 1

    @property
    def weights(self) -> tuple[int, ...]:
        """Shape of the weights: (inputs, outputs), or (filters, channels, kernel, kernel)."""
        return (self.outputs, self.inputs, self.kernel, self.kernel) if self.image else (self.inputs, self.outputs)

    @property
    def fan_in(self) -> int:
        """Number of inputs per output."""
        return self.inputs * (self.kernel**2 if self.image else 1)

    @property
    def convolved(self) -> tuple[int, ...]:
        """Height and width of the output."""
        return tuple(size + 2 * self.padding - self.kernel + 1 for size in self.image)


class Workload(NamedTuple):
    """A network and its training: one step is forward, loss, backward and update, on synthetic data.

    Every stage except the last is followed by batch norm (if any), an activation, and for convolutions 2 x 2 max
    pooling.
    """

    example: tuple[int, ...]  # (features,), or (channels, height, width)
    hidden: tuple[int, ...]
    outputs: int
    batch: int
    batchnorm: bool
    activation: str
    optimizer: str
    filters: tuple[int, ...] = ()
    kernel: int = 3
    padding: int = 1
    loss: str = "cross_entropy"  # or "mse"

    @property
    def stages(self) -> list[CaseStage]:
        """The layers with weights, from the inputs to the outputs."""
        channels, *image = self.example
        found = []
        for filters in self.filters:
            found.append(CaseStage(channels, filters, tuple(image), self.kernel, self.padding))
            channels, image = filters, [size // 2 for size in found[-1].convolved]
        widths = (channels * math.prod(image), *self.hidden, self.outputs)
        return found + list(itertools.starmap(CaseStage, itertools.pairwise(widths)))

    @property
    def activations(self) -> list[tuple[int, ...]]:
        """Input shapes of batch norm and activations."""
        return [(self.batch, stage.outputs, *stage.convolved) for stage in self.stages[:-1]]

    @property
    def parameters(self) -> int:
        """Number of trained parameters."""
        trained = sum(math.prod(stage.weights) + stage.outputs for stage in self.stages)
        return trained + 2 * self.batchnorm * sum(stage.outputs for stage in self.stages[:-1])


WORKLOADS = {
    "A": Workload((784,), (256,), 10, 64, False, "relu", "sgd"),
    "B": Workload((784,), (256, 256), 10, 64, True, "relu", "adam"),
    "C": Workload((3072,), (100,) * 4, 10, 50, True, "relu", "adam"),
    "D": Workload((3072,), (500,) * 9, 10, 128, True, "tanh", "sgd"),
    "E": Workload((20,), (64, 64), 2, 32, False, "relu", "adam"),
    "F": Workload((1024,), (2048,) * 3, 1000, 512, True, "relu", "sgd"),
    "G": Workload((3, 32, 32), (), 10, 64, True, "relu", "sgd", filters=(32, 64, 128)),
    # The published cases of SimpleChains.jl: LeNet-5 on digits, and a small network for 2 x 2 matrices at full batch.
    "H": Workload((1, 28, 28), (120, 84), 10, 64, False, "relu", "adam", filters=(6, 16), kernel=5, padding=0),
    "I": Workload((4,), (32, 16), 4, 10_000, False, "tanh", "adam", loss="mse"),
}

_SQUARES = (256, 512, 1024, 2048)
_BATCHNORM_SHAPES = ((64, 256), (256, 512), (4096, 1024), (65536, 64))
_BATCHNORM_OPS = ("batchnorm", "batchnorm_relu", "batchnorm_backward", "batchnorm_relu_backward")
_CONV_SHAPES = ((64, 32, 32, 32, 64), (64, 64, 16, 16, 128), (64, 128, 8, 8, 256))
_MNIST_SHAPES = ((64, 1, 28, 28, 32), (64, 16, 14, 14, 32), (64, 32, 7, 7, 64))  # whose rows fill no whole vectors
_CONV_OPS = ("conv2d", "conv2d_backward", "conv2d_backward_weights")
_IMAGE_OPS = ("batchnorm2d", "batchnorm2d_backward", "max_pool2d", "max_pool2d_backward")
_LOSS_SHAPES = ((64, 10), (512, 1000))
_THOUSAND, _MILLION = 1 << 10, 1 << 20


def parts(workload: Workload) -> Iterator[Case]:
    """Yield the ops of a step, without activations, which other libraries fuse."""
    stages = workload.stages
    for stage in stages:
        first, last = stage is stages[0], stage is stages[-1]
        outputs = (workload.batch, stage.outputs, *stage.convolved)
        if stage.image:
            shape: tuple[int, ...] = (workload.batch, stage.inputs, *stage.image, stage.outputs)
            if (stage.kernel, stage.padding) != (3, 1):
                shape += stage.kernel, stage.padding
            yield Case("conv", "conv2d", shape)
            yield Case("conv", "conv2d_backward_weights" if first else "conv2d_backward", shape)
            yield Case("image", "max_pool2d", outputs)
            yield Case("image", "max_pool2d_backward", outputs)
        else:
            batch, k, n = workload.batch, stage.inputs, stage.outputs
            yield Case("matmul", "matmul", (batch, k, n))
            yield Case("matmul", "matmul_trans_a", (k, batch, n))  # the gradient of the weights
            if not first:
                yield Case("matmul", "matmul_trans_b", (batch, n, k))  # the gradient of the input
        if workload.batchnorm and not last:
            group, op = ("image", "batchnorm2d") if stage.image else ("batchnorm", "batchnorm")
            yield Case(group, op, outputs)
            yield Case(group, f"{op}_backward", outputs)
    if workload.loss == "cross_entropy":
        yield Case("loss", "softmax_cross_entropy", (workload.batch, workload.outputs))
    yield Case("optimizer", workload.optimizer, (workload.parameters,))


def _products(workload: Workload) -> Iterator[Case]:
    return (case for case in parts(workload) if case.group == "matmul")


def select(full: bool, groups: tuple[str, ...] = GROUPS) -> list[Case]:
    """Return the cases in table order; a few per group unless `full`."""
    chosen = _full() if full else _quick()
    return [case for case in dict.fromkeys(chosen) if case.group in groups]


def _quick() -> Iterator[Case]:
    for size in (256, 1024):
        yield Case("matmul", "matmul", (size, size, size))
    yield from _products(WORKLOADS["B"])
    yield Case("linear", "linear_relu", (64, 784, 256))
    yield Case("linear", "linear_relu", (32, 64, 64))
    for op in _CONV_OPS:
        yield Case("conv", op, _CONV_SHAPES[1])
    for op in _IMAGE_OPS:
        yield Case("image", op, _CONV_SHAPES[1][:4])
    for op in _BATCHNORM_OPS:
        for shape in _BATCHNORM_SHAPES[:3:2]:
            yield Case("batchnorm", op, shape)
    for op in ACTIVATIONS:
        yield Case("activation", op, (_MILLION,))
    yield Case("loss", "softmax_cross_entropy", _LOSS_SHAPES[0])
    for op in ("sgd", "adam"):
        yield Case("optimizer", op, (WORKLOADS["B"].parameters,))
    for name in "ABCDEGHI":
        yield Case("step", name)


def _full() -> Iterator[Case]:
    for dtype in ("float32", "float64"):
        for size in _SQUARES:
            yield Case("matmul", "matmul", (size, size, size), dtype)
    for workload in WORKLOADS.values():
        yield from _products(workload)
    for workload in WORKLOADS.values():
        for stage in workload.stages:
            if not stage.image:
                yield Case("linear", "linear_relu", (workload.batch, stage.inputs, stage.outputs))
    for op in _CONV_OPS:
        for images in (*_CONV_SHAPES, *_MNIST_SHAPES):
            yield Case("conv", op, images)
    for op in _IMAGE_OPS:
        for images in _CONV_SHAPES:
            yield Case("image", op, images[:4])
    for op in _BATCHNORM_OPS:
        for shape in _BATCHNORM_SHAPES:
            yield Case("batchnorm", op, shape)
    for op in ACTIVATIONS:
        for elements in (16 * _THOUSAND, _MILLION, 16 * _MILLION):
            yield Case("activation", op, (elements,))
        yield Case("activation", f"{op}_backward", (_MILLION,))
    for shape in _LOSS_SHAPES:
        yield Case("loss", "softmax_cross_entropy", shape)
    for op in ("sgd", "adam"):
        for name in "EBF":
            yield Case("optimizer", op, (WORKLOADS[name].parameters,))
    for name in WORKLOADS:
        yield Case("step", name)
