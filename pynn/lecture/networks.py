"""Shared helpers of the experiments: fully connected networks, and their internal signals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

import pynn

Widths = Sequence[int]


def network(
    widths: Widths, activation: Callable[[], pynn.Layer], init: pynn.init.Init = "he_normal", *, batchnorm: bool = False
) -> pynn.Sequential:
    """Return linear layers of these widths with the activation (and batch norm before it) between them.

    Examples
    --------
    >>> network([64, 32, 10], pynn.ReLU)
    Sequential(
      (0): Linear(in_features=64, out_features=32, bias=True, init='he_normal')
      (1): ReLU()
      (2): Linear(in_features=32, out_features=10, bias=True, init='he_normal')
    )
    """
    layers: list[pynn.Layer] = []
    for fan_in, fan_out in pairwise(widths[:-1]):
        layers.append(pynn.Linear(fan_in, fan_out, init=init))
        if batchnorm:
            layers.append(pynn.BatchNorm1d(fan_out))
        layers.append(activation())
    return pynn.Sequential(*layers, pynn.Linear(widths[-2], widths[-1], init=init))


def gaussian(std: float) -> Callable[[tuple[int, ...]], np.ndarray]:
    """Return an initialisation: N(0, std^2), drawn from the generator that `pynn.manual_seed` seeds."""
    return lambda shape: pynn.init.normal(shape, std)


def outputs(model: pynn.Sequential, x: np.ndarray, kind: type[pynn.Layer] = pynn.Layer) -> list[np.ndarray]:
    """Return the output of each layer (of a kind) for a batch.

    Examples
    --------
    >>> model = network([4, 8, 8, 2], pynn.ReLU)
    >>> [y.shape for y in outputs(model, np.ones((5, 4), np.float32), pynn.ReLU)]
    [(5, 8), (5, 8)]
    """
    found = []
    for layer in model:
        x = layer.forward(x, pynn.Context())
        if isinstance(layer, kind):
            found.append(x)
    return found


def weight_gradients(model: pynn.Sequential, x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """Return the gradient of the cross-entropy with respect to each weight matrix."""
    _, dlogits = pynn.CrossEntropyLoss()(model.train()(x), y)
    assert dlogits is not None
    model.backward(dlogits)
    return [layer.weight.grad.copy() for layer in model if isinstance(layer, pynn.Linear | pynn.Maxout)]


def rms(values: np.ndarray) -> float:
    """Return the root of the mean square.

    Examples
    --------
    >>> rms(np.array([3.0, -4.0, 0.0, 0.0]))
    2.5
    """
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def dead_share(model: pynn.Sequential, x: np.ndarray, kind: type[pynn.Layer] = pynn.ReLU) -> float:
    """Return the share of rectifier units that are zero for every example."""
    return float(np.mean(np.concatenate([(y <= 0).all(axis=0) for y in outputs(model, x, kind)])))


def steps_until(
    trainer: pynn.Trainer,
    x: np.ndarray,
    y: np.ndarray,
    reached: Callable[[dict[str, float]], bool],
    most: int,
    *,
    batch_size: int = 64,
    every: int = 5,
    seed: int = 0,
) -> float:
    """Train until `reached` accepts the training figures; return the number of steps, or infinity.

    A non-finite loss counts as never reached.
    """
    rng = np.random.default_rng(seed)
    for step in range(1, most + 1):
        rows = rng.integers(0, len(x), batch_size)
        try:
            trainer.step(x[rows], y[rows])
        except pynn.NonFiniteError:
            return float("inf")
        if step % every == 0 and reached(trainer.evaluate(x, y)):
            return float(step)
    return float("inf")
