"""Why a loss is no longer finite: the data, the signals in the network, the loss itself, or the rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...utils.arrays import non_finite_row
from .rules.base import Detection

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .recorder import Output
    from .run_state import RunState
    from .watchable import Watchable

#: Outputs up to this size overflow in no loss that is computed as it should be.
LARGE = 1e4
#: Signals up to this size overflow in no layer: not even their exponentials do.
MODERATE = 80.0


def breakdown(
    state: RunState, trainer: Watchable, outputs: Iterable[Output], batch: tuple[np.ndarray, np.ndarray], loss: float
) -> Iterator[Detection]:
    """Yield the causes of a loss that is not finite, and the fact itself.

    `outputs` are the watched layers with what they computed for `batch`, the inputs and targets of the step.
    """
    x, target = batch
    cause = non_finite_row(x, target)
    if cause is not None:
        yield Detection("non_finite", "error", f"the loss is {loss}: {cause}", "remove such examples from the data")
        return
    if not state.windows and state.fresh:
        overflow = _overflow(outputs, float(np.abs(x).max(initial=0)))
        if overflow is not None:
            yield overflow
    prediction = trainer.prediction
    if np.isnan(loss) and np.abs(prediction).max(initial=0) < LARGE:  # also false for a NaN
        evidence = f"the loss is {loss}, though data and outputs are finite"
        if target.dtype.kind in "iu" and not (target >= 0).any():
            evidence += ", and no example of the minibatch has a label"
        advice = "look in the loss for a logarithm of 0, or a division by the number of labels or the sum of weights"
        yield Detection("non_finite", "error", evidence, advice)
        return
    evidence = f"the loss is {loss} at a rate of {trainer.lr:g}, though the data is finite"
    advice = "lower the learning rate, or look at your own layers and losses"
    if not state.windows:
        evidence = f"the loss is {loss} before any update, though the data is finite"
        advice = "look at the initial weights, and at your own layers and losses"
    yield Detection("non_finite", "error", evidence, advice)


def _overflow(outputs: Iterable[Output], largest_input: float) -> Detection | None:
    """Return the layer of an untrained network whose outputs overflow, if they have grown from layer to layer."""
    sizes: list[float] = []
    for output in outputs:
        if output.array is None:
            continue
        largest = float(np.abs(output.array).max(initial=0))
        if not np.isfinite(largest):
            if max(largest_input, *sizes, 0.0) < MODERATE:
                return None  # a division by 0 or the like
            grown = ", ".join(f"{size:.3g}" for size in [largest_input, *sizes])
            evidence = f"before any update the outputs of {output.name} overflow; the largest before it are {grown}"
            advice = f"use an activation that grows less than {type(output.layer).__name__}, or smaller initial weights"
            return Detection("bad_initialisation", "error", evidence, advice, output.name)
        sizes.append(largest)
    return None
