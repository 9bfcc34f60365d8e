"""The monitor: watches a trainer, applies the rules, keeps what it saw, and acts."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..arguments import count, fraction
from ..callbacks import Callback
from ..examples import Examples, non_finite_row
from ..history import History
from . import facts as known
from . import probes
from .course import Course, Units, window_of
from .findings import SYMPTOMS, Finding, ranked
from .rules import EVALUATION_RULES, STEP_RULES, Sign
from .rules.evaluation import evaluation_of
from .rules.rates import run_away
from .snapshots import Album, Histogram, Snapshot
from .stats import RELU_LIKE, Stats
from .thresholds import Thresholds
from .watch import LEAST_BLOCK, Watch

if TYPE_CHECKING:
    from ..trainer import Trainer

Action = Literal["warn", "stop", "restore", "silent"] | Callable[[Finding], Any]
ACTIONS = ("warn", "stop", "restore", "silent")

#: Steps at which the weights of hidden units are compared.
COMPARE_UNITS = (1, 8, 50, 200)
#: An episode ends when its symptom has not been seen for so many steps.
EPISODE_GAP = 200


class BabysitterWarning(UserWarning):
    """A monitor has found a fault in a training run."""


class Monitor(Callback):
    """Watches every step of a training run and says what is wrong with it.

    Statistics come out of kernels while they touch the data; watching changes no bit of the training.

    Parameters
    ----------
    every : int
        Watch every so many steps.
    budget : float, optional
        The share of the time that watching may cost, such as 0.03. To keep to it steps are left out, and where steps
        are small, the rules look at them more rarely.
    ignore : iterable of str
        Symptoms not to report.
    thresholds : mapping of str to float, optional
        Figures to use instead of the usual ones, by the names of `babysit.Thresholds`.
    on_problem : {"warn", "stop", "restore", "silent"} or callable
        What to do when an episode of a warning or error begins: issue a `BabysitterWarning`; also stop the training
        (errors only); also go back to the last good weights first (if the run diverges); nothing; or call
        ``f(finding)``.

    Attributes
    ----------
    findings : list of Finding
        In the order of discovery.
    verdict : list of Finding
        Those that claim a fault, likeliest cause first.
    stats : Stats
        What was recorded.
    snapshots : list of Snapshot
    history : History
        That of the trainer.
    first_weights : ndarray or None
        The first weight matrix as last seen, or the first layer's filters as its columns.
    filter_shape : tuple of int
        Of those filters: channels, rows and columns; empty for a weight matrix.
    input_shape : tuple of int
        Of one example, as the network got it.
    channels : set of str
        The layers whose units are channels, with a value at each position of an image or sequence.

    Examples
    --------
    >>> import pynn
    >>> pynn.manual_seed(0)
    >>> x, y = pynn.datasets.blobs(seed=0)
    >>> x = x / x.std()
    >>> model = pynn.Sequential(pynn.Linear(2, 16), pynn.ReLU(), pynn.Linear(16, 3))
    >>> trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(1e-3))
    >>> monitor = pynn.Monitor(on_problem="silent")
    >>> history = trainer.fit(100 * x, y, epochs=3, callbacks=[monitor])
    >>> monitor.verdict[0].symptom
    'input_not_normalised'

    In a loop of your own:

    >>> trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(2, 3)), pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    >>> monitor = pynn.Monitor()
    >>> monitor.watch(trainer)
    >>> for _ in range(20):
    ...     loss = trainer.step(x, y)
    >>> monitor.verdict
    []
    """

    def __init__(
        self,
        every: int = 1,
        *,
        budget: float | None = None,
        ignore: Iterable[str] = (),
        thresholds: Mapping[str, float] | None = None,
        on_problem: Action = "warn",
    ) -> None:
        self.every = count(every, "every")
        self.budget = None if budget is None else fraction(budget, "budget", one=False)
        self.ignore = frozenset([ignore] if isinstance(ignore, str) else ignore)
        unknown = sorted(self.ignore - set(SYMPTOMS))
        if unknown:
            raise ValueError(f"ignore names {', '.join(unknown)}; the symptoms are {', '.join(SYMPTOMS)}")
        if not callable(on_problem) and on_problem not in ACTIONS:
            raise ValueError(f"on_problem is {on_problem!r}; expected one of {', '.join(ACTIONS)}, or a function")
        self.limits = Thresholds.of(None if thresholds is None else dict(thresholds))
        self.on_problem = on_problem
        self.findings: list[Finding] = []
        self.stats = Stats()
        self.history = History()
        self.first_weights: np.ndarray | None = None
        self.filter_shape: tuple[int, ...] = ()
        self.input_shape: tuple[int, ...] = ()
        self.channels: set[str] = set()
        self._album = Album()
        self._trainer: Trainer | None = None
        self._watch: Watch | None = None
        self._course: Course | None = None
        self._units: dict[str, Units] = {}
        self._layer_of: dict[str, str] = {}
        self._good: Mapping[str, np.ndarray] | None = None

    @property
    def verdict(self) -> list[Finding]:
        self._catch_up()
        return ranked(self.findings)

    @property
    def snapshots(self) -> list[Snapshot]:
        return self._album.snapshots

    def watch(self, trainer: Trainer) -> None:
        """Watch a trainer from its next step on; `fit` calls this for a monitor among its callbacks."""
        if self._trainer is trainer and trainer.watch is self._watch and self._watch is not None:
            return
        if self._trainer is not None and self._trainer is not trainer:
            raise ValueError("this monitor already watches another trainer; make a new one")
        if trainer.watch is not None:
            raise ValueError("another monitor watches this trainer; monitor.unwatch() ends that")
        if self._course is None:
            self._course = Course(known.gather(trainer), self.limits)
            self._course.initial_gains = {w.name: w.gain for w in self._course.facts.weights}
        self._trainer, self.history = trainer, trainer.history
        self._watch = trainer.watch = Watch(trainer, self._digest, self.every, self.budget)
        self._layer_of = {
            name: weights.name
            for weights in self._course.facts.weights
            for name, parameter in trainer.model.named_parameters()
            if parameter is weights.parameter
        }
        if self.stats.steps.size == 0:
            self.stats.lay_out(self._watch)
        else:
            self.stats.follow(self._watch)

    def unwatch(self) -> None:
        """Stop watching; what was found stays."""
        if self._trainer is not None and self._watch is not None and self._trainer.watch is self._watch:
            self._watch.finish(self._trainer)
            self._trainer.watch = None
        self._watch = None

    def report(self, path: str | Path) -> None:
        """Write an HTML page with everything: figures, pictures, findings. It opens without a network."""
        from .views.html import write_report

        self._catch_up()
        write_report(self, path)

    def _catch_up(self) -> None:
        """In a loop of the user's own, look at the steps that have not been looked at; `fit` does so by itself."""
        if self._watch is not None and self._trainer is not None and self._trainer.examples is None:
            self._watch.finish(self._trainer)

    def on_train_begin(self, trainer: Trainer) -> None:
        self.watch(trainer)

    def on_epoch_end(self, trainer: Trainer) -> None:
        assert self._watch is not None
        pace = self._watch.pace
        if pace is None or pace.evaluates():
            began = time.perf_counter()
            self._watch.finish(trainer, LEAST_BLOCK)
            self._evaluate(trainer)
            if pace is not None:
                pace.evaluated(time.perf_counter() - began)

    def on_train_end(self, trainer: Trainer) -> None:
        self.unwatch()

    def _digest(self, trainer: Trainer, x: np.ndarray, target: np.ndarray, rows: np.ndarray) -> None:
        """Take up rows of steps: record them, and look for symptoms."""
        assert self._course is not None and self._watch is not None
        course, watch = self._course, self._watch
        first = not course.windows
        taken = rows if math.isfinite(rows[-1, 1]) else rows[:-1]
        if first:
            self._look_at_start(course, trainer, x, target)
        if len(taken):
            course.add(window_of(taken, watch, self._layer_of))
            self._look_at_units(course, watch, taken)
            probes.batch(course, trainer, target)
            if any(course.window.first < course.began + at <= course.window.last + 1 for at in COMPARE_UNITS):
                probes.distinct_units(course)
            if trainer.examples is not None and trainer.batches_per_epoch:
                whole = trainer.target_epoch * trainer.batches_per_epoch
                course.steps_left = max(0.0, 1 - trainer.steps / whole)
                course.epochs_left = trainer.target_epoch - trainer.epoch
            if trainer.examples is None and len(course.windows) % 8 == 1:
                course.facts.inputs = known.InputFigures.of(x, 256)
        if self._album.due(trainer.steps) and len(taken):
            self._album.add(self._snapshot(trainer.steps))
            if course.facts.weights:
                first_layer = course.facts.weights[0]
                self.filter_shape = first_layer.parameter.shape[1:] if first_layer.convolves else ()
                self.first_weights = first_layer.columns.astype(np.float32)
        self.stats.append(taken)
        if course.windows:
            self._apply(STEP_RULES, trainer)
        if len(taken) < len(rows):
            if course.windows and non_finite_row(x, target) is None:
                for sign in run_away(course):
                    self._note(sign, trainer.steps, trainer)
            self._note(self._non_finite(trainer, x, target, float(rows[-1, 1])), trainer.steps + 1, trainer)

    def _look_at_start(self, course: Course, trainer: Trainer, x: np.ndarray, target: np.ndarray) -> None:
        facts, loss = course.facts, trainer.loss
        self.input_shape = x.shape[1:]
        known.look_at_batch(facts, loss, x, target, trainer.prediction)
        examples, held_out = trainer.examples, trainer.held_out
        data = Examples(x, target, None) if examples is None else examples
        known.look_at_data(facts, loss, data.x, data.y, trainer.prediction)
        if held_out is not None:
            facts.held_out = known.InputFigures.of(held_out.x)
            course.held_out_examples = len(held_out.x)
        probes.own_gradients(course, trainer, x, target)

    def _look_at_units(self, course: Course, watch: Watch, rows: np.ndarray) -> None:
        """Count dead units over windows, and note how far signals spread at the start."""
        examples, steps = int(rows[:, 4].sum()), len(rows)
        for index, output in enumerate(watch.outputs):
            if output.units is None:
                continue
            units = self._units.get(output.name)
            if units is None or units.sums.shape != output.units.shape:
                rectifies = output.code in RELU_LIKE
                units = self._units[output.name] = Units(output.name, rectifies, np.zeros(output.units.shape))
            units.sums += output.units
            units.places = max(output.per_example // output.units.shape[1], 1)
            if units.places > 1:
                self.channels.add(output.name)
            units.examples += examples
            units.steps += steps
            output.units[...] = 0
            if output.name not in course.initial_spread:
                course.initial_spread[output.name] = units.spread
            if units.rectifies and units.complete:
                share = float(np.mean(units.sums[2] == 0))
                course.dead[output.name] = watch.dead[index] = share
                course.least_dead[output.name] = min(course.least_dead.get(output.name, 1.0), share)
                units.active = (units.sums[2] / (units.examples * units.places)).astype(np.float32)
                units.sums[...] = 0
                units.examples = units.steps = 0

    def _snapshot(self, step: int) -> Snapshot:
        assert self._watch is not None
        snapshot = Snapshot(step)
        for output in self._watch.outputs:
            if output.array is not None:
                snapshot.activations[output.name] = Histogram.of(output.array)
            if output.gradient is not None:
                snapshot.gradients[output.name] = Histogram.of(output.gradient)
            units = self._units.get(output.name)
            if units is not None and units.rectifies and units.active is not None:
                snapshot.active[output.name] = units.active
        return snapshot

    def _evaluate(self, trainer: Trainer) -> None:
        """Look at a finished epoch."""
        course = self._course
        if course is None or not course.windows or trainer.examples is None:
            return
        row = {name: column[-1] for name, column in trainer.history.history.items()}
        course.evaluations.append(evaluation_of(row, trainer.steps, trainer.epoch))
        if trainer.held_out is not None:
            if course.facts.counts is not None:
                probes.recall(course, trainer, trainer.held_out)
            if math.isnan(course.attainable) and len(course.evaluations) >= 3:
                probes.attainable(course, trainer, trainer.examples, trainer.held_out)
            if not math.isnan(course.attainable):
                probes.reached(course, trainer, trainer.held_out)
        if course.facts.has_norm and course.age >= 20:
            probes.inference_mode(course, trainer, trainer.examples)
        self._apply(EVALUATION_RULES, trainer)
        if isinstance(self.on_problem, str) and self.on_problem == "restore" and not self._in_trouble():
            self._good = trainer.model.state_dict()

    def _in_trouble(self) -> bool:
        return any(finding.severity == "error" for finding in self.findings)

    def _apply(self, rules: Iterable[Callable[[Course], Iterable[Sign]]], trainer: Trainer) -> None:
        assert self._course is not None
        course = self._course
        for rule in rules:
            try:
                signs = list(rule(course))
            except Exception as error:  # a run of hours must not end because of a rule
                name = getattr(rule, "__name__", "?")
                warnings.warn(f"the rule {name} failed ({error!r}); please report it", BabysitterWarning, stacklevel=2)
                continue
            for sign in signs:
                self._note(sign, trainer.steps, trainer)
                if sign.severity != "info":
                    course.found[sign.symptom] = trainer.steps

    def _non_finite(self, trainer: Trainer, x: np.ndarray, target: np.ndarray, loss: float) -> Sign:
        cause = non_finite_row(x, target)
        if cause is not None:
            return Sign("non_finite", "error", f"the loss is {loss}: {cause}", "remove such examples from the data")
        evidence = f"the loss is {loss} at a rate of {trainer.lr:g}, though the data is finite"
        return Sign("non_finite", "error", evidence, "lower the learning rate, or look at your own layers and losses")

    def _note(self, sign: Sign, step: int, trainer: Trainer) -> None:
        """Begin an episode or continue it; act when one begins that claims a fault."""
        if sign.symptom in self.ignore:
            return
        order = ("info", "warning", "error")
        for finding in reversed(self.findings):
            # What epochs show is seen once in each of them.
            gap = max(EPISODE_GAP, 2 * trainer.batches_per_epoch, finding.last_step - finding.step)
            if (finding.symptom, finding.layer) == (sign.symptom, sign.layer) and step - finding.last_step <= gap:
                finding.last_step = step
                worse = order.index(sign.severity) > order.index(finding.severity)
                was_info = finding.severity == "info"
                if worse:
                    finding.severity, finding.evidence, finding.advice = sign.severity, sign.evidence, sign.advice
                if worse and was_info:
                    self._act(finding, trainer)
                return
        finding = Finding(sign.symptom, sign.layer, step, step, sign.severity, sign.evidence, sign.advice)
        self.findings.append(finding)
        if finding.severity != "info":
            self._act(finding, trainer)

    def _act(self, finding: Finding, trainer: Trainer) -> None:
        action = self.on_problem
        if callable(action):
            action(finding)
            return
        if action == "silent":
            return
        warnings.warn(str(finding), BabysitterWarning, stacklevel=2)
        if finding.severity == "error" and action in ("stop", "restore"):
            if action == "restore" and self._good is not None:
                trainer.model.load_state_dict(self._good)
            trainer.stop()
