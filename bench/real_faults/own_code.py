"""Layers, losses, optimisers and callbacks that the programs wrote themselves; most of them wrong on purpose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import pynn

Result = tuple[float, np.ndarray]


class Exponential(pynn.Layer):
    """exp(x) as an activation."""

    def forward(self, x: np.ndarray, ctx: pynn.Context) -> np.ndarray:
        ctx.y = np.exp(x)
        return ctx.y

    def backward(self, dy: np.ndarray, ctx: pynn.Context) -> np.ndarray:
        return dy * ctx.y


class SoftmaxOverBatch(pynn.Layer):
    """A softmax over the wrong axis: the examples of the batch, not the classes."""

    def forward(self, x: np.ndarray, ctx: pynn.Context) -> np.ndarray:
        exponential = np.exp(x - x.max(axis=0, keepdims=True))
        ctx.y = exponential / exponential.sum(axis=0, keepdims=True)
        return ctx.y

    def backward(self, dy: np.ndarray, ctx: pynn.Context) -> np.ndarray:
        return ctx.y * (dy - (dy * ctx.y).sum(axis=0, keepdims=True))


def normalised_cross_entropy(prediction: np.ndarray, target: np.ndarray) -> Result:
    """Return Keras's categorical cross-entropy: outputs above 0 are divided by their sum; targets are one-hot."""
    total = prediction.sum(axis=1, keepdims=True)
    share = np.clip(prediction / np.maximum(total, 1e-12), 1e-7, 1 - 1e-7)
    loss = -float((target * np.log(share)).sum(axis=1).mean())
    inside = (share > 1e-7) & (share < 1 - 1e-7)
    slope = -np.where(inside, target / share, 0) / len(target)
    gradient = (slope - (slope * share).sum(axis=1, keepdims=True)) / np.maximum(total, 1e-12)
    return loss, gradient.astype(prediction.dtype)


def log_of_clipped(lowest: float, mean: bool = True) -> Callable[[np.ndarray, np.ndarray], Result]:
    """Return the loss -sum y log(clip(output, lowest, 1)), its mean over the batch."""

    def clipped_cross_entropy(prediction: np.ndarray, target: np.ndarray) -> Result:
        size = len(target) if mean else 1
        inside = (prediction > lowest) & (prediction < 1)
        value = -float((target * np.log(np.clip(prediction, lowest, 1))).sum()) / size
        gradient = -np.where(inside, target / np.clip(prediction, lowest, 1), 0) / size
        return value, gradient.astype(prediction.dtype)

    return clipped_cross_entropy


def cross_entropy_over_wrong_axis(prediction: np.ndarray, target: np.ndarray) -> Result:
    """Return mean(-sum(y log p, axis 0)): summed over the batch and averaged over the classes; `prediction` is p."""
    p = np.clip(prediction, 1e-10, 1)
    return -float((target * np.log(p)).sum(axis=0).mean()), (-target / p / target.shape[1]).astype(prediction.dtype)


def broadcast_squares(prediction: np.ndarray, target: np.ndarray) -> Result:
    """Return the mean square of (n, 1) - (n,), which NumPy broadcasts to (n, n)."""
    difference = prediction - target
    return float(np.square(difference).mean()), (2 * difference.mean(axis=1, keepdims=True) / len(target)).astype(
        prediction.dtype
    )


def sum_of_squares(prediction: np.ndarray, target: np.ndarray) -> Result:
    """Return the sum of squared errors over the batch."""
    difference = prediction - target
    return float(np.square(difference).sum()), 2 * difference


class AscendingAdam(pynn.Adam):
    """Adam on the negated gradient: it climbs."""

    def update(self, flat: Any, bounds: np.ndarray, rates: np.ndarray, grad_scale: float) -> None:
        super().update(flat, bounds, rates, -grad_scale)


class AscendingSGD(pynn.SGD):
    """SGD on the negated gradient: it climbs."""

    def update(self, flat: Any, bounds: np.ndarray, rates: np.ndarray, grad_scale: float) -> None:
        super().update(flat, bounds, rates, -grad_scale)


class ShufflesInputs(pynn.Callback):
    """Shuffles the inputs, but not the targets, before each epoch."""

    def __init__(self, x: np.ndarray, seed: int) -> None:
        self.x, self.rng = x, np.random.default_rng(seed)

    def on_epoch_begin(self, trainer: pynn.Trainer) -> None:
        self.rng.shuffle(self.x)


def noise_and_erasing(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add uniform noise of 0.5 to half of the images, and erase 40% to 80% of each."""
    noisy = rng.random(len(x)) < 0.5
    x = x + np.where(noisy[:, None, None, None], rng.uniform(-0.5, 0.5, x.shape), 0).astype(x.dtype)
    height, width = x.shape[2:]
    for image in x:
        side = np.sqrt(rng.uniform(0.4, 0.8))
        rows, columns = int(side * height), int(side * width)
        top, left = rng.integers(height - rows + 1), rng.integers(width - columns + 1)
        image[:, top : top + rows, left : left + columns] = rng.random()
    return x
