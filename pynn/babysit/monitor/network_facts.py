"""What the rules know about a network: its layers with weights, and how they follow each other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...nn.layers import BatchNorm, ConvTranspose2d, Dropout, Hardtanh, Maxout, PReLU
from ...nn.layers.activations import Activation
from ...nn.traversal import BRANCHED, NORMS, Part, parts, weight_of
from ...utils.config import is_own
from ..activations import IDEAL_GAIN, STRAIGHT

if TYPE_CHECKING:
    from ...nn.layers import Layer
    from ...nn.parameters import Parameter
    from ...nn.sequential import Sequential

#: Units of a hidden layer that are few: each carries much information.
FEW_UNITS = 8


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
class NetworkFacts:
    """The network of a run.

    Attributes
    ----------
    layers : list of Layer
    weights : list of Weights
        In network order.
    trunk : list of str
        Outputs of the hidden layers on the main path; for a residual block, its sum.
    first_norm : bool
        Whether the input passes a normalisation layer before any weights.
    straight : bool
        Whether there are hidden layers without a non-linearity between them.
    batch_norms : int
        Number of batch norms.
    norm_momentum : float
        The smallest momentum of the batch norms.
    has_modes : bool
        Whether training and inference may differ by more than dropout: with batch norms or the user's own layers.
    dropout : float
        The largest dropout rate.
    dropout_noise : float
        Factor by which dropout raises the mean square of the outputs.
    ends_in_probabilities : bool
        Whether the outputs are non-negative and sum to 1.
    rectified_output : bool
        Whether logits pass a rectifier, so that they are never negative.
    """

    layers: list[Layer]
    weights: list[Weights]
    trunk: list[str]
    first_norm: bool
    straight: bool
    batch_norms: int
    norm_momentum: float
    has_modes: bool
    dropout: float
    dropout_noise: float
    ends_in_probabilities: bool = False
    rectified_output: bool = False

    @classmethod
    def of(cls, model: Sequential) -> NetworkFacts:
        """Return the facts of a model."""
        chain = parts(model)
        layers = [part.layer for part in chain]
        weights, trunk = _weights(chain)
        before = layers[: next((i for i, layer in enumerate(layers) if weight_of(layer)), len(layers))]
        norms = [layer for layer in layers if isinstance(layer, BatchNorm)]
        rates = [layer.p for layer in layers if isinstance(layer, Dropout)]
        return cls(
            layers=layers,
            weights=weights,
            trunk=trunk,
            first_norm=any(isinstance(layer, NORMS) for layer in before),
            straight=len(weights) > 1 and all(isinstance(layer, STRAIGHT) for layer in layers[:-1]),
            batch_norms=len(norms),
            norm_momentum=min((norm.momentum for norm in norms), default=0.1),
            has_modes=bool(norms) or any(is_own(layer) for layer in layers),
            dropout=max(rates, default=0.0),
            dropout_noise=math.prod(1 / max(1 - rate, 1e-6) for rate in rates),
        )

    @property
    def hidden(self) -> list[Weights]:
        """The layers with weights before the last one."""
        return [weights for weights in self.weights if not weights.last]

    @property
    def hidden_outputs(self) -> set[str]:
        """The outputs of the hidden layers, without those of few units, which may saturate or die without a fault."""
        return {weights.output for weights in self.hidden if weights.units >= FEW_UNITS}

    @property
    def tiny(self) -> bool:
        """Whether the network is nearly linear: no hidden layer, or one with very few units."""
        hidden = self.hidden
        dense = [weights.units for weights in hidden if not weights.convolves]
        return min(dense) <= 3 if dense else not hidden

    def unit(self, name: str) -> str:
        """Return the name of a layer's units: "channel" for convolutions, otherwise "unit"."""
        return "channel" if any(weights.convolves for weights in self._behind(name)) else "unit"

    def or_batch_norm(self, name: str) -> str:
        """Return ", batch norm" as a further advice for a layer that has none."""
        return "" if any(weights.normalized for weights in self._behind(name)) else ", batch norm"

    def _behind(self, name: str) -> list[Weights]:
        """Return the weights of a layer, or of the one whose signal it is the output of."""
        return [weights for weights in self.weights if name in (weights.name, weights.output)]


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
