"""What `Trainer.fit` does before the first step: data are checked and cut into batches, the rate is looked at."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .examples import check_fit, prepare_later
from .feeding import ArrayBatches
from .layers import BatchNorm
from .schedules import idle_epochs
from .settings import TrainingWarning

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .augment import Augment
    from .examples import Examples, LaterExamples
    from .losses import Loss
    from .model import Sequential
    from .runs import Run
    from .trainer import Trainer


def prepared_examples(
    model: Sequential, loss: Loss, x: Any, y: ArrayLike, sample_weight: ArrayLike | None
) -> Examples | LaterExamples:
    """Return training data as the network takes them; fits the preprocessing."""
    examples = prepare_later(model, loss, x, y, sample_weight, fit_preprocessing=True)
    check_fit(model, loss, examples)
    return examples


def held_out_examples(
    model: Sequential, loss: Loss, validation: tuple[ArrayLike, ...] | None
) -> Examples | LaterExamples | None:
    """Return validation data as the network takes them."""
    if validation is None:
        return None
    if not (isinstance(validation, tuple | list) and len(validation) in (2, 3)):
        raise ValueError("validation must be a pair (x, y), or (x, y, weights)")
    held_out = prepare_later(model, loss, *validation, name="validation ")
    check_fit(model, loss, held_out, "validation ")
    return held_out


def array_batches(
    model: Sequential, loss: Loss, examples: Examples | LaterExamples, run: Run, augment: Sequence[Augment]
) -> ArrayBatches:
    """Return the minibatches of training data; none of a single example where batch norm needs two."""
    drop_single = any(isinstance(layer, BatchNorm) for layer in model.all_layers())
    weights = loss.row_weights(examples.y, examples.weights)
    return ArrayBatches(
        examples, run.batch_size, weights, shuffle=run.shuffle, drop_single=drop_single, augment=augment
    )


def warn_of_idle_epochs(trainer: Trainer, run: Run, batches: int) -> None:
    """Warn where epochs would train nothing, since the schedule has come to a rate of 0."""
    if trainer.schedule is None:
        return
    left = run.until - trainer.epoch
    idle = idle_epochs(trainer.schedule, trainer.optimizer.lr, trainer.epoch, left, trainer.steps, batches)
    # The end of a long cosine is as good as 0 for an epoch in tens of thousands, which is meant.
    if idle > 1 + left // 1000 or (idle and idle == left):
        which = "in all of its epochs" if idle == left else f"from epoch {run.until - idle + 1} on"
        warnings.warn(
            f"{trainer.schedule!r} has come to a rate of 0: this fit, up to epoch {run.until}, trains nothing {which}. "
            "A schedule counts from the start of training, not of a fit: assign trainer.schedule = None, or one that "
            "ends later",
            TrainingWarning,
            stacklevel=3,
        )
