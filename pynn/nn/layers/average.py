"""The mean of several networks as one layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ...utils.validation import number
from ..context import Context
from .base import Layer
from .branches import Branches


class Average(Branches):
    """y = sum_k w_k branch_k(x): several networks, which all get x, as one.

    The average of networks trained on different parts of the data, or from different initial weights, is usually more
    accurate than each of them (Krogh & Vedelsby 1995). Averaged logits are the logarithm of the geometric mean of the
    branches' probabilities, up to a constant.

    Parameters
    ----------
    *branches : Layer
        At least one; all return the same shape.
    weights : sequence of float, optional
        One weight of at least 0 per branch; they are divided by their sum. By default all are equal.

    Attributes
    ----------
    branches : tuple of Layer
    weights : tuple of float
        As given, or ones.

    Notes
    -----
    Recorded steps do not contain it: a model with this layer trains without a recording, so train the branches alone.

    Source: A. Krogh, J. Vedelsby, "Neural Network Ensembles, Cross Validation, and Active Learning", 1995.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> branches = [pynn.Linear(1, 1, init=np.ones), pynn.Linear(1, 1, init=np.zeros)]
    >>> pynn.Sequential(pynn.Average(*branches, weights=[3, 1]))(np.array([[2.0]]))
    array([[1.5]], dtype=float32)
    """

    def __init__(self, *branches: Layer, weights: Sequence[float] | None = None) -> None:
        super().__init__(*branches)
        self.weights = _checked([1.0] * len(branches) if weights is None else weights, len(branches))

    def config(self) -> dict[str, Any]:
        return super().config() | {"weights": self.weights}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Average:
        return cls(*config["branches"], weights=config["weights"])

    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        total: np.ndarray | None = None
        for branch, share, inner in self._inner(ctx):
            y = branch.forward(x, inner)
            if ctx.observer is not None:
                ctx.observer.output(branch, y)
            if total is not None and y.shape != total.shape:
                raise ValueError(f"Average cannot add outputs of shapes {total.shape} and {y.shape}")
            total = y * share if total is None else total + y * share
        assert total is not None
        return total

    def backward(self, dy: np.ndarray, ctx: Context) -> np.ndarray | None:
        total: np.ndarray | None = None
        for branch, share, inner in self._inner(ctx):
            inner.needs_dx = ctx.needs_dx
            given = dy * share
            if ctx.observer is not None:
                ctx.observer.gradient(branch, given)
            dx = branch.backward(given, inner)
            if ctx.needs_dx:
                if dx is None:
                    raise TypeError("backward of a layer in Average returned no gradient")
                total = dx.copy() if total is None else total + dx
        return total

    def _inner(self, ctx: Context) -> Iterator[tuple[Layer, float, Context]]:
        """Yield each branch with its share of the sum and its context."""
        total = sum(self.weights)
        contexts = ctx.children(len(self.branches))
        for branch, weight, inner in zip(self.branches, self.weights, contexts, strict=True):
            yield branch, weight / total, inner


def _checked(weights: Sequence[float], count: int) -> tuple[float, ...]:
    """Return the weights of `count` branches, or raise ValueError."""
    checked = tuple(number(weight, "weights", minimum=0) for weight in weights)
    if len(checked) != count or not sum(checked) > 0:
        raise ValueError(f"weights is {list(weights)}; expected {count} numbers of at least 0, not all 0")
    return checked
