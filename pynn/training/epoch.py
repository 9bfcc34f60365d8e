"""What `Trainer.fit` does: it prepares a run, and takes the steps of its epochs."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from ..utils.arrays import non_finite_row
from ..utils.interrupt import InterruptGuard
from ..utils.warning import warn_user
from . import rank_checks
from .collective import aborting_all, compared, end_on_all, from_first, on_any, prepare_on_all
from .examples import unfitted_after_error
from .fitting import prepared
from .history import EpochSums
from .prefetch import opened
from .settings import TrainingWarning
from .step import NonFiniteError, Stopped
from .termination import reporting_termination

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .fitting import Fit, FitRequest
    from .progress import Progress
    from .ranks import Ranks
    from .state import TrainingState
    from .step import TrainingStep


def run(trainer: TrainingState, step: TrainingStep, request: FitRequest, ranks: Ranks | None) -> None:
    """Prepare a run, and train until its end; `Trainer.fit` calls this once no other thread trains."""
    step.settle()
    with unfitted_after_error(trainer.model) as settled:
        fit = prepared(trainer, request) if ranks is None else prepare_on_all(trainer, request, ranks)
        with InterruptGuard() as guard:
            begin(trainer, step.progress, fit)
            settled()
            try:
                with aborting_all(trainer, ranks):
                    train(trainer, step, fit, guard)
            finally:
                fit.listeners.on_train_end(trainer)
            end_on_all(step.exchange, trainer.model)  # a callback of rank 0 may have changed them


def begin(trainer: TrainingState, progress: Progress, fit: Fit) -> None:
    """Begin or resume a run; if a callback raises an error, an interrupted run can still be finished."""
    before = progress.plan, progress.batch, progress.sums
    progress.plan, progress.stopping, progress.history.interrupted = fit.plan, False, False
    if fit.afresh:
        progress.batch, progress.sums = 0, EpochSums()
    trainer.examples, trainer.held_out, trainer.metrics = fit.examples, fit.held_out, fit.metrics
    try:
        fit.listeners.on_train_begin(trainer)
    except BaseException:
        progress.plan, progress.batch, progress.sums = before
        raise


def train(trainer: TrainingState, step: TrainingStep, fit: Fit, guard: InterruptGuard) -> None:
    """Train until the end of the run, or until asked to stop; note whether it was interrupted."""
    progress, until, alone = step.progress, fit.plan.until, fit.ranks is None
    interrupted: bool | None = None
    try:
        with reporting_termination(fit.ranks):
            while progress.epoch < until and not (progress.stopping or (alone and guard.requested)):
                train_epoch(trainer, step, fit, guard)
            interrupted = on_any(fit.ranks, guard.requested)
    finally:
        asked = guard.requested if interrupted is None else interrupted
        progress.history.interrupted = asked and progress.epoch < until


def train_epoch(trainer: TrainingState, step: TrainingStep, fit: Fit, guard: InterruptGuard) -> None:
    """Take the steps of an epoch, or of what is left of it; stop after a step if asked to."""
    began, progress = time.perf_counter(), step.progress
    trainer.batches_per_epoch = len(fit.source)
    fit.listeners.on_epoch_begin(trainer)
    if fit.ranks is not None:
        fit.ranks.check_equal(rank_checks.between_epochs(trainer))
    with opened(fit.source, trainer.seed, progress.epoch, progress.batch, fit.prefetch) as batches:
        for x, y, weights, total, share, _ in compared(batches, fit.source, fit.ranks):
            try:
                loss = step.take(x, y, weights, step.counting(y, weights, total), share)
            except Stopped:
                progress.stopping = True
                return
            fit.listeners.on_step_end(trainer)
            if not math.isfinite(loss):
                raise non_finite_error(trainer, x, y)
            if guard.requested or progress.stopping:
                progress.stopping = True
                if share is None:  # several ranks agree in the next step, or at the end of the epoch
                    return
    if on_any(fit.ranks, progress.stopping):
        progress.stopping = True
        return
    if not progress.sums.weight:
        warn_user(
            f"epoch {progress.epoch + 1} trained nothing, and its loss is NaN: all its examples have weight 0",
            TrainingWarning,
        )
    step.show_average(progress.epoch + 1)
    row = progress.sums.row(trainer.loss.reduction) | trainer.validate()
    row |= {"lr": progress.lr, "seconds": from_first(fit.ranks, time.perf_counter() - began)}
    progress.end_epoch(row, trainer.model.flat.gate)
    fit.listeners.on_epoch_end(trainer)
    progress.stopping = on_any(fit.ranks, progress.stopping)


def non_finite_error(trainer: TrainingState, x: ArrayLike, y: ArrayLike) -> NonFiniteError:
    """Return the error for a loss that is not finite: it names a row of the batch that is not, or blames the rate."""
    elsewhere = f"the data is finite, so the weights or the rate are at fault (lr={trainer.optimizer.lr:g})"
    cause = non_finite_row(x, y, trainer.model.dtype) or elsewhere
    place = f"step {trainer.steps + 1}, epoch {trainer.epoch + 1}"
    return NonFiniteError(f"the loss is {trainer.last_loss} at {place}: {cause}")
