"""Checks before training: of the data, the network, the loss, the gradients and the learning rate."""

from __future__ import annotations

import copy
import sys
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...utils.validation import count, data_parts, instance
from ..isolation import quietly, unnoticed
from . import fitting, gradients, held_out, inputs, layers, layout, modes, outputs, rates, signal, start, targets
from .case import Case
from .data import RawData, load, raw_values
from .report import Check, Report, failed, skipped

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ...training.trainer import Trainer

__all__ = ["Check", "Report", "preflight"]

#: Checks of the data, then checks that run the network; each returns one `Check`.
OF_DATA: tuple[tuple[str, Callable[[Case], Check]], ...] = (
    ("label balance", targets.label_balance),
    ("target scale", targets.target_scale),
    ("constant features", inputs.constant_features),
    ("image layout", layout.image_layout),
    ("validation duplicates", held_out.validation_duplicates),
    ("validation scale", held_out.validation_scale),
)
OF_NETWORK: tuple[tuple[str, Callable[[Case], Check]], ...] = (
    ("input scale", inputs.input_scale),
    ("input centring", inputs.input_centring),
    ("network output", outputs.network_output),
    ("non-linearity", layers.non_linearity),
    ("initial loss", start.initial_loss),
    ("symmetric units", layers.symmetric_units),
    ("activation spread", signal.activation_spread),
    ("dead units", signal.dead_units),
    ("gradient spread", signal.gradient_spread),
    ("gradient check", gradients.gradient_check),
    ("batch independence", modes.batch_independence),
    ("training and inference", modes.modes_agree),
    ("overfits a handful", fitting.overfits_a_handful),
    ("saturated units", signal.saturated_units),
    ("beats the baseline", fitting.beats_the_baseline),
    ("learning rate", rates.learning_rate),
    ("loss reduction", start.loss_reduction),
    ("regularisation", start.regularisation),
)
#: Checks of the network that may tell why the first loss is not finite.
TELL_WHY = ("network output", "activation spread")


def preflight(
    trainer: Trainer,
    x: ArrayLike,
    y: ArrayLike,
    *,
    validation: tuple[ArrayLike, ArrayLike] | None = None,
    batch_size: int | None = None,
    sample_weight: ArrayLike | None = None,
    seed: int = 0,
) -> Report:
    """Check a training run for faults before it starts.

    All checks use copies: the trainer, its model and all random states stay exactly as they were.

    Parameters
    ----------
    trainer : Trainer
        The trainer of the run; it may have trained already.
    x, y : array_like
        The data for `Trainer.fit`: raw if the model has a preprocessing.
    validation : (x, y), optional
        Also checked for duplicates of training examples and for a different scale.
    batch_size : int, optional
        Batch size of the run; by default that of the trainer's last run, or 32.
    sample_weight : array_like, shape (n,), optional
    seed : int
        Seed for the examples and the batch order of trial runs.

    Returns
    -------
    Report
        One check per line, with figures and advice: pass, note (nothing is wrong, but something would help), warn,
        fail, or skip if not applicable.

    Notes
    -----
    CS231n, Training Neural Networks, Part 1, "Babysitting the learning process", and Neural Networks Part 3, "Sanity
    checks"; Karpathy, "A Recipe for Training Neural Networks", 2019.

    Examples
    --------
    >>> import pynn
    >>> from pynn.babysit.preflight import preflight
    >>> pynn.manual_seed(0)
    >>> x, y = pynn.datasets.blobs(n=300, classes=3, seed=0)
    >>> model = pynn.Sequential(pynn.Linear(2, 32), pynn.ReLU(), pynn.Linear(32, 3))
    >>> trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(lr=0.1, momentum=0.9))
    >>> report = preflight(trainer, x, y)
    >>> report.ok
    True
    """
    from ...training.trainer import Trainer

    instance(trainer, "trainer", Trainer)
    count(seed, "seed", minimum=0)
    x = trainer.model.rows_of(x)
    if validation is not None:
        x_held_out, y_held_out = data_parts(validation, "validation")
        validation = trainer.model.rows_of(x_held_out), y_held_out
    if batch_size is None:
        batch_size = 32 if trainer.plan is None else trainer.plan.batch_size
    count(batch_size, "batch_size")
    with unnoticed(), quietly():
        return Report(_checks(trainer, RawData(x, y, validation, sample_weight), batch_size, seed))


def _checks(trainer: Trainer, raw: RawData, batch_size: int, seed: int) -> list[Check]:
    checks = raw_values(trainer.loss, raw)
    if checks[0].status == "fail":
        return checks + _skip(OF_DATA + OF_NETWORK, "the data cannot be used as they are")
    if len(checks) > 1 and checks[1].status == "fail":
        raw = raw._replace(validation=None)
    try:
        model, loss = copy.deepcopy(trainer.model), copy.deepcopy(trainer.loss)
    except Exception as error:
        fault = failed(
            "one training step",
            None,
            f"the model or the loss cannot be copied: {_said(error)}",
            "Keep in layers only what copy.deepcopy can copy.",
        )
        return [*checks, fault, *_skip(OF_DATA + OF_NETWORK, "the checks need a copy of the network")]
    case = Case(trainer, model, loss, batch_size, seed)
    checks += _guarded("targets", lambda case: load(case, raw), case, needed=True)
    if checks[-1].status == "fail" and not case.size:
        return checks + _skip(OF_DATA + OF_NETWORK, "the data cannot be used as they are")
    checks += _guarded("one training step", start.first_step, case, needed=True)
    runs, not_finite = checks[-1].status != "fail", checks[-1].symptom == "non_finite"
    for name, check in OF_DATA:
        checks += _guarded(name, check, case)
    for name, check in OF_NETWORK:
        if runs or (not_finite and name in TELL_WHY):
            checks += _guarded(name, check, case)
        else:
            checks.append(skipped(name, "the network cannot be trained on these data as they are"))
    return checks


def _guarded(
    name: str, check: Callable[[Case], Check | list[Check]], case: Case, *, needed: bool = False
) -> list[Check]:
    """Run a check; it fails if user code raises an error, or if training would."""
    try:
        made = check(case)
        return made if isinstance(made, list) else [made]
    except Exception as error:
        if needed or _from_outside(error):
            advice = "Make the layer, loss or data work for any batch, in training and in inference."
            return [failed(name, None, f"raised {_said(error)}", advice)]
        return [skipped(name, f"the check raised an error: {_said(error)}")]


def _from_outside(error: BaseException) -> bool:
    """Return whether an error was raised in user code, such as a custom layer or loss."""
    known = {"pynn", "numpy", *sys.stdlib_module_names}
    modules = (frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(module.partition(".")[0] not in known for module in modules)


def _said(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _skip(checks: tuple[tuple[str, Any], ...], reason: str) -> list[Check]:
    return [skipped(name, reason) for name, _ in checks]
