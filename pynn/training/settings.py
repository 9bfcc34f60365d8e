"""The settings of a trainer, validated on every assignment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from ..backends.precision import checked
from ..nn.loss import Loss, as_loss
from ..nn.sequential import Sequential
from ..optim.averaging import Averaging
from ..optim.base import Optimizer
from ..optim.regularizers import Regularizer
from ..optim.schedules import Schedule
from ..utils.validation import count, instance, number, several


class TrainingWarning(RuntimeWarning):
    """Training continues but may not do what was intended; the message gives the reason.

    Examples
    --------
    >>> import warnings
    >>> import pynn
    >>> x, y = pynn.datasets.blobs(seed=0)
    >>> model = pynn.Sequential(pynn.Linear(2, 3))
    >>> done = pynn.CosineAnnealingLR(1)
    >>> trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1), schedule=done)
    >>> with warnings.catch_warnings(record=True, action="always") as caught:
    ...     history = trainer.fit(x, y, epochs=5)
    >>> caught[0].category.__name__
    'TrainingWarning'
    """


def _setting(name: str, check: Callable[[Any, Any], Any], doc: str) -> Any:
    """Return a property that validates assigned values with ``check(trainer, value)``."""

    def assign(trainer: Any, value: Any) -> None:
        setattr(trainer, f"_{name}", check(trainer, value))

    return property(attrgetter(f"_{name}"), assign, doc=doc)  # attrgetter: a step reads settings without a Python call


def read_only(name: str, advice: str, doc: str) -> Any:
    """Return a read-only property; assigning to it raises AttributeError with advice."""

    def refuse(trainer: Any, value: Any) -> None:
        raise AttributeError(f"trainer.{name} cannot be assigned: {advice}")

    return property(attrgetter(f"_{name}"), refuse, doc=doc)


def _loss(trainer: Any, value: Any) -> Loss:
    loss = as_loss(value)
    trainer.model.output_kind = loss.output_kind
    return loss


def _optimizer(trainer: Any, value: Any) -> Optimizer:
    optimizer = instance(value, "optimizer", Optimizer)
    _check_momentum(trainer._schedule, optimizer)
    optimizer.bind(trainer.model.flat)
    return optimizer


def _schedule(trainer: Any, value: Any) -> Schedule | None:
    schedule = None if value is None else instance(value, "schedule", Schedule)
    if hasattr(trainer, "_optimizer"):
        _check_momentum(schedule, trainer._optimizer)
    return schedule


def _check_momentum(schedule: Schedule | None, optimizer: Optimizer) -> None:
    """Raise ValueError if the schedule sets a momentum, and the optimiser has none."""
    if schedule is not None and schedule.momentum(0, 0) is not None and optimizer.own_momentum is None:
        raise ValueError(
            f"{type(schedule).__name__} sets the momentum, which {optimizer!r} has not: give the optimiser a momentum "
            "above 0, or the schedule cycle_momentum=False"
        )


def _regularizers(trainer: Any, value: Any) -> list[Regularizer]:
    return [instance(item, "one of regularizers", Regularizer) for item in several(value, "regularizers")]


def _averaging(trainer: Any, value: Any) -> Averaging | None:
    if value is not None:
        instance(value, "averaging", Averaging).claim(trainer)
    return value


def _matmul_precision(trainer: Any, value: Any) -> str | None:
    return None if value is None else checked(value, "matmul_precision")


class Settings:
    """The settings of a `Trainer`; see there."""

    if TYPE_CHECKING:
        # The attributes that the properties below, and a training step, read.
        _loss: Loss
        _optimizer: Optimizer
        _schedule: Schedule | None
        _regularizers: list[Regularizer]
        _clip_norm: float | None
        _clip_value: float | None
        _averaging: Averaging | None
        _matmul_precision: str | None
        averaging: Averaging | None
        matmul_precision: str | None
        loss: Loss
        optimizer: Optimizer
        schedule: Schedule | None
        regularizers: list[Regularizer]
        clip_norm: float | None
        clip_value: float | None

        @property
        def model(self) -> Sequential: ...

        @property
        def seed(self) -> int: ...

    else:
        loss = _setting("loss", _loss, "The loss to minimise.")
        optimizer = _setting("optimizer", _optimizer, "The optimiser; a new one starts with empty state.")
        schedule = _setting("schedule", _schedule, "Scales the optimiser's learning rate.")
        regularizers = _setting("regularizers", _regularizers, "Penalties and constraints.")
        clip_norm = _setting(
            "clip_norm", lambda _, value: None if value is None else number(value, "clip_norm", above=0), "May be None."
        )
        clip_value = _setting(
            "clip_value",
            lambda _, value: None if value is None else number(value, "clip_value", above=0),
            "May be None.",
        )
        averaging = _setting("averaging", _averaging, "Averages the weights; a new one starts anew.")
        matmul_precision = _setting("matmul_precision", _matmul_precision, "Of float32 products; may be None.")
        model = read_only("model", "a trainer trains one model; make a new Trainer", "The model to train.")
        seed = read_only("seed", "it has seeded the run already; make a new Trainer(..., seed=)", "The run's seed.")

    def __init__(
        self,
        model: Sequential,
        loss: Loss | Callable[..., Any],
        optimizer: Optimizer,
        schedule: Schedule | None,
        regularizers: Sequence[Regularizer],
        clip_norm: float | None,
        clip_value: float | None,
        seed: int,
    ) -> None:
        self._model = instance(model, "model", Sequential)
        checked = as_loss(loss)
        self.schedule, self.regularizers = schedule, regularizers  # type: ignore[assignment]
        self.clip_norm, self.clip_value = clip_norm, clip_value
        self.averaging = None
        self.matmul_precision = None
        self._seed = count(seed, "seed", minimum=0)
        self.optimizer = optimizer  # binds the model's parameters, so it comes after everything that may raise
        self.loss = checked
