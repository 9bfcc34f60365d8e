"""Cases of the corpus: a fault with its healthy twin, or a control."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

import pynn
from pynn.augment import Augment
from pynn.babysit.findings import SYMPTOMS

from .data import Split

Level = Literal["step", "evaluation"]
Metric = Literal["accuracy", "balanced", "r2"]
Feed = Callable[[int, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

#: Symptoms that only evaluations show; their latency counts evaluations.
EPOCH_LEVEL = ("overfitting", "underfitting", "batchnorm_mismatch", "class_imbalance", "plateau")
#: Data sets without any tuning.
HELD_OUT_DATA = ("mnist", "cifar")
#: Seeds for tuning thresholds on the other data sets; the report excludes these runs.
TUNE_SEEDS = range(5)
SEEDS = range(10)

#: Onset of a fault without a fixed step: the step that ends the run.
NATURAL = 0
#: Consequences of any cause that prevents learning.
STALLED = ("not_learning", "plateau", "underfitting", "zigzag")
#: Consequences of any cause that makes weights or activations explode.
BLOWN_UP = (
    "exploding_gradient",
    "diverging",
    "non_finite",
    "oscillating",
    "dead_units",
    "saturated_units",
    "vanishing_gradient",
    *STALLED,
)


@dataclass
class Run:
    """One training run.

    Attributes
    ----------
    trainer : pynn.Trainer
    x, y : ndarray
    validation : (x, y)
    epochs, batch_size : int
    shuffle : bool
    callbacks : list of pynn.Callback
        Callbacks that inject a fault during the run.
    augment : list of callable
        As for `Trainer.fit`.
    feed : callable, optional
        For a custom loop: takes step, x and y of each minibatch and returns the x and y to train on.
    metric : {"accuracy", "balanced", "r2"}
        Score of the run: accuracy, mean recall of the classes, or share of variance explained.
    """

    trainer: pynn.Trainer
    x: np.ndarray
    y: np.ndarray
    validation: tuple[np.ndarray, np.ndarray]
    epochs: int = 8
    batch_size: int = 64
    shuffle: bool = True
    callbacks: Sequence[pynn.Callback] = ()
    augment: Sequence[Augment] = ()
    feed: Feed | None = None
    metric: Metric = "accuracy"

    @property
    def settings(self) -> dict[str, Any]:
        """How the examples are trained on, as `Trainer.fit` and `pynn.diagnose` take it."""
        names = ("epochs", "batch_size", "shuffle", "callbacks", "augment")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def of(
        cls,
        split: Split,
        model: pynn.Sequential,
        optimizer: pynn.Optimizer,
        seed: int,
        epochs: int,
        batch_size: int = 64,
        loss: Any = None,
        *,
        metric: Metric | None = None,
        shuffle: bool = True,
        callbacks: Sequence[pynn.Callback] = (),
        feed: Feed | None = None,
        **settings: Any,
    ) -> Run:
        """Return the run of a new trainer with these settings; by default squared errors are scored by r2."""
        trainer = pynn.Trainer(model, loss or pynn.CrossEntropyLoss(), optimizer, seed=seed, **settings)
        metric = metric or ("r2" if isinstance(loss, pynn.MSELoss) else "accuracy")
        examples = split.x, split.y, split.validation
        return cls(trainer, *examples, epochs, batch_size, shuffle, callbacks, feed=feed, metric=metric)


@dataclass(frozen=True)
class Fault:
    """A run with a realistic fault.

    Attributes
    ----------
    name, about, data : str
    build : callable
        ``build(seed, sick)`` returns the run, or with ``sick=False`` its twin without the fault.
    causes : tuple of str
        Symptoms that name the fault, most exact first.
    consequences : tuple of str
        Other real symptoms of the run.
    onset : int
        First faulty optimiser step, or NATURAL.
    visible_before : bool
        Whether a preflight check can detect it.
    visible_during : bool
        Whether the monitor can detect it.
    checks : tuple of str
        Preflight checks that name the fault exactly, besides those whose symptom is a cause.
    """

    name: str
    about: str
    data: str
    build: Callable[[int, bool], Run]
    causes: tuple[str, ...]
    consequences: tuple[str, ...] = ()
    onset: int = 1
    visible_before: bool = False
    visible_during: bool = True
    checks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = {*self.causes, *self.consequences} - set(SYMPTOMS)
        if unknown:
            raise ValueError(f"{self.name}: {sorted(unknown)} are not symptoms")

    @property
    def level(self) -> Level:
        """Unit of its latency: steps or evaluations."""
        return "evaluation" if self.causes and self.causes[0] in EPOCH_LEVEL else "step"


@dataclass(frozen=True)
class Control:
    """A healthy run that looks odd.

    Attributes
    ----------
    name, about, data : str
    build : callable
        ``build(seed)`` returns the run.
    least : float
        Minimum validation score of a healthy run.
    """

    name: str
    about: str
    data: str
    build: Callable[[int], Run]
    least: float


@dataclass
class Corpus:
    """The cases of one topic; its methods are decorators that add cases."""

    faults: list[Fault] = field(default_factory=list)
    controls: list[Control] = field(default_factory=list)

    def fault(self, data: str, *causes: str, **about: Any) -> Callable[[Callable[[int, bool], Run]], Fault]:
        """Add a function ``(seed, sick) -> Run`` as a fault; its name and docstring are the fault's."""

        def add(build: Callable[[int, bool], Run]) -> Fault:
            also = about.pop("also", ())
            consequences = tuple(name for name in dict.fromkeys(also) if name not in causes)
            text = (build.__doc__ or "").strip()
            self.faults.append(Fault(build.__name__, text, data, build, causes, consequences, **about))
            return self.faults[-1]

        return add

    def control(self, data: str, least: float) -> Callable[[Callable[[int], Run]], Control]:
        """Add a function ``seed -> Run`` as a control; its name and docstring are the control's."""

        def add(build: Callable[[int], Run]) -> Control:
            self.controls.append(Control(build.__name__, (build.__doc__ or "").strip(), data, build, least))
            return self.controls[-1]

        return add


def part(data: str, seed: int) -> Literal["tune", "report"]:
    """Return the part of the corpus that a run belongs to."""
    return "tune" if seed in TUNE_SEEDS and data not in HELD_OUT_DATA else "report"
