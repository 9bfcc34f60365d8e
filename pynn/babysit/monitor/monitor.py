"""The monitor: watches a trainer, applies the rules, keeps the findings, and acts on them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import numpy as np

from ...training.callbacks import Callback
from ...training.history import History
from ...utils.arrays import non_finite_row
from ...utils.config import Configurable
from ...utils.validation import count, fraction, instance, several
from ...utils.warning import warn_user
from ..findings import SYMPTOMS, Finding, ranked
from ..thresholds import Thresholds
from . import probes
from .breakdown import breakdown
from .episodes import Episodes
from .evaluations import Evaluation
from .looks import look_at_start, look_at_steps, look_at_units
from .recorder import LOSS, MIN_BLOCK, Recorder
from .rules import END_RULES, EVALUATION_RULES, STEP_RULES, Detection
from .rules.rates import run_away
from .run_state import RunState
from .scoring import score_epoch
from .shown import Shown
from .snapshots import Album, Snapshot, histograms
from .stats import Stats
from .unit_sums import UnitSums
from .users_rules import BabysitterWarning, Rule, checked_rules, detections
from .watchable import Watchable
from .window import window_of

Action = Literal["warn", "stop", "restore", "silent"] | Callable[[Finding], Any]
ACTIONS = ("warn", "stop", "restore", "silent")

#: Settings that a monitor which watches has passed on.
FIXED = ("every", "budget", "thresholds")
#: Each of the first epochs is evaluated, and later one whenever their number has grown by 1%: an evaluation takes 2 ms,
#: and longer the more epochs there are; an epoch of one step on a few examples, 0.2 ms.
EACH_EPOCH, SPACING = 100, 1.01


class Monitor(Shown, Configurable, Callback):
    """Watches every step of a training run and reports faults.

    Fused kernels compute the statistics. Watching does not change the training by a single bit.

    Parameters
    ----------
    every : int
        Interval between watched steps.
    budget : float, optional
        The share of the training time that watching may take, such as 0.03. To stay within the budget, the monitor
        skips steps and, for small networks, applies the rules less often; the last planned epoch is always evaluated.
    ignore : iterable of str
        Symptoms not to report.
    thresholds : mapping of str to float, optional
        Values that replace the defaults, by the names of `babysit.Thresholds`.
    on_problem : {"warn", "stop", "restore", "silent"} or callable
        What to do about a new warning or error. "warn" issues a `BabysitterWarning`. "stop" also stops the training
        at an error. "restore" first restores the weights that the last epoch without an error ended with, if there is
        one. "silent" does nothing. A callable receives the finding.
    rules : iterable of callable
        Rules of your own, applied beside pynn's after some tens of steps and after each epoch (of thousands, after
        ever fewer): functions of a `babysit.RunState` that yield a `babysit.Detection` for what they see.

    Attributes
    ----------
    findings : list of Finding
        All findings, in the order of discovery.
    verdict : list of Finding
        The findings that claim a fault of the run as it is, likeliest cause first. What has passed (`Finding.end`) is
        in `findings` only.
    stats : Stats
        The recorded statistics.
    snapshots : list of Snapshot
    history : History
        The trainer's history.
    first_weights : ndarray or None
        The latest weights of the first layer; filters are columns.
    filter_shape : tuple of int
        Channels, rows and columns of the first layer's filters; empty for a weight matrix.
    input_shape : tuple of int
        Shape of one example, as the network receives it.
    channels : set of str
        The layers whose units are channels: each unit has a value at every position of an image or sequence.

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

    In a custom loop:

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
        rules: Iterable[Rule] = (),
    ) -> None:
        self.every = count(every, "every")
        self.budget = None if budget is None else fraction(budget, "budget", one=False)
        self.ignore = frozenset([ignore] if isinstance(ignore, str) else several(ignore, "ignore"))
        self.rules = checked_rules(rules)
        unknown = sorted(map(str, self.ignore - set(SYMPTOMS)))
        if unknown and not self.rules:  # whose symptoms have any name
            raise ValueError(f"ignore has unknown symptoms {', '.join(unknown)}; expected any of {', '.join(SYMPTOMS)}")
        if not callable(on_problem) and not (isinstance(on_problem, str) and on_problem in ACTIONS):
            raise ValueError(f"on_problem is {on_problem!r}; expected one of {', '.join(ACTIONS)}, or a function")
        Thresholds.of(thresholds)  # checks them
        self.thresholds = None if thresholds is None else dict(thresholds)
        self.on_problem = on_problem
        self.findings: list[Finding] = []
        self._episodes = Episodes(self.findings)
        self.stats = Stats()
        self.history = History()
        self.first_weights: np.ndarray | None = None
        self.filter_shape: tuple[int, ...] = ()
        self.input_shape: tuple[int, ...] = ()
        self._album = Album()
        self._trainer: Watchable | None = None
        self._recorder: Recorder | None = None
        self._state: RunState | None = None
        self._units: dict[str, UnitSums] = {}
        self._layer_of: dict[str, str] = {}
        self._good: Mapping[str, np.ndarray] | None = None
        self._judged = 0  # the step after which the step rules were last applied
        self._evaluated = 0  # the number of epochs when one was last evaluated

    @property
    def limits(self) -> Thresholds:
        return Thresholds.of(self.thresholds)

    def checked_setting(self, name: str, value: Any) -> Any:
        if name in FIXED and self._state is not None:
            raise ValueError(f"{name} is fixed, because this monitor has begun to watch; make a new monitor")
        return super().checked_setting(name, value)

    @property
    def verdict(self) -> list[Finding]:
        self._catch_up()
        return ranked(self.findings)

    @property
    def epochs_until(self) -> int:
        """The step at which the last finished epoch ended; 0 before the first."""
        return 0 if self._trainer is None else self._trainer.steps - self._trainer.batches_done

    @property
    def channels(self) -> set[str]:
        return {name for name, units in self._units.items() if units.places > 1}

    @property
    def snapshots(self) -> list[Snapshot]:
        return self._album.snapshots

    def watch(self, trainer: Watchable) -> None:
        """Watch a trainer from its next step on; `fit` calls this for monitors among its callbacks."""
        from ...training.trainer import Trainer

        if not isinstance(trainer, Trainer | Watchable):
            instance(trainer, "trainer", Trainer)
        if self._trainer is trainer and trainer.observer is self._recorder and self._recorder is not None:
            return
        if self._trainer is not None and self._trainer is not trainer:
            raise ValueError("this monitor already watches another trainer; make a new monitor")
        if trainer.observer is not None:
            raise ValueError("another monitor watches this trainer; call that monitor's unwatch() first")
        if self._state is None:
            self._state = RunState.of(trainer, self.limits)
        self._trainer, self.history = trainer, trainer.history
        # The recorder of rank 0 sees what all ranks compute.
        digest = self._digest if trainer.rank == 0 else _overlook
        self._recorder = trainer.observer = Recorder(trainer, digest, self.every, self.budget)
        weights_of = {id(weights.parameter): weights.name for weights in self._state.network.weights}
        named = trainer.model.named_parameters()
        self._layer_of = {name: weights_of[id(each)] for name, each in named if id(each) in weights_of}
        if self.stats.steps.size == 0:
            self.stats.lay_out(self._recorder)
        else:
            self.stats.follow(self._recorder)

    def unwatch(self) -> None:
        """Stop watching, and keep the findings."""
        trainer, recorder = self._trainer, self._recorder
        if trainer is not None and trainer.observer is recorder and recorder is not None:
            recorder.finish(trainer)
            trainer.observer = None
        self._recorder = None

    def _catch_up(self) -> None:
        """Process the recorded steps of a custom training loop; `fit` processes its own, perhaps in another thread."""
        recorder, trainer = self._recorder, self._trainer
        if recorder is not None and trainer is not None and trainer.examples is None and not trainer.in_another_thread:
            recorder.finish(trainer)

    def on_train_begin(self, trainer: Any) -> None:
        self.watch(trainer)

    def on_epoch_end(self, trainer: Any) -> None:
        if self._recorder is None or trainer.rank:  # a callback may have called `unwatch`
            return
        pace = self._recorder.pace
        last = trainer.epoch == trainer.target_epoch  # what is said of a whole run needs figures of its end
        due = last or (self._epoch_due and (pace is None or pace.evaluates()))
        began = time.perf_counter()
        if due:
            self._recorder.finish(trainer, MIN_BLOCK)
        self._enter_epoch(trainer)
        if due:
            self._evaluate(trainer)
            if pace is not None:
                pace.evaluated(time.perf_counter() - began)

    def on_train_end(self, trainer: Any) -> None:
        if self._recorder is not None and self._state is not None and not trainer.history.interrupted:
            self._recorder.finish(trainer)
            self._state.epochs_left = trainer.target_epoch - trainer.epoch
            if self._recorder.pace is None and self._evaluated < len(self._state.evaluations):
                self._evaluate(trainer)  # it was stopped after an epoch that was not due
            if self._state.windows and self._evaluated == len(self._state.evaluations):
                self._apply(END_RULES, trainer)
        self.unwatch()

    def _digest(self, trainer: Watchable, x: np.ndarray, target: np.ndarray, rows: np.ndarray) -> None:
        """Store the rows of watched steps, and apply the step rules to them; the last row may be of a failed step."""
        assert self._state is not None and self._recorder is not None
        state, step, loss = self._state, trainer.steps, float(rows[-1, LOSS])
        taken = rows if math.isfinite(loss) else rows[:-1]
        if not state.windows:
            self.input_shape = x.shape[1:]
            look_at_start(state, trainer, x, target)
        if len(taken):
            state.add(window_of(taken, self._recorder, self._layer_of))
            look_at_units(state, self._units, self._recorder, taken)
            look_at_steps(state, trainer, x, target)
            if self._album.due(step):
                self._take_snapshot(state, self._recorder, step)
        self.stats.append(taken)
        if state.windows:
            self._apply((*STEP_RULES, *self.rules), trainer)
            self._judged = step
            if trainer.examples is None:  # there are no evaluations
                self._episodes.let_pass(state, self._judged, step)
        if len(taken) < len(rows):
            if state.windows and non_finite_row(x, target) is None:
                for detection in run_away(state):
                    self._note(detection, step, trainer)
            for detection in breakdown(state, trainer, self._recorder.outputs, (x, target), loss):
                self._note(detection, step + 1, trainer)

    def _take_snapshot(self, state: RunState, recorder: Recorder, step: int) -> None:
        """Keep histograms of outputs and gradients, which units are active, and the weights of the first layer."""
        activations = histograms({output.name: output.array for output in recorder.outputs})
        gradients = histograms({output.name: output.gradient for output in recorder.outputs})
        active = {name: units.active for name, units in self._units.items() if units.active is not None}
        self._album.add(Snapshot(step, activations, gradients, active))
        if state.network.weights:
            first_layer = state.network.weights[0]
            self.filter_shape = first_layer.parameter.shape[1:] if first_layer.convolves else ()
            self.first_weights = first_layer.columns.astype(np.float32)

    @property
    def _epoch_due(self) -> bool:
        """Whether to evaluate the epoch that has just ended: it may take longer than the epoch itself."""
        epochs = 1 + (0 if self._state is None else len(self._state.evaluations))
        return epochs <= EACH_EPOCH or epochs >= SPACING * self._evaluated

    def _enter_epoch(self, trainer: Watchable) -> None:
        """Store what the history has of a finished epoch."""
        state = self._state
        if state is None or not state.windows:
            return
        state.data.class_names, state.settings.restores = trainer.model.class_names, trainer.keeps_best
        row = {name: column[-1] for name, column in trainer.history.history.items()}
        state.evaluations.append(Evaluation.of_row(row, trainer.steps, trainer.epoch))
        if trainer.examples is None:  # without data, the mean over the epoch is the best estimate
            state.evaluations[-1].fitted_loss = state.evaluations[-1].loss

    def _evaluate(self, trainer: Watchable) -> None:
        """Score the epoch that was entered last, and apply the evaluation rules."""
        state = self._state
        if state is None or not state.windows:
            return
        self._evaluated = len(state.evaluations)
        score_epoch(state, trainer)
        if trainer.examples is not None and state.network.has_modes and state.age >= 20:
            probes.compare_modes(state, trainer, trainer.examples)
        if trainer.epoch == trainer.target_epoch:  # rules of steps read the scores, too: at the end, the final ones
            self._apply(STEP_RULES, trainer)
        self._apply((*EVALUATION_RULES, *self.rules), trainer)
        self._episodes.let_pass(state, self._judged, trainer.steps)
        if self.on_problem == "restore" and not self._episodes.in_trouble:
            self._good = trainer.model.state_dict()

    def _apply(self, rules: Iterable[Rule], trainer: Watchable) -> None:
        assert self._state is not None
        for rule in rules:
            for detection in detections(rule, self._state, self.rules):
                self._note(detection, trainer.steps, trainer)
                if detection.severity != "info":
                    self._state.found[detection.symptom] = trainer.steps

    def _note(self, detection: Detection, step: int, trainer: Watchable) -> None:
        """Add a detection to the findings, and act on a new fault."""
        assert self._state is not None
        if detection.symptom not in self.ignore:
            finding = self._episodes.note(detection, self._state, step, trainer.batches_per_epoch)
            if finding is not None:
                self._act(finding, trainer)

    def _act(self, finding: Finding, trainer: Watchable) -> None:
        action = self.on_problem
        if callable(action):
            action(finding)
            return
        if action == "silent":
            return
        warn_user(str(finding), BabysitterWarning)
        if finding.severity == "error" and action in ("stop", "restore"):
            if action == "restore" and self._good is not None:
                trainer.model.load_state_dict(self._good)
            trainer.stop()


def _overlook(*_: object) -> None:
    """Discard rows that do not cover the whole minibatch."""
