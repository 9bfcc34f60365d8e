"""Input arrays, identical for all contestants.

They are aligned to cache lines, as in training steps and in other libraries. NumPy's own arrays may not be, which costs
up to a quarter of the speed.
"""

from __future__ import annotations

import numpy as np

from ..nn.parameters import aligned_zeros
from .cases import Case, Workload


def normal(seed: int, *shape: int, dtype: str = "float32") -> np.ndarray:
    """Return standard normal numbers, drawn in single precision: 16 million of them take a moment."""
    kind = np.float32 if dtype == "float32" else np.float64
    return np.random.default_rng(seed).standard_normal(shape, dtype=kind, out=aligned_zeros(shape, kind))


def result_like(x: np.ndarray) -> np.ndarray:
    """Return an output array of the same shape."""
    return aligned_zeros(x.shape, x.dtype)


def product_of(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return an output array for a matrix product."""
    return aligned_zeros((a.shape[0], b.shape[1]), a.dtype)


def factors(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Return the operands of a product as stored: transposed if the op requires it."""
    m, k, n = case.shape
    a = (k, m) if case.op.endswith("trans_a") else (m, k)
    b = (n, k) if case.op.endswith("trans_b") else (k, n)
    return normal(1, *a, dtype=case.dtype), normal(2, *b, dtype=case.dtype)


def labels(rows: int, classes: int) -> np.ndarray:
    """Return a random class for each row."""
    return np.random.default_rng(3).integers(0, classes, rows)


def batch(workload: Workload) -> tuple[np.ndarray, np.ndarray]:
    """Return a minibatch of inputs and of labels or, for a loss of values, of values."""
    x = normal(1, workload.batch, *workload.example)
    if workload.loss == "mse":
        return x, normal(3, workload.batch, workload.outputs)
    return x, labels(workload.batch, workload.outputs)


def weights(workload: Workload) -> list[np.ndarray]:
    """Return each stage's initial weights, He-scaled."""
    return [
        normal(10 + index, *stage.weights) * np.float32(np.sqrt(2 / stage.fan_in))
        for index, stage in enumerate(workload.stages)
    ]
