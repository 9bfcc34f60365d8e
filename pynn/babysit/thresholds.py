"""The thresholds of all symptoms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from ..utils.validation import mapping, number


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rules, chosen on healthy and faulty runs (``bench/faults``): heuristics, not laws.

    Attributes
    ----------
    large_input, huge_input : float
        Root mean square of the inputs; standardised data has 1, pixels in [0, 1] about 0.4.
    huge_feature : float
        Root mean square of the largest feature.
    tiny_input : float
        The largest input of all.
    input_mismatch : float
        Ratio of the root mean squares of validation and training inputs.
    input_jump : float
        Size of a batch's inputs over that of the first batch's.
    high_loss, very_high_loss, excess_loss : float
        First loss over that of all-zero outputs, and the minimum difference: a random last layer of the usual scale
        adds 1 to a cross-entropy.
    large_gain : float
        Gain of the weights: 1 preserves the variance of signals.
    lost_spread, nearly_lost_spread : float
        Standard deviation of the signals after the hidden layers over that before them.
    many_dead, nearly_all_dead, suddenly_dead : float
        Share of a layer's units that are dead. Healthy wide rectifier networks have up to a third; `suddenly_dead`
        applies if almost none were dead before (the lecture's "up to 40%").
    many_saturated : float
        Share of saturated outputs.
    zigzag : float
        Share of units whose gradients all have one sign.
    vanished, shrinkage, exploded : float
        Gradient at the first hidden layer over that at the last; `shrinkage` per layer, where nothing is learnt.
    gradient_surge : float
        Norm of the gradient over its earlier norm.
    large_ratio, small_ratio, tiny_ratio : float
        Norm of the update over norm of the weights in a step; the lecture's guide is 1e-3.
    lost_loss : float
        Loss over the first one; the lecture stops a run at 3.
    heavy_dropout : float
        Dropout rate.
    val_rise, gap : float
        Rise of the validation loss over its smallest value, relative to that; and validation minus training loss,
        relative to the loss of ignoring the inputs. On 55 tables, more dropout or a smaller network lowered the test
        loss above this gap, and changed little below.
    swing : float
        Rise and fall of the validation accuracy from epoch to epoch.
    imbalance : float
        Examples of the largest class over those of a rare one.

    Examples
    --------
    >>> Thresholds.of({"many_dead": 0.6}).many_dead
    0.6
    """

    large_input: float = 3.0
    huge_input: float = 10.0
    huge_feature: float = 30.0
    tiny_input: float = 0.02
    input_mismatch: float = 3.0
    input_jump: float = 8.0
    high_loss: float = 3.0
    very_high_loss: float = 10.0
    excess_loss: float = 2.5
    large_gain: float = 3.0
    lost_spread: float = 1e-3
    nearly_lost_spread: float = 1e-2
    many_dead: float = 0.5
    nearly_all_dead: float = 0.9
    suddenly_dead: float = 0.3
    many_saturated: float = 0.5
    zigzag: float = 0.5
    vanished: float = 1e-4
    shrinkage: float = 0.4
    exploded: float = 1e3
    gradient_surge: float = 100.0
    large_ratio: float = 0.1
    small_ratio: float = 1e-4
    tiny_ratio: float = 1e-6
    lost_loss: float = 3.0
    heavy_dropout: float = 0.75
    val_rise: float = 0.25
    gap: float = 0.3
    swing: float = 0.05
    imbalance: float = 8.0

    @classmethod
    def of(cls, changes: Mapping[str, Any] | Thresholds | None) -> Thresholds:
        """Return the default thresholds with some changed."""
        if isinstance(changes, Thresholds):
            return changes
        changes = {} if changes is None else mapping(changes, "thresholds", '{"many_dead": 0.6}')
        names = [field.name for field in fields(cls)]
        unknown = sorted(map(str, changes.keys() - set(names)))
        if unknown:
            raise ValueError(f"thresholds names {', '.join(unknown)}; there are {', '.join(names)}")
        return replace(cls(), **{name: number(value, f"thresholds[{name!r}]") for name, value in changes.items()})
