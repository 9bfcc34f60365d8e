"""The time of an estimator's `fit` over that of a bare trainer with the same network, settings and penalty.

    python -m bench.estimators.overhead

Both take turns; the figure is the median of the ratios of processor times.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable

import numpy as np
from sklearn.datasets import load_digits, load_iris

import pynn

EPOCHS, ROUNDS = 100, 15


def main() -> None:
    """Measure and print."""
    warnings.simplefilter("ignore")  # the runs end at max_iter
    for name, load in (("iris", load_iris), ("digits", load_digits)):
        x, y = load(return_X_y=True)
        ratios = [_seconds(_estimator, x, y) / _seconds(_trainer, x, y) for _ in range(ROUNDS)]
        print(f"{name}: {np.median(ratios):.2f}, {ROUNDS} rounds from {min(ratios):.2f} to {max(ratios):.2f}")


def _seconds(fit: Callable[[np.ndarray, np.ndarray], object], x: np.ndarray, y: np.ndarray) -> float:
    start = time.process_time()
    fit(x, y)
    return time.process_time() - start


def _estimator(x: np.ndarray, y: np.ndarray) -> object:
    return pynn.MLPClassifier(max_iter=EPOCHS, n_iter_no_change=EPOCHS, random_state=0).fit(x, y)


def _trainer(x: np.ndarray, y: np.ndarray) -> object:
    layers = pynn.Linear(x.shape[1], 100, dtype=x.dtype), pynn.ReLU(), pynn.Linear(100, len(set(y)), dtype=x.dtype)
    size = min(200, len(x))
    trainer = pynn.Trainer(
        pynn.Sequential(*layers), pynn.CrossEntropyLoss(), pynn.Adam(), regularizers=[pynn.L2(1e-4 / size)]
    )
    return trainer.fit(x, y, epochs=EPOCHS, batch_size=size)


if __name__ == "__main__":
    main()
