"""The epochs of `Trainer.fit`: their steps, and their rows in the history."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from ..utils.arrays import non_finite_row
from ..utils.warning import warn_user
from . import rank_checks
from .history import EpochSums
from .prefetch import opened
from .settings import TrainingWarning
from .step import NonFiniteError, Stopped
from .termination import reporting_termination

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ..utils.interrupt import InterruptGuard
    from .fitting import Fit
    from .state import TrainingState
    from .step import TrainingStep


def begin(trainer: TrainingState, fit: Fit) -> None:
    """Begin or resume a run; if a callback raises an error, an interrupted run can still be finished."""
    before = trainer._run, trainer._batch, trainer._sums
    trainer._run, trainer._stop, trainer.history.interrupted = fit.plan, False, False
    if fit.afresh:
        trainer._batch, trainer._sums = 0, EpochSums()
    trainer.examples, trainer.held_out, trainer.metrics = fit.examples, fit.held_out, fit.metrics
    try:
        fit.listeners.on_train_begin(trainer)
    except BaseException:
        trainer._run, trainer._batch, trainer._sums = before
        raise


def train(trainer: TrainingState, step: TrainingStep, fit: Fit, prefetch: bool | None, guard: InterruptGuard) -> None:
    """Train until the end of the run, or until asked to stop; note whether it was interrupted."""
    until, alone = fit.plan.until, trainer._ranks is None
    interrupted: bool | None = None
    try:
        with reporting_termination(trainer._ranks):
            while trainer.epoch < until and not (trainer._stop or (alone and guard.requested)):
                train_epoch(trainer, step, fit, prefetch, guard)
            interrupted = trainer._agreed(guard.requested)
    finally:
        asked = guard.requested if interrupted is None else interrupted
        trainer.history.interrupted = asked and trainer.epoch < until


def train_epoch(
    trainer: TrainingState, step: TrainingStep, fit: Fit, prefetch: bool | None, guard: InterruptGuard
) -> None:
    """Take the steps of an epoch, or of what is left of it; stop after a step if asked to."""
    began = time.perf_counter()
    trainer.batches_per_epoch = len(fit.source)
    fit.listeners.on_epoch_begin(trainer)
    if trainer._ranks is not None:
        trainer._ranks.check_equal(rank_checks.between_epochs(trainer))
    with opened(fit.source, trainer.seed, trainer.epoch, trainer._batch, prefetch) as batches:
        for x, y, weights, total, share in batches:
            try:
                loss = step.take(x, y, weights, trainer._count_batch(y, weights, total), share)
            except Stopped:
                trainer._stop = True
                return
            fit.listeners.on_step_end(trainer)
            if not math.isfinite(loss):
                raise non_finite_error(trainer, x, y)
            if guard.requested or trainer._stop:
                trainer._stop = True
                if share is None:  # several ranks agree in the next step, or at the end of the epoch
                    return
    if trainer._agreed(trainer._stop):
        trainer._stop = True
        return
    if not trainer._sums.weight:
        warn_user(
            f"epoch {trainer.epoch + 1} trained nothing, and its loss is NaN: all its examples have weight 0",
            TrainingWarning,
        )
    step.end_epoch(trainer.epoch + 1)
    row = trainer._sums.row(trainer.loss.reduction) | trainer.validate()
    row |= {"lr": trainer.lr, "seconds": trainer._from_first(time.perf_counter() - began)}
    trainer._end_epoch(row)
    fit.listeners.on_epoch_end(trainer)
    trainer._stop = trainer._agreed(trainer._stop)


def non_finite_error(trainer: TrainingState, x: ArrayLike, y: ArrayLike) -> NonFiniteError:
    """Return the error for a loss that is not finite: it names a row of the batch that is not, or blames the rate."""
    elsewhere = f"the data is finite, so the weights or the rate are at fault (lr={trainer.optimizer.lr:g})"
    cause = non_finite_row(x, y, trainer.model.dtype) or elsewhere
    place = f"step {trainer.steps + 1}, epoch {trainer.epoch + 1}"
    return NonFiniteError(f"the loss is {trainer.last_loss} at {place}: {cause}")
