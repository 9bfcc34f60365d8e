"""State of a run for the rules, aggregated from the rows of a recorder."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..findings import SYMPTOMS
from ..thresholds import Thresholds
from .evaluations import Evaluation
from .window import Window

if TYPE_CHECKING:
    from .facts import Facts

#: Symptoms that explain a lack of learning.
CAUSES = frozenset(SYMPTOMS[: SYMPTOMS.index("not_learning")]) - {"batchnorm_mismatch"}
#: Standard errors above which predictions and targets are related.
RELATED = 3.0
#: Share of the weights' norm by which the first step of a run may change them.
GENTLE = 0.05
#: Share of the weights' norm that all steps may change without having led anywhere.
HARDLY = 0.1
#: Number of stored windows, and of recent ones.
MEMORY, RECENT = 200, 40


def _weighted_median(pairs: list[tuple[float, int]]) -> float:
    """Return the weighted median of (value, weight) pairs."""
    half, seen = sum(weight for _, weight in pairs) / 2, 0
    for value, weight in sorted(pairs):
        seen += weight
        if seen >= half:
            return value
    return math.nan


@dataclass
class RunState:
    """A run so far.

    Attributes
    ----------
    facts : Facts
    limits : Thresholds
    windows : deque of Window
        The latest is last.
    initial_loss : float
        Loss of the first watched step.
    began : int
        The first watched step.
    best, best_step, best_noise : float, int, float
        The smallest median loss of a window, the last step of that window, and the noise of its loss.
    worst_ratio : float
        The largest update ratio of a step after the first, of weights without batch norm after them.
    highest_lr : float
        The highest rate of a step.
    dead : dict of str to float
        Share of dead units per rectifier layer, in its last complete window.
    least_dead : dict of str to float
        The minimum of `dead` over all windows.
    initial_gains, start_norms, usual_norms, initial_spread : dict of str to float
        At the start: gain of the weights (see `Weights.gain`), their norms, and the standard deviation of the outputs
        over the examples.
    distinct_units : dict of str to (int, int)
        Number of distinct units of a hidden layer, and of all its units.
    ends_in_probabilities : bool
        Whether the outputs are non-negative and sum to 1.
    rectified_output : bool
        Whether logits pass a rectifier, so that they are never negative.
    one_class_batches : float
        The mean share of a batch's largest class; NaN without classes.
    batch_spread : float
        For regression: the spread of a batch's targets over that of all, on average.
    steps_left, epochs_left : float, int
        The share of the planned steps still to come, and the epochs; -1 in a custom loop.
    initial_saturated, initial_active : dict of str to float
        Share of a layer's outputs that were saturated, or positive, at the start.
    without_gradient : set of str
        Trained layers at which no gradient has arrived so far.
    found : dict of str to int
        Faults found so far, each with the last step at which it was seen.
    evaluations : list of Evaluation
    held_out_examples : int
        Number of validation examples.
    attainable, reached : float
        Validation score of a simple learner and of the network: accuracy, or share of variance explained.
    attainable_within : float
        Score of ridge regressions, fitted to a half of the training examples, on the other half.
    fitted : float
        The network's score on training examples, also in inference mode: without dropout.
    simply_related, related : float
        By how many standard errors validation targets and predictions are related: those of a simple learner, and of
        the network or a simple learner.
    lowest_losses : ndarray or None
        The validation examples' losses at the evaluation at which their mean was lowest.
    class_names : list of str or None
    gentle_lr : float
        The rate at which the first step would have changed weights by at most the share `GENTLE`.
    restores : bool
        Whether a callback restores the weights of the best epoch.
    usual_input : float
        `Window.largest_input` at the start.
    alike_at_start : set of str
        Hidden layers in which at least half of the units shared their weights with another unit at the start.
    confidence : list of list of float
        Mean probability of each class on its validation examples, after each evaluation.
    recall : list of (float, int), optional
        Recall of each class, and its number of validation examples.
    wrong_gradient : (str, str, str or None), optional
        Evidence, advice and place, if a gradient is not that of the loss.
    mode_gaps : list of (float, float, float, float)
        Of each evaluation: the loss of one batch in training and in inference mode, and the accuracies.

    Examples
    --------
    Rules read it, your own among them; ``docs/rules.md`` lists what stays as it is between versions.

    >>> import pynn
    >>> ages = []
    >>> def note(state):
    ...     ages.append(state.age)
    ...     return ()
    >>> x, y = pynn.datasets.blobs(n=320, classes=3, seed=0)
    >>> model = pynn.Sequential(pynn.Linear(2, 16), pynn.ReLU(), pynn.Linear(16, 3))
    >>> trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.01))
    >>> monitor = pynn.Monitor(rules=[note], on_problem="silent")
    >>> history = trainer.fit(x, y, epochs=1, batch_size=32, callbacks=[monitor])
    >>> ages
    [1, 2, 4, 8, 10, 10]
    """

    facts: Facts
    limits: Thresholds = field(default_factory=Thresholds)
    windows: deque[Window] = field(default_factory=lambda: deque(maxlen=MEMORY))
    initial_loss: float = math.nan
    best: float = math.inf
    best_step: int = 0
    worst_ratio: float = 0.0
    highest_lr: float = 0.0
    usual_norms: dict[str, float] = field(default_factory=dict)
    start_norms: dict[str, float] = field(default_factory=dict)
    initial_spread: dict[str, float] = field(default_factory=dict)
    initial_saturated: dict[str, float] = field(default_factory=dict)
    initial_active: dict[str, float] = field(default_factory=dict)
    best_noise: float = 0.0
    dead: dict[str, float] = field(default_factory=dict)
    least_dead: dict[str, float] = field(default_factory=dict)
    evaluations: list[Evaluation] = field(default_factory=list)
    began: int = 0
    initial_gains: dict[str, float] = field(default_factory=dict)
    distinct_units: dict[str, tuple[int, int]] = field(default_factory=dict)
    rectified_output: bool = False
    ends_in_probabilities: bool = False
    one_class_batches: float = math.nan
    batch_spread: float = math.nan
    steps_left: float = 1.0
    epochs_left: int = -1
    without_gradient: set[str] = field(default_factory=set)
    found: dict[str, int] = field(default_factory=dict)
    usual_input: float = math.nan
    alike_at_start: set[str] = field(default_factory=set)
    confidence: list[list[float]] = field(default_factory=list)
    held_out_examples: int = 0
    attainable: float = math.nan
    attainable_within: float = math.nan
    reached: float = math.nan
    fitted: float = math.nan
    simply_related: float = math.nan
    related: float = math.nan
    lowest_losses: np.ndarray | None = None
    class_names: list[str] | None = None
    gentle_lr: float = math.inf
    restores: bool = False
    recall: list[tuple[float, int]] | None = None
    mode_gaps: list[tuple[float, float, float, float]] = field(default_factory=list)
    wrong_gradient: tuple[str, str, str | None] | None = None
    _recent: dict[tuple[int, int], float] = field(default_factory=dict)

    def add(self, window: Window) -> None:
        """Add the latest window."""
        if not self.windows:
            self.initial_loss, self.began = window.first_loss, window.first
            self.usual_input = window.largest_input
            self.initial_saturated = {name: output.saturated for name, output in window.outputs.items()}
            self.initial_active = {name: output.active for name, output in window.outputs.items()}
            # A column of weights that preserves the variance of signals has a norm of about 1.
            self.usual_norms = {weights.name: math.sqrt(weights.units) for weights in self.facts.weights}
            self.start_norms = {name: w.norm for name, w in window.weights.items()}
            self.gentle_lr = self._gentle_lr(window)
            self.without_gradient = set(window.weights)
        self.without_gradient &= {name for name, w in window.weights.items() if w.gradient_norm == 0}
        self.windows.append(window)
        if window.loss < self.best and self._tells(window.steps):
            self.best, self.best_step, self.best_noise = window.loss, window.last, window.noise
        if window.last > self.began + 1:
            self.worst_ratio = max(self.worst_ratio, self._largest_ratio(window))
        self.highest_lr = max(self.highest_lr, window.highest_lr)

    def _largest_ratio(self, window: Window) -> float:
        """Return the largest update ratio of a step, of weights whose scale matters (no batch norm after them)."""
        free = {weights.name for weights in self.facts.weights if weights.normalized}
        ratios = [
            self._relative(name, w.largest_ratio, w.norm) for name, w in window.weights.items() if name not in free
        ]
        return max((ratio for ratio in ratios if not math.isnan(ratio)), default=0.0)

    def _gentle_lr(self, window: Window) -> float:
        """Return the rate at which the steps of the first window would have changed weights by the share `GENTLE`."""
        steps = [
            w.ratio * w.norm / max(self.start_norms.get(name, 0.0), 0.2 * self.usual_norms.get(name, 0.0), 1e-30)
            for name, w in window.weights.items()
            if not math.isnan(w.ratio)
        ]
        largest = max(steps, default=0.0)
        return GENTLE * window.lr / largest if largest > 0 else math.inf

    @property
    def window(self) -> Window:
        """The latest window."""
        return self.windows[-1]

    def unit(self, name: str) -> str:
        """Return the name of a layer's units: "channel" for convolutions, otherwise "unit"."""
        filters = any(w.convolves and name in (w.name, w.output) for w in self.facts.weights)
        return "channel" if filters else "unit"

    def or_batch_norm(self, name: str) -> str:
        """Return ", batch norm" as a further advice for a layer that has none."""
        has = any(w.normalized for w in self.facts.weights if name in (w.name, w.output))
        return "" if has else ", batch norm"

    @property
    def start(self) -> float:
        """The loss at the start, or of zero outputs if that was larger."""
        zero = self.facts.zero_loss
        return self.initial_loss if math.isnan(zero) else max(self.initial_loss, zero)

    def is_lost(self, loss: float) -> bool:
        """Return whether a loss is far above that at the start, or not finite."""
        far = loss > self.limits.lost_loss * self.start > 0
        return not math.isfinite(loss) or (far and (self.age >= 16 or loss > 10 * self.start))

    @property
    def proven_lr(self) -> float:
        """The highest rate of a step up to the best window; 0 if there is none."""
        return max((window.highest_lr for window in self.windows if window.last <= self.best_step), default=0.0)

    @property
    def ratio(self) -> float:
        """The largest of the weights' update ratios; small weights count as if they had the usual size."""
        ratios = [self._relative(name, w.ratio, w.norm) for name, w in self.window.weights.items()]
        return max((ratio for ratio in ratios if not math.isnan(ratio)), default=math.nan)

    def _relative(self, name: str, ratio: float, norm: float) -> float:
        """Return an update ratio relative to at least the initial norm, or a fifth of the usual norm."""
        usual = self.usual_norms.get(name, 0.0)
        return ratio * norm / max(norm, self.start_norms.get(name, 0.0), 0.2 * usual, 1e-30)

    @property
    def planned(self) -> bool:
        """Whether the planned length of the run is known."""
        return self.epochs_left >= 0

    @property
    def age(self) -> int:
        """Number of steps watched."""
        return self.window.last - self.began + 1

    def _tells(self, steps: int) -> bool:
        """Return whether the median loss of `steps` minibatches is meaningful."""
        return steps >= 50 or (steps >= 4 and steps * self.facts.batch_size >= 256)

    def recent_loss(self, steps: int = 20) -> float:
        """Return the median loss of the latest windows with at least `steps` steps."""
        key = (steps, self.window.last)
        if key not in self._recent:
            losses, seen = [], 0
            for window in reversed(self.windows):
                losses.append((window.loss, window.steps))
                seen += window.steps
                if seen >= steps:
                    break
            self._recent = {known: loss for known, loss in self._recent.items() if known[1] == key[1]}
            self._recent[key] = _weighted_median(losses)
        return self._recent[key]

    def since_best(self, steps: int, examples: int = 256) -> float:
        """Return the median loss since the best window; NaN if fewer than `steps` steps or `examples` examples ago."""
        if self.window.last - self.best_step < steps:
            return math.nan
        later: list[tuple[float, int]] = []
        seen = 0
        for window in reversed(self.windows):
            if window.first <= self.best_step or len(later) == RECENT:
                break
            later.append((window.loss, window.steps))
            seen += window.steps
        return _weighted_median(later) if seen >= steps and seen * self.facts.batch_size >= examples else math.nan

    @property
    def reference(self) -> float:
        """The loss of the best constant output; a lower loss means that the network has learnt something."""
        facts = self.facts
        if not math.isnan(facts.baseline):
            return facts.baseline
        return facts.zero_loss if not math.isnan(facts.zero_loss) else self.initial_loss

    def score(self, value: float) -> str:
        """Return a score as text: an accuracy in percent, or an R2."""
        return f"{value:.1%}" if self.facts.classifies else f"{value:.2f}"

    @property
    def scale(self) -> float:
        """Scale of the loss; unlike `reference`, not tiny when classes are rare."""
        zero = self.facts.zero_loss
        return max(self.reference, 0.3 * zero if not math.isnan(zero) else 0.0, 1e-30)

    @property
    def weakly_related(self) -> bool:
        """Whether targets depend on the inputs, though the score may not show it: ranks tell more than a majority.

        Among many classes of similar size, accuracy shows it, and clusters of inputs would be taken for a relation.
        """
        return self.related > RELATED and not self.facts.chance < 0.4

    @property
    def explained(self) -> bool:
        """Whether a found symptom explains a lack of learning."""
        return not self.found.keys().isdisjoint(CAUSES)

    @property
    def all_frozen(self) -> bool:
        """Whether no layer with weights is trained, or no gradient arrives at any."""
        return bool(self.facts.weights) and not self.window.weights.keys() - self.without_gradient

    @property
    def sampling_error(self) -> float:
        """The largest standard error that a share of the validation examples, such as an accuracy, can have."""
        return 0.5 / math.sqrt(max(self.held_out_examples, 1))

    @property
    def learns(self) -> bool:
        """Whether the run has learnt: about as much as a simple learner or, where none was scored, half of the loss."""
        if not self.share_left < 0.95:
            return False
        if math.isnan(self.attainable):
            return self.share_left < 0.5
        return self.as_good

    @property
    def as_good(self) -> bool:
        """Whether the network scores about as well as a simple learner."""
        return self.reached > self.attainable - 0.02 - self.sampling_error

    @property
    def falls_short(self) -> bool:
        """Whether a good part of the run is over, and a simple learner has learnt more."""
        least = self.attainable - 0.02 - self.sampling_error
        return self.planned and self.steps_left < 0.5 and self.reached < least

    def seen_lately(self, symptom: str) -> bool:
        """Return whether a symptom has been seen in the second half of the run so far."""
        return self.found.get(symptom, 0) > self.began + self.age / 2

    def falling(self, share: float) -> bool:
        """Return whether the loss fell by `share` of itself in the second half of the run so far."""
        middle = self.began + self.age // 2
        before = [(w.loss, w.steps) for w in self.windows if w.first <= middle <= w.last + w.steps]
        return bool(before) and self.recent_loss() < (1 - share) * _weighted_median(before)

    @property
    def share_left(self) -> float:
        """The latest loss relative to that of ignoring the inputs."""
        reference = self.reference
        return self.recent_loss() / reference if reference > 0 else math.nan

    @property
    def hardly_moved(self) -> bool:
        """Whether all steps together have changed weights by a small share of themselves."""
        return 0 < sum(window.ratio * window.steps for window in self.windows) < HARDLY

    def stuck(self, steps: int = 100) -> bool:
        """Return whether nothing has been learnt after `steps` steps."""
        # With a dominant class, the loss of always predicting it is small and means little.
        maximum = 1.5 if self.facts.chance > 0.9 else 0.95
        return self.age >= steps and not self.share_left < maximum
