"""What `Trainer.fit` does before the first step: check the data, make batches, check the schedule."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..augment import as_changes, name_of
from ..nn.layers import BatchNorm
from ..optim.schedules import idle_epochs
from ..utils.arrays import numeric
from ..utils.validation import count, data_parts, flag, several
from ..utils.warning import warn_user
from .batches import ArrayBatches, Source, UserBatches, refuse_options
from .callbacks import Callback, CallbackList
from .examples import check_fit, prepare_later
from .metrics import Metric, check_metrics, named
from .plan import FitPlan
from .settings import TrainingWarning

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ..augment import Augment
    from ..nn.loss import Loss
    from ..nn.sequential import Sequential
    from .examples import Examples
    from .ranks import Ranks
    from .state import TrainingState


class FitRequest(NamedTuple):
    """The arguments of `Trainer.fit`, as they were given."""

    x: Any
    y: ArrayLike | None
    epochs: int | None
    batch_size: int | None
    validation: tuple[ArrayLike, ...] | None
    sample_weight: ArrayLike | None
    shuffle: bool | None
    augment: Iterable[Augment]
    steps_per_epoch: int | None
    callbacks: Iterable[Callback]
    metrics: Iterable[Metric]
    progress: bool
    prefetch: bool | None


class Fit(NamedTuple):
    """What `Trainer.fit` is to do: its arguments checked, its data preprocessed, its batches cut.

    `afresh` says that it begins a run instead of finishing an interrupted one. `ranks` are those that train together,
    or None.
    """

    plan: FitPlan
    source: Source
    examples: Examples | None
    held_out: Examples | None
    listeners: CallbackList
    metrics: tuple[Metric, ...]
    afresh: bool
    prefetch: bool | None
    ranks: Ranks | None


def prepared(trainer: TrainingState, request: FitRequest, ranks: Ranks | None = None) -> Fit:
    """Check all arguments, and fit the preprocessing; nothing else of the trainer changes."""
    model, loss = trainer.model, trainer.loss
    shows = flag(request.progress, "progress")
    prefetch = None if request.prefetch is None else flag(request.prefetch, "prefetch")
    changes = as_changes(request.augment)
    metrics = several(request.metrics, "metrics")
    if named(metrics, loss) and request.validation is None:
        raise ValueError("metrics are of the validation data, and there are none: pass validation=(x, y)")
    x, y = request.x, request.y
    if y is not None:
        x = numeric(model.rows_of(x), "x")
    plan = _planned(trainer, request, x, changes)
    examples: Examples | None = None
    source: Source
    if y is None:
        refuse_options(x, batch_size=request.batch_size, sample_weight=request.sample_weight, shuffle=request.shuffle)
        if isinstance(x, Source):
            source = x
        else:
            source = UserBatches(x, model, trainer, plan.steps, plan.until - trainer.epoch, changes, ranks=ranks)
    else:
        examples = _training_examples(model, loss, x, y, request.sample_weight)
        source = _array_batches(trainer, examples, plan, changes, ranks)
    held_out = _held_out_examples(model, loss, request.validation)
    if held_out is not None:
        check_metrics(model, loss, metrics, held_out)
    listeners = CallbackList(request.callbacks)
    if shows and trainer.rank == 0:
        from .progress_bar import ProgressBar  # rich takes a third of the time that importing pynn takes

        listeners.callbacks.append(ProgressBar())
    _warn_of_idle_epochs(trainer, plan, len(source))
    return Fit(plan, source, examples, held_out, listeners, metrics, request.epochs is not None, prefetch, ranks)


def _planned(trainer: TrainingState, request: FitRequest, x: Any, changes: Iterable[Augment]) -> FitPlan:
    """Return the plan of a new run, or of the rest of an interrupted one."""
    size = None if request.batch_size is None else count(request.batch_size, "batch_size")
    steps = None if request.steps_per_epoch is None else count(request.steps_per_epoch, "steps_per_epoch")
    if steps is not None and request.y is not None:
        raise ValueError("steps_per_epoch needs batches without y; for arrays x and y, set batch_size")
    shuffle = None if request.shuffle is None else flag(request.shuffle, "shuffle")
    examples = None if request.y is None else (np.shape(x) or (0,))[0]
    augment = [name_of(change) for change in changes]
    if request.epochs is not None:
        until = trainer.epoch + count(request.epochs, "epochs", minimum=0)
        return FitPlan(until, size or 32, examples, shuffle is not False, steps, augment, len(trainer.history))
    last = trainer.plan
    if last is None or trainer.epoch >= last.until:
        raise ValueError("epochs is missing, and no interrupted run can be finished; pass epochs=")
    return last.continued(examples, size, shuffle, steps, augment, begun=trainer.batches_done > 0)


def _training_examples(
    model: Sequential, loss: Loss, x: Any, y: ArrayLike, sample_weight: ArrayLike | None
) -> Examples:
    """Return training data in the network's form; fits the preprocessing."""
    examples = prepare_later(model, loss, x, y, sample_weight, fit_preprocessing=True)
    check_fit(model, loss, examples)
    return examples


def _held_out_examples(model: Sequential, loss: Loss, validation: tuple[ArrayLike, ...] | None) -> Examples | None:
    """Return validation data in the network's form."""
    if validation is None:
        return None
    given = data_parts(validation, "validation", "a pair (x, y), or (x, y, weights)", (2, 3))
    held_out = prepare_later(model, loss, *given, name="validation ")
    check_fit(model, loss, held_out, "validation ")
    return held_out


def _array_batches(
    trainer: TrainingState,
    examples: Examples,
    run: FitPlan,
    augment: Sequence[Augment],
    ranks: Ranks | None,
) -> ArrayBatches:
    """Return the minibatches of training data; drop a last batch of one example if the model has batch norm."""
    drop_single = any(isinstance(layer, BatchNorm) for layer in trainer.model.all_layers())
    return ArrayBatches(
        examples,
        run.batch_size,
        trainer,
        shuffle=run.shuffle,
        drop_single=drop_single,
        augment=augment,
        ranks=ranks,
    )


def _warn_of_idle_epochs(trainer: TrainingState, run: FitPlan, batches: int) -> None:
    """Warn if the schedule has reached a rate of 0, so that epochs would train nothing."""
    if trainer.schedule is None:
        return
    left = run.until - trainer.epoch
    idle = idle_epochs(trainer.schedule, trainer.optimizer.lr, trainer.epoch, left, trainer.steps, batches)
    # A long cosine is practically 0 in its last epoch of tens of thousands; that is intended.
    if idle > 1 + left // 1000 or (idle and idle == left):
        which = "in all of its epochs" if idle == left else f"from epoch {run.until - idle + 1} on"
        warn_user(
            f"{trainer.schedule!r} reaches a rate of 0: this fit, up to epoch {run.until}, trains nothing {which}. "
            "A schedule counts from the start of training, not of a fit: assign trainer.schedule = None, or one that "
            "ends later",
            TrainingWarning,
        )
