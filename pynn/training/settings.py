"""The settings of a trainer, checked on every assignment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..backends.precision import checked
from ..nn.loss import Loss, as_loss
from ..nn.sequential import Sequential
from ..nn.state import arrays_in_place
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


def _model(settings: Settings, value: Any) -> Sequential:
    return instance(value, "model", Sequential)


def _loss(settings: Settings, value: Any) -> Loss:
    loss = as_loss(value)
    settings.model.output_kind = loss.output_kind
    return loss


def _optimizer(settings: Settings, value: Any) -> Optimizer:
    optimizer = instance(value, "optimizer", Optimizer)
    _check_momentum(settings.schedule, optimizer)
    optimizer.bind(settings.model.flat)
    return optimizer


def _schedule(settings: Settings, value: Any) -> Schedule | None:
    schedule = None if value is None else instance(value, "schedule", Schedule)
    if hasattr(settings, "optimizer"):
        _check_momentum(schedule, settings.optimizer)
    return schedule


def _check_momentum(schedule: Schedule | None, optimizer: Optimizer) -> None:
    """Raise ValueError if the schedule sets a momentum, and the optimiser has none."""
    if schedule is not None and schedule.momentum(0, 0) is not None and optimizer.own_momentum is None:
        raise ValueError(
            f"{type(schedule).__name__} sets the momentum, which {optimizer!r} has not: give the optimiser a momentum "
            "above 0, or the schedule cycle_momentum=False"
        )


def _regularizers(settings: Settings, value: Any) -> list[Regularizer]:
    return [instance(item, "one of regularizers", Regularizer) for item in several(value, "regularizers")]


def _clip_norm(settings: Settings, value: Any) -> float | None:
    return None if value is None else number(value, "clip_norm", above=0)


def _clip_value(settings: Settings, value: Any) -> float | None:
    return None if value is None else number(value, "clip_value", above=0)


def _averaging(settings: Settings, value: Any) -> Averaging | None:
    if value is not None:
        instance(value, "averaging", Averaging).claim(settings)
    before = getattr(settings, "averaging", None)
    if before is not None and before is not value:
        before.show(arrays_in_place(settings.model, settings.model.flat), False)
    return value


def _matmul_precision(settings: Settings, value: Any) -> str | None:
    return None if value is None else checked(value, "matmul_precision")


def _seed(settings: Settings, value: Any) -> int:
    return count(value, "seed", minimum=0)


class Settings:
    """The settings of a `Trainer`, which describes them: each is checked whenever it is assigned.

    Steps read them here, as plain attributes: reading a trainer's properties takes twice the time.
    """

    model: Sequential
    loss: Loss
    optimizer: Optimizer
    schedule: Schedule | None
    regularizers: Sequence[Regularizer]
    clip_norm: float | None
    clip_value: float | None
    averaging: Averaging | None
    matmul_precision: str | None
    seed: int

    def __init__(
        self,
        model: Sequential,
        loss: Loss | Callable[..., Any],
        optimizer: Optimizer,
        schedule: Schedule | None,
        regularizers: Sequence[Regularizer],
        clip_norm: float | None,
        clip_value: float | None,
        averaging: Averaging | None,
        seed: int,
        matmul_precision: str | None,
    ) -> None:
        self.model = model
        known_loss = as_loss(loss)
        self.schedule, self.regularizers = schedule, regularizers
        self.clip_norm, self.clip_value = clip_norm, clip_value
        self.matmul_precision = matmul_precision
        self.seed = seed
        self.optimizer = optimizer  # binds the model's parameters, so it comes after what may raise
        self.loss, self.averaging = known_loss, averaging

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, _CHECKS[name](self, value))


#: The checks of assigned values, which return what is stored.
_CHECKS: dict[str, Callable[[Settings, Any], Any]] = {
    "model": _model,
    "loss": _loss,
    "optimizer": _optimizer,
    "schedule": _schedule,
    "regularizers": _regularizers,
    "clip_norm": _clip_norm,
    "clip_value": _clip_value,
    "averaging": _averaging,
    "matmul_precision": _matmul_precision,
    "seed": _seed,
}
