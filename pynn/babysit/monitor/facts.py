"""Static facts of a run: network, settings and data."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ...nn.layers import BatchNorm, ConvTranspose2d, Dropout, Hardtanh, Maxout, PReLU
from ...nn.layers.activations import Activation
from ...nn.loss import FunctionLoss
from ...nn.losses import BCEWithLogitsLoss, MSELoss, PairedLoss, WeightedClassLoss
from ...nn.traversal import BRANCHED, NORMS, Part, parts, weight_of
from ...optim.optimizers import SGD, AdamW
from ...optim.regularizers import L1, L2, MaxNorm
from ...utils.arrays import is_one_hot
from ...utils.config import is_own
from ..activations import IDEAL_GAIN, RANGES, STRAIGHT
from ..target_figures import median_distance, unevenness
from .input_figures import SAMPLE, InputFigures

if TYPE_CHECKING:
    from ...nn.inputs import Inputs
    from ...nn.layers import Layer
    from ...nn.loss import Loss
    from ...nn.parameters import Parameter
    from ...training.trainer import Trainer


@dataclass
class Weights:
    """A layer with a weight matrix or filters, and the layers after it up to the next such layer.

    Attributes
    ----------
    name : str
        Name of the layer, such as "0.Linear".
    parameter : Parameter
    activation : str or None
        The activation that follows, including "maxout" and "prelu".
    output : str
        The layer that produces its signal: the activation, or the layer itself.
    normalized : bool
        Whether a normalisation layer follows before the activation.
    branch : str
        Its residual branch; "" on the main path.
    source : str
        The layer whose output it receives, in the sense of `output`; "" for the network's input.
    groups : int
        Groups of a convolution: units of different groups see different inputs.
    last : bool
        Whether it is the last one, which produces the network's outputs.
    """

    name: str
    parameter: Parameter
    activation: str | None = None
    output: str = ""
    normalized: bool = False
    last: bool = False
    branch: str = ""
    source: str = ""
    groups: int = 1

    @property
    def convolves(self) -> bool:
        """Whether the weights are filters, (filters, channels, ...), rather than a matrix (inputs, units)."""
        return self.parameter.ndim > 2

    @property
    def fan_in(self) -> int:
        return self.columns.shape[0]

    @property
    def units(self) -> int:
        """Number of units or filters."""
        return self.columns.shape[1]

    @property
    def columns(self) -> np.ndarray:
        """The weights, one column per unit or filter."""
        data = self.parameter.data
        return data.reshape(len(data), -1).T if self.convolves else data

    @property
    def gain(self) -> float:
        """Standard deviation of the weights relative to the value that preserves the variance of signals."""
        spread = float(np.sqrt(np.mean(np.square(self.parameter.data, dtype=np.float64))))
        return spread * math.sqrt(self.fan_in) / IDEAL_GAIN.get(self.activation or "", 1.0)


@dataclass
class Facts:
    """What the rules know about a run.

    Attributes
    ----------
    layers : list of Layer
    weights : list of Weights
        In network order.
    trunk : list of str
        Outputs of the hidden layers on the main path; for a residual block, its sum.
    first_norm : bool
        Whether the input passes a normalisation layer before any weights.
    adaptive : bool
        Whether the optimiser divides by the size of past gradients.
    l2 : float
        Weight decay: coefficient of w in the gradient, from optimiser and regularisers.
    l1, max_norm : float
        Coefficient and limit of these regularisers; 0 and infinity if absent.
    average_decay : float
        That of an exponential average of the weights; 0 without one.
    dropout : float
        The largest dropout rate.
    dropout_noise : float
        Factor by which dropout raises the mean square of the outputs.
    batch_norms : int
        Number of batch norms.
    squares, straight : bool
        Whether the loss is a squared error, and whether there are hidden layers without a non-linearity between them.
    class_weights : tuple of float
        The loss's weights of the classes; empty without any.
    own_code : bool
        Whether a layer or the loss is the user's own.
    norm_momentum : float
        The smallest momentum of the batch norms.
    has_norm : bool
        Whether the network may differ between training and inference by more than dropout: batch norm, own layers.
    zero_loss : float
        The loss of all-zero outputs on the first batch, where a sound network starts.
    baseline : float
        The loss of the best constant output, which ignores the inputs.
    chance : float
        The accuracy of the most frequent class; NaN for regression.
    summed : bool
        Whether the loss grows with the batch.
    fresh : bool
        Whether training began with the watched steps.
    target_rms, target_std, target_spread, target_outlier, target_unevenness : float
        For regression: root mean square and standard deviation of the targets, the median of their distances from the
        median, and the largest distance over that; the largest standard deviation of a target over the median one.
    out_of_reach : float
        For regression: the share of targets outside the range of the final activation.
    counts : ndarray or None
        Examples per class in the training data, or in the batches seen.
    """

    layers: list[Layer]
    weights: list[Weights]
    trunk: list[str]
    first_norm: bool
    straight: bool
    own_code: bool
    has_norm: bool
    norm_momentum: float
    adaptive: bool
    decoupled: bool
    momentum: float
    l2: float
    l1: float
    dropout: float
    dropout_noise: float
    max_norm: float
    batch_norms: int
    squares: bool
    fresh: bool
    class_weights: tuple[float, ...] = ()
    average_decay: float = 0.0
    batch_size: int = 0
    zero_loss: float = math.nan
    baseline: float = math.nan
    chance: float = math.nan
    summed: bool = False
    target_rms: float = math.nan
    target_std: float = math.nan
    target_spread: float = 0.0
    target_outlier: float = 1.0
    target_unevenness: float = 1.0
    out_of_reach: float = 0.0
    counts: np.ndarray | None = None
    inputs: InputFigures | None = None
    held_out: InputFigures | None = None
    examples: int = 0
    hidden: list[Weights] = field(default_factory=list)

    @property
    def measure(self) -> str:
        """Name of the score."""
        return "accuracy" if self.classifies else "R2"

    @property
    def penalty(self) -> str:
        """Name of the strongest penalty on the weights."""
        return "weight decay" if self.l2 else "L1 penalty" if self.l1 else "limit on the norm"

    @property
    def strongest_penalty(self) -> str:
        """The strongest penalty on the weights, with its strength."""
        return f"{self.penalty} {self.l2 or self.l1 or self.max_norm:g}"

    def favours(self, index: int) -> bool:
        """Return whether the loss weights a class above the commonest one."""
        weights, counts = self.class_weights, self.counts
        return counts is not None and len(weights) == len(counts) and weights[index] > weights[int(counts.argmax())]

    def chance_error(self, examples: int) -> float:
        """Return the standard error of the accuracy of always naming the largest class, of this many examples."""
        return math.sqrt(self.chance * (1 - self.chance) / max(examples, 1))

    @property
    def tiny(self) -> bool:
        """Whether the network is nearly linear: no hidden layer, or one with very few units."""
        dense = [w.units for w in self.hidden if not w.convolves]
        return min(dense) <= 3 if dense else not self.hidden

    @property
    def classifies(self) -> bool:
        return not math.isnan(self.chance)


def gather(trainer: Trainer) -> Facts:
    """Return the facts of network and settings."""
    optimizer = trainer.optimizer
    chain = parts(trainer.model)
    leaves = [part.layer for part in chain]
    weights, trunk = _weights(chain)
    before = leaves[: next((i for i, layer in enumerate(leaves) if weight_of(layer)), len(leaves))]
    penalties = trainer.regularizers
    return Facts(
        layers=leaves,
        weights=weights,
        trunk=trunk,
        first_norm=any(isinstance(layer, NORMS) for layer in before),
        straight=len(weights) > 1 and all(isinstance(layer, STRAIGHT) for layer in leaves[:-1]),
        own_code=any(is_own(layer) for layer in leaves) or is_own(trainer.loss) or type(trainer.loss) is FunctionLoss,
        has_norm=any(isinstance(layer, BatchNorm) or is_own(layer) for layer in leaves),
        norm_momentum=min((layer.momentum for layer in leaves if isinstance(layer, BatchNorm)), default=0.1),
        adaptive=not isinstance(optimizer, SGD),
        decoupled=isinstance(optimizer, AdamW),
        momentum=float(getattr(optimizer, "momentum", 0.0)),
        l2=optimizer.weight_decay + sum(p.coefficient for p in penalties if isinstance(p, L2)),
        l1=sum(p.coefficient for p in penalties if isinstance(p, L1)),
        dropout=max((layer.p for layer in leaves if isinstance(layer, Dropout)), default=0.0),
        dropout_noise=math.prod(1 / max(1 - la.p, 1e-6) for la in leaves if isinstance(la, Dropout)),
        max_norm=min((p.limit for p in penalties if isinstance(p, MaxNorm)), default=math.inf),
        batch_norms=sum(isinstance(layer, BatchNorm) for layer in leaves),
        squares=isinstance(trainer.loss, MSELoss),
        class_weights=_class_weights(trainer.loss),
        # Frozen layers were trained earlier.
        fresh=trainer.steps == 0 and not any(p.frozen for p in trainer.model.parameters()),
        average_decay=float(getattr(getattr(trainer, "averaging", None), "decay", 0.0)),
        hidden=[w for w in weights if not w.last],
    )


def _class_weights(loss: Loss) -> tuple[float, ...]:
    """Return the weights of the classes in a loss, no and yes in one with `pos_weight`; empty without any."""
    weight, positive = (getattr(loss, name, None) for name in ("weight", "pos_weight"))
    weight = (1.0, np.mean(positive)) if positive is not None else weight
    return () if weight is None else tuple(np.ravel(weight).tolist())


def _weights(chain: list[Part]) -> tuple[list[Weights], list[str]]:
    """Return the layers with weights, and the trunk of the main path."""
    walk = _Walk()
    for part in chain:
        walk.pass_by(part)
    if walk.found:
        walk.found[-1].last = not walk.followed
        if walk.trunk and walk.trunk[-1] == walk.reached[""]:
            walk.trunk.pop()  # not hidden
    return walk.found, walk.trunk


class _Walk:
    """What has been seen on the way from the inputs to the outputs."""

    def __init__(self) -> None:
        self.found: list[Weights] = []
        self.trunk: list[str] = []
        self.reached: dict[str, str] = {}  # per branch, the layer that its signal has reached
        self.followed = False  # by a transposed convolution, whose weights are not looked at
        self._latest: dict[str, Weights] = {}  # per branch; removed by a residual block in between
        self._straight: set[str] = set()  # branches without an activation since

    def pass_by(self, part: Part) -> None:
        """Pass by the next layer."""
        layer, branch, weight = part.layer, part.branch, weight_of(part.layer)
        if branch not in self.reached:  # a branch gets the signal of its skip connection
            others = [other for other in self.reached if f"{branch}.".startswith(f"{other}.") or not other]
            self.reached[branch] = self.reached.get(max(others, default=""), "")
        if isinstance(layer, ConvTranspose2d):
            self._latest.pop(branch, None)
            self._straight.discard(branch)
            self.reached[branch], self.followed = part.label, True
        elif isinstance(layer, BRANCHED) or weight is not None:
            self._weigh(part, weight)
        elif isinstance(layer, NORMS):
            if branch in self._latest:
                self._latest[branch].normalized = True
            if not branch and self.trunk and self.trunk[-1] == self.reached[branch] and branch not in self._straight:
                self.trunk.pop()  # an activation whose scale the norm sets
        elif isinstance(layer, Activation | Hardtanh | PReLU) and branch in self._straight:
            self._activate(part)

    def _weigh(self, part: Part, weight: Parameter | None) -> None:
        layer, branch = part.layer, part.branch
        self._latest.pop(branch, None)
        self.followed = self.followed and weight is None
        if weight is not None:
            name = "maxout" if isinstance(layer, Maxout) else None
            own = Weights(part.label, weight, name, part.label, branch=branch, source=self.reached[branch])
            own.groups = getattr(layer, "groups", 1)
            self.found.append(own)
            self._latest[branch] = own
        self.reached[branch] = part.label
        (self._straight.discard if isinstance(layer, Maxout) else self._straight.add)(branch)
        self.trunk += [part.label] if not branch else []

    def _activate(self, part: Part) -> None:
        layer, branch = part.layer, part.branch
        self._straight.remove(branch)
        self.reached[branch] = part.label
        if not branch:
            self.trunk[-1] = part.label
        weighted = self._latest.get(branch)
        if weighted is not None and weighted.activation is None:
            weighted.activation = layer.spec()[0] if isinstance(layer, Activation) else type(layer).__name__.lower()
            weighted.output = part.label


def look_at_batch(facts: Facts, loss: Loss, x: np.ndarray, target: np.ndarray, prediction: np.ndarray) -> None:
    """Add facts of the first batch: the loss of zero outputs, and whether the loss sums over the batch."""
    facts.batch_size = len(x)
    zeros = loss.neutral(prediction)
    facts.zero_loss = float(loss.forward(zeros, target)[0])
    half = len(x) // 2
    if half >= 2:
        first = float(loss.forward(zeros[:half], target[:half])[0])
        second = float(loss.forward(zeros[half:], target[half:])[0])
        whole = first + second
        facts.summed = whole > 0 and abs(whole - facts.zero_loss) < 0.05 * whole


def look_at_data(facts: Facts, loss: Loss, x: np.ndarray | Inputs, target: np.ndarray, prediction: np.ndarray) -> None:
    """Add facts of inputs and targets, from the training data or a batch."""
    facts.inputs = InputFigures.of(x, facts.layers) if x.dtype.kind == "f" else None  # categories have no scale
    facts.examples = max(facts.examples, len(x))
    outputs = prediction.shape[-1] if prediction.ndim > 1 else 1
    if loss.output_kind in ("classes", "scores") and target.dtype.kind in "iu":
        known = target[(target >= 0) & (target < outputs)]
        facts.counts = np.bincount(known, minlength=outputs)
        shares = facts.counts / max(facts.counts.sum(), 1)
        facts.chance = float(shares.max(initial=0))
    elif loss.output_kind == "binary":
        positive = float(np.mean(target > 0.5))
        facts.chance = max(positive, 1 - positive)
        if outputs == 1:
            facts.counts = np.array([np.count_nonzero(target <= 0.5), np.count_nonzero(target > 0.5)])
    elif loss.output_kind is None and is_one_hot(target):
        facts.counts = target.sum(axis=0).astype(np.int64)
        facts.chance = float(facts.counts.max() / len(target))
    elif target.dtype.kind == "f":
        values = target.astype(np.float64)
        facts.target_rms = float(np.sqrt(np.mean(values * values)))
        middle = np.median(values)
        spread = median_distance(values)
        facts.target_spread = spread
        facts.target_outlier = float(np.abs(values - middle).max()) / spread if spread > 0 else 1.0
        final = facts.weights[-1].activation if facts.weights and facts.weights[-1].last else None
        low, high = RANGES.get(final or "", (-math.inf, math.inf))
        facts.out_of_reach = float(np.mean((values < low) | (values > high)))
        facts.target_std = float(np.sqrt(np.mean(np.var(values.reshape(len(values), -1), axis=0))))
        facts.target_unevenness = unevenness(values)
    facts.baseline = _baseline(facts, loss, target, prediction)
    if facts.classifies and loss.output_kind is None:  # outputs of 0 may mean nothing to it
        facts.zero_loss = facts.baseline


def _baseline(facts: Facts, loss: Loss, target: np.ndarray, prediction: np.ndarray) -> float:
    """Return the loss of the best constant output, in units of the loss; for your own loss, of several that may be."""
    constant = np.zeros((min(len(target), SAMPLE), *prediction.shape[1:]))
    target = target[: len(constant)]
    constants = [constant]
    if facts.counts is not None and facts.counts.sum():
        shares = np.maximum(facts.counts / facts.counts.sum(), 1e-6)
        if loss.output_kind is None:
            constants += [constant + shares, constant + np.log(shares)]
        elif isinstance(loss, WeightedClassLoss) and loss.weight is None:
            constant[...] = np.log(shares)
        elif isinstance(loss, BCEWithLogitsLoss) and loss.pos_weight is None:
            constant[...] = math.log(shares[1] / shares[0])
    elif isinstance(loss, PairedLoss) and loss.output_kind == "values":
        constant[...] = loss.best_constant(target.reshape(constant.shape).astype(np.float64))
    target = target.astype(target.dtype if target.dtype.kind != "f" else np.float64)
    value = min(float(loss.forward(each, target)[0]) for each in constants)
    return value * (facts.batch_size / len(constant) if facts.summed and facts.batch_size else 1.0)
