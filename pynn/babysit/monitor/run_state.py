"""State of a run for the rules, aggregated from the rows of a recorder."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..findings import SYMPTOMS
from ..thresholds import Thresholds
from .data_facts import DataFacts
from .evaluations import Evaluation
from .network_facts import NetworkFacts
from .scores import AS_GOOD, Scores
from .settings_facts import SettingsFacts
from .start_figures import StartFigures
from .window import Window

if TYPE_CHECKING:
    from .watchable import Watchable

#: Symptoms that explain a lack of learning.
CAUSES = frozenset(SYMPTOMS[: SYMPTOMS.index("not_learning")]) - {"batchnorm_mismatch"}
#: Standard errors above which predictions and targets are related.
RELATED = 3.0
#: Steps that change less than this share of the weights' norm, all together, have led nowhere.
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
    network : NetworkFacts
    settings : SettingsFacts
    data : DataFacts
    at_start : StartFigures
    scores : Scores
    limits : Thresholds
    fresh : bool
        Whether training began with the watched steps.
    windows : deque of Window
        The latest is last.
    evaluations : list of Evaluation
    mode_gaps : list of (float, float)
        Of each evaluation: the loss of one batch in training and in inference mode.
    began : int
        The first watched step.
    steps_left, epochs_left : float, int
        The share of the planned steps still to come, and the epochs; -1 in a custom loop.
    initial_loss : float
        Loss of the first watched step.
    best_loss, best_step, best_noise : float, int, float
        The smallest median loss of a window, the last step of that window, and the noise of its loss.
    worst_ratio : float
        The largest update ratio of a step after the first, of weights without batch norm after them.
    highest_lr : float
        The highest rate of a step.
    dead : dict of str to float
        Share of dead units per rectifier layer, in its last complete window.
    least_dead : dict of str to float
        The minimum of `dead` over all windows.
    distinct_units : dict of str to (int, int)
        Number of distinct units of a hidden layer, and of all its units.
    without_gradient : set of str
        Trained layers at which no gradient has arrived so far.
    wrong_gradient : (str, str, str or None), optional
        Evidence, advice and place, if a gradient is not that of the loss.
    found : dict of str to int
        Faults found so far, each with the last step at which it was seen.

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

    network: NetworkFacts
    settings: SettingsFacts
    at_start: StartFigures
    data: DataFacts = field(default_factory=DataFacts)
    scores: Scores = field(default_factory=Scores)
    limits: Thresholds = field(default_factory=Thresholds)
    fresh: bool = True
    windows: deque[Window] = field(default_factory=lambda: deque(maxlen=MEMORY))
    evaluations: list[Evaluation] = field(default_factory=list)
    mode_gaps: list[tuple[float, float]] = field(default_factory=list)
    began: int = 0
    steps_left: float = 1.0
    epochs_left: int = -1
    initial_loss: float = math.nan
    best_loss: float = math.inf
    best_step: int = 0
    best_noise: float = 0.0
    worst_ratio: float = 0.0
    highest_lr: float = 0.0
    dead: dict[str, float] = field(default_factory=dict)
    least_dead: dict[str, float] = field(default_factory=dict)
    distinct_units: dict[str, tuple[int, int]] = field(default_factory=dict)
    without_gradient: set[str] = field(default_factory=set)
    wrong_gradient: tuple[str, str, str | None] | None = None
    found: dict[str, int] = field(default_factory=dict)
    _recent: dict[tuple[int, int], float] = field(default_factory=dict)

    @classmethod
    def of(cls, trainer: Watchable, limits: Thresholds) -> RunState:
        """Return the state of a trainer's run before the first watched step."""
        network = NetworkFacts.of(trainer.model)
        # Frozen layers were trained earlier.
        fresh = trainer.steps == 0 and not any(parameter.frozen for parameter in trainer.model.parameters())
        return cls(network, SettingsFacts.of(trainer), StartFigures.of(network.weights), limits=limits, fresh=fresh)

    def add(self, window: Window) -> None:
        """Add the latest window."""
        if not self.windows:
            self.initial_loss, self.began = window.first_loss, window.first
            self.at_start.look_at(window)
            self.without_gradient = set(window.weights)
        self.without_gradient &= {name for name, w in window.weights.items() if w.gradient_norm == 0}
        self.windows.append(window)
        if window.loss < self.best_loss and self._tells(window.steps):
            self.best_loss, self.best_step, self.best_noise = window.loss, window.last, window.noise
        if window.last > self.began + 1:
            self.worst_ratio = max(self.worst_ratio, self._largest_ratio(window))
        self.highest_lr = max(self.highest_lr, window.highest_lr)

    def _largest_ratio(self, window: Window) -> float:
        """Return the largest update ratio of a step, of weights whose scale matters (no batch norm after them)."""
        free = {weights.name for weights in self.network.weights if weights.normalized}
        ratios = [
            self.at_start.relative(name, w.largest_ratio, w.norm)
            for name, w in window.weights.items()
            if name not in free
        ]
        return max((ratio for ratio in ratios if not math.isnan(ratio)), default=0.0)

    @property
    def window(self) -> Window:
        """The latest window."""
        return self.windows[-1]

    @property
    def starting_loss(self) -> float:
        """The loss at the start, or of zero outputs if that was larger."""
        zero = self.data.zero_loss
        return self.initial_loss if math.isnan(zero) else max(self.initial_loss, zero)

    def is_lost(self, loss: float) -> bool:
        """Return whether a loss is far above that at the start, or not finite."""
        start = self.starting_loss
        far = loss > self.limits.lost_loss * start > 0
        return not math.isfinite(loss) or (far and (self.age >= 16 or loss > 10 * start))

    @property
    def proven_lr(self) -> float:
        """The highest rate of a step up to the best window; 0 if there is none."""
        return max((window.highest_lr for window in self.windows if window.last <= self.best_step), default=0.0)

    @property
    def floored_ratio(self) -> float:
        """The largest of the weights' update ratios; small weights count as if they had the usual size."""
        ratios = [self.at_start.relative(name, w.ratio, w.norm) for name, w in self.window.weights.items()]
        return max((ratio for ratio in ratios if not math.isnan(ratio)), default=math.nan)

    @property
    def norms_left(self) -> dict[str, float]:
        """The norms of the weights as shares of those at the start, by layer."""
        norms = self.at_start.norms
        return {name: w.norm / norms[name] for name, w in self.window.weights.items() if norms.get(name, 0) > 0}

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
        return steps >= 50 or (steps >= 4 and steps * self.data.batch_size >= 256)

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
        return _weighted_median(later) if seen >= steps and seen * self.data.batch_size >= examples else math.nan

    @property
    def reference(self) -> float:
        """The loss of the best constant output; a lower loss means that the network has learnt something."""
        data = self.data
        if not math.isnan(data.baseline):
            return data.baseline
        return data.zero_loss if not math.isnan(data.zero_loss) else self.initial_loss

    @property
    def scale(self) -> float:
        """Scale of the loss; unlike `reference`, not tiny when classes are rare."""
        zero = self.data.zero_loss
        return max(self.reference, 0.3 * zero if not math.isnan(zero) else 0.0, 1e-30)

    @property
    def weakly_related(self) -> bool:
        """Whether targets depend on the inputs, though the score may not show it: ranks tell more than a majority.

        Among many classes of similar size, accuracy shows it, and clusters of inputs would be taken for a relation.
        """
        return self.scores.related > RELATED and not self.data.chance < 0.4

    @property
    def explained(self) -> bool:
        """Whether a found symptom explains a lack of learning."""
        return self.has_found(*CAUSES)

    def has_found(self, *symptoms: str) -> bool:
        """Return whether one of some symptoms was found."""
        return not self.found.keys().isdisjoint(symptoms)

    def is_young(self, epochs: int, steps: int) -> bool:
        """Return whether fewer epochs were evaluated, or fewer steps watched, than a rule needs."""
        return len(self.evaluations) < epochs or self.age < steps

    @property
    def all_frozen(self) -> bool:
        """Whether no layer with weights is trained, or no gradient arrives at any."""
        return bool(self.network.weights) and not self.window.weights.keys() - self.without_gradient

    @property
    def learns(self) -> bool:
        """Whether the run has learnt: about as much as a simple learner or, where none was scored, half of the loss."""
        if not self.share_left < 0.95:
            return False
        return self.share_left < 0.5 if math.isnan(self.scores.attainable) else self.scores.as_good

    @property
    def under_way(self) -> bool:
        """Whether a fifth of the loss is gone, and the score half-way from guessing to a simple learner's."""
        if not self.share_left < 0.8:
            return False
        guessing = 0.0 if math.isnan(self.data.chance) else self.data.chance
        half = (guessing + self.scores.attainable) / 2
        return math.isnan(half) or self.scores.reached > half

    @property
    def falls_short(self) -> bool:
        """Whether a good part of the planned run is over, and a simple learner has learnt more."""
        return self.planned and self.steps_left < 0.5 and self.scores.is_behind(AS_GOOD)

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
        maximum = 1.5 if self.data.chance > 0.9 else 0.95
        return self.age >= steps and not self.share_left < maximum
