"""What a case of the corpus is: a fault with its healthy twin, or a control."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

import pynn
from pynn.babysit.findings import SYMPTOMS

Level = Literal["step", "evaluation"]
Feed = Callable[[int, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

#: Symptoms that only evaluations can show; their latency counts in these.
EPOCH_LEVEL = ("overfitting", "underfitting", "batchnorm_mismatch", "class_imbalance", "plateau")
#: Data sets on which nothing was tuned.
HELD_OUT_DATA = ("mnist", "cifar")
#: Seeds on which, on the other data sets, thresholds may be tuned; the report counts none of these runs.
TUNE_SEEDS = range(5)
SEEDS = range(10)

#: The onset of a fault that strikes when it will: the step that ends the run.
NATURAL = 0
#: What follows when a network cannot learn, whatever the cause.
STALLED = ("not_learning", "plateau", "underfitting", "zigzag")
#: What follows when weights or activations grow out of bounds, whatever the cause.
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
    """All that is needed to train once.

    Attributes
    ----------
    trainer : pynn.Trainer
    x, y : ndarray
    validation : (x, y)
    epochs, batch_size : int
    shuffle : bool
    callbacks : list of pynn.Callback
        What makes a run sick on its way.
    feed : callable, optional
        For a loop by hand: gets step, x and y of each minibatch and returns what is trained on.
    metric : {"accuracy", "balanced", "r2"}
        What the run is judged by: accuracy, mean recall of the classes, or the share of variance explained.
    """

    trainer: pynn.Trainer
    x: np.ndarray
    y: np.ndarray
    validation: tuple[np.ndarray, np.ndarray]
    epochs: int = 8
    batch_size: int = 64
    shuffle: bool = True
    callbacks: Sequence[pynn.Callback] = ()
    feed: Feed | None = None
    metric: Literal["accuracy", "balanced", "r2"] = "accuracy"


@dataclass(frozen=True)
class Fault:
    """A run made sick as people make them sick.

    Attributes
    ----------
    name, about, data : str
    build : callable
        ``build(seed, sick)`` gives the run, or with ``sick=False`` its twin: the same without the fault.
    causes : tuple of str
        The symptoms that name the fault, the most exact first.
    consequences : tuple of str
        Other symptoms that such a run really has.
    onset : int
        The first optimiser step that is sick, or NATURAL.
    visible_before : bool
        Whether a check before training can see it.
    visible_during : bool
        Whether watching the training can see it.
    checks : tuple of str
        The checks before training that name the fault exactly, beside those whose symptom is a cause.
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
            raise ValueError(f"{self.name}: {sorted(unknown)} are no symptoms")

    @property
    def level(self) -> Level:
        """Whether its latency counts in steps or in evaluations."""
        return "evaluation" if self.causes and self.causes[0] in EPOCH_LEVEL else "step"


@dataclass(frozen=True)
class Control:
    """A healthy run that looks odd.

    Attributes
    ----------
    name, about, data : str
    build : callable
        ``build(seed)`` gives the run.
    least : float
        The validation score that shows that it is healthy.
    """

    name: str
    about: str
    data: str
    build: Callable[[int], Run]
    least: float


@dataclass
class Corpus:
    """The cases of one theme; its methods are the decorators that add them."""

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
    """Return which part of the corpus a run belongs to."""
    return "tune" if seed in TUNE_SEEDS and data not in HELD_OUT_DATA else "report"
