"""Remedies, tried before they are proposed: short runs with one change each, compared with the original run."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ...augment import as_changes
from ...nn.random import manual_seed
from ...training.callbacks import Callback, CallbackList
from ...training.examples import target_amounts
from ...utils.arrays import as_array, numeric
from ...utils.validation import count, data_parts, flag, instance, number, shortened
from ..isolation import quietly, unnoticed
from .blueprint import Blueprint
from .diagnosis import Diagnosis
from .runner import OnTrial, RemedySearch, not_usable
from .trials import Remedy, RemedyTrial

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ...augment import Augment
    from ...training.trainer import Trainer

__all__ = ["Diagnosis", "Remedy", "RemedyTrial", "diagnose"]

#: Epochs and batch size if neither the caller nor the trainer defines them.
EPOCHS, BATCH_SIZE = 10, 32


def diagnose(
    trainer: Trainer,
    x: ArrayLike,
    y: ArrayLike,
    *,
    validation: tuple[ArrayLike, ArrayLike] | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    shuffle: bool = True,
    sample_weight: ArrayLike | None = None,
    callbacks: Iterable[Callback] = (),
    augment: Iterable[Augment] = (),
    seconds: float = 60.0,
    seed: int = 0,
    on_trial: OnTrial | None = None,
) -> Diagnosis:
    """Find the faults of a training run, try remedies, and report which ones help.

    First repeats the run unchanged, from its start, under a `Monitor`. Then repeats it with each change that may cure
    a fault, with the best two together, and with further changes to the best while faults remain or simple learners
    (nearest neighbours, ridge regression) do better. All runs use copies: trainer, model and random states stay exactly
    as they were.

    Parameters
    ----------
    trainer : Trainer
        The trainer of the run. If it has trained already, its layers are rebuilt from their configuration.
    x, y : array_like
        The data for `Trainer.fit`.
    validation : (x, y), optional
        Data that score the runs; by default, a fifth of the examples is held out. Of 20 or fewer none is: the runs are
        scored on what they train on.
    epochs, batch_size : int, optional
        By default those of the trainer's last `fit`, or 10 and 32.
    shuffle : bool
    sample_weight : array_like, shape (n,), optional
    callbacks : iterable of Callback
        Callbacks of the run. Trials call copies of them, except those that write files.
    augment : iterable of Augment
        Augmentation of the run, as for `Trainer.fit`.
    seconds : float
        Time limit for all runs. The unchanged run gets an eighth; if it needs more, all runs are shortened.
    seed : int
        Seed for the held-out examples and for weights that remedies draw.
    on_trial : callable, optional
        Called before each run with the remedy (None for the unchanged run), its number, and the total.

    Returns
    -------
    Diagnosis

    Notes
    -----
    The same arguments give the same result, unless time runs out. CS231n, Training Neural Networks, Part 1,
    "Babysitting the learning process".

    Examples
    --------
    >>> import pynn
    >>> pynn.manual_seed(0)
    >>> x, y = pynn.datasets.blobs(n=600, classes=3, seed=0)
    >>> model = pynn.Sequential(pynn.Linear(2, 16, init="zeros"), pynn.ReLU(), pynn.Linear(16, 3, init="zeros"))
    >>> trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(lr=0.1))
    >>> diagnosis = pynn.diagnose(trainer, x / x.std(), y, epochs=5)
    >>> diagnosis.verdict[0].symptom
    'symmetric_units'
    >>> diagnosis.best.remedy.code.startswith('Linear(..., init="')
    True
    """
    from ...training.trainer import Trainer

    instance(trainer, "trainer", Trainer)
    epochs, batch_size = _planned(trainer, epochs, batch_size)
    number(seconds, "seconds", above=0)
    count(seed, "seed", minimum=0)
    shuffle, augment = flag(shuffle, "shuffle"), as_changes(augment)
    callbacks = CallbackList(callbacks).callbacks
    if on_trial is not None and not callable(on_trial):
        raise TypeError(
            f"on_trial is {shortened(repr(on_trial))}; expected a function f(remedy, number, total), or None"
        )
    x, y = numeric(trainer.model.rows_of(x), "x"), as_array(y, "y")
    if validation is not None:
        x_held_out, y_held_out = data_parts(validation, "validation")
        validation = trainer.model.rows_of(x_held_out), y_held_out
    unusable = not_usable(x, y, validation)
    if unusable is not None:
        return Diagnosis([unusable], beyond=unusable.evidence)
    # Trials use preprocessed targets, without the model's target_preprocessing.
    targets = copy.deepcopy(trainer.model.target_preprocessing)
    y = target_amounts(targets, y, True, "")
    if validation is not None:
        validation = validation[0], target_amounts(targets, validation[1], False, "validation ")
    with unnoticed(), quietly():
        manual_seed(seed)
        blueprint = Blueprint.of(
            trainer,
            epochs=epochs,
            batch_size=batch_size,
            shuffle=shuffle,
            callbacks=callbacks,
            augment=augment,
        )
        search = RemedySearch(blueprint, (x, y), validation, sample_weight, seconds, seed, on_trial)
        return search.diagnosis()


def _planned(trainer: Trainer, epochs: int | None, batch_size: int | None) -> tuple[int, int]:
    """Return epochs and batch size as given, or those of the trainer's last run, or the usual ones."""
    last = trainer.plan
    if epochs is None:
        epochs = last.until if last is not None and last.until else EPOCHS
    if batch_size is None:
        batch_size = BATCH_SIZE if last is None else last.batch_size
    return count(epochs, "epochs"), count(batch_size, "batch_size")
