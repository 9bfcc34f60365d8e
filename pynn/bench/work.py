"""Floating-point operations and minimum bytes moved per case: one model for all contestants.

A multiply-add counts as two operations. Bytes count each array once per pass that the mathematics demands: batch norm's
statistics must be complete before the first result, so its inputs are read twice; what a contestant reads or writes
beyond that is not counted.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .cases import WORKLOADS, Case, Workload, parts

#: Operations per element in pynn's kernels: polynomials by Horner's rule, a division counts as one.
PER_ELEMENT = {
    "relu": 1,
    "leaky_relu": 2,
    "elu": 25,
    "sigmoid": 28,
    "tanh": 27,
    "softplus": 42,
    "gelu": 66,
    "silu": 30,
    "softmax_cross_entropy": 30,
    "sgd": 5,
    "adam": 15,
}
#: The same for the derivatives, with the stored values of the forward pass.
PER_ELEMENT_BACKWARD = {
    "relu": 1,
    "leaky_relu": 2,
    "elu": 3,
    "sigmoid": 3,
    "tanh": 3,
    "softplus": 25,
    "gelu": 68,
    "silu": 33,
}
#: (operations per element, arrays moved)
_BATCHNORM = {
    "batchnorm": (6, 3),
    "batchnorm_relu": (7, 3),
    "batchnorm_backward": (10, 5),
    "batchnorm_relu_backward": (14, 5),
}
_UPDATE_ARRAYS = {"sgd": 5, "adam": 7}  # gradient and state in, parameter and state out


class Work(NamedTuple):
    """Operations, bytes moved, and the bytes of all arrays, which determine the cache level."""

    operations: float
    bytes: float
    footprint: float


def work(case: Case) -> Work:
    """Return the work of a case."""
    size = np.dtype(case.dtype).itemsize
    if case.group == "step":
        return _step(WORKLOADS[case.op], size)
    if case.group in ("matmul", "linear"):
        m, k, n = case.shape
        moved = size * (m * k + k * n + m * n)
        return Work(2 * m * k * n + (case.group == "linear") * 2 * m * n, moved, moved)
    if case.group == "conv":
        n, channels, height, width, filters, kernel, padding = (*case.shape, 3, 1)[:7]
        pixels, smaller = height * width, 2 * padding - kernel + 1
        convolved, taps = (height + smaller) * (width + smaller), kernel**2
        arrays = size * (n * (pixels * channels + convolved * filters) + taps * channels * filters)
        both = case.op == "conv2d_backward"  # one gradient reads dy and x, the other dy and w
        operations = 2.0 * taps * n * convolved * channels * filters
        return Work((1 + both) * operations, (1 + both) * arrays, arrays)
    elements = int(np.prod(case.shape))
    if case.op.startswith("max_pool2d"):  # a quarter of the results, each with a 2-byte index
        moved = elements * size + elements // 4 * (size + 2)
        return Work(elements, moved, moved)
    if case.group == "image":
        case = case._replace(group="batchnorm", op=case.op.replace("2d", ""))
    if case.group == "batchnorm":
        operations, passes = _BATCHNORM[case.op]
        arrays = 3 if "backward" in case.op else 2
        return Work(operations * elements, passes * size * elements, arrays * size * elements)
    if case.group == "optimizer":
        passes, arrays = _UPDATE_ARRAYS[case.op], (_UPDATE_ARRAYS[case.op] + 1) // 2
        return Work(PER_ELEMENT[case.op] * elements, passes * size * elements, arrays * size * elements)
    backward = case.op.endswith("_backward")
    operations = PER_ELEMENT_BACKWARD[case.op.removesuffix("_backward")] if backward else PER_ELEMENT[case.op]
    moved = (3 if backward else 2) * size * elements
    return Work(operations * elements, moved, moved)


def _step(workload: Workload, size: int) -> Work:
    """Return the sum over a step's ops; bytes assume that nothing stays cached."""
    amounts = [work(case) for case in parts(workload)]
    elements, name = sum(map(math.prod, workload.activations)), workload.activation
    activations = (PER_ELEMENT[name] + PER_ELEMENT_BACKWARD[name]) * elements
    return Work(
        sum(amount.operations for amount in amounts) + activations,
        sum(amount.bytes for amount in amounts),
        size * (4 * workload.parameters + 4 * elements),
    )
