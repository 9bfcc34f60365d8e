"""The scale of a network's inputs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ... import ops
from ...nn.traversal import amounts

if TYPE_CHECKING:
    from ...nn.inputs import Inputs
    from ...nn.layers import Layer

#: Maximum number of rows sampled from a data set.
SAMPLE = 2000


@dataclass
class InputFigures:
    """Scale of the network's inputs that are amounts: of all values and per feature; and whether they are images.

    `small_features` is the share of features, of those that vary, whose largest value is below 1% of the largest of
    all; 0 for images, whose margins are empty. `length` is the root of an example's mean sum of squares; NaN if some of
    its features are categories.
    """

    rms: float
    mean: float
    largest: float
    largest_feature_rms: float
    median_feature_std: float
    images: bool = False
    small_features: float = 0.0
    length: float = math.nan

    @classmethod
    def of(cls, x: np.ndarray | Inputs, layers: Iterable[Layer] = (), sample: int = SAMPLE) -> InputFigures | None:
        """Return the figures for the inputs of a network of these layers; None if all number categories."""
        taken = amounts(layers, np.asarray(x[:: max(1, len(x) // sample)][:sample]))
        if not taken.size:
            return None
        rows = taken.reshape(len(taken), -1)
        sums = np.zeros((4, rows.shape[1]))
        ops.unit_stats(rows, sums)  # 10x as fast as NumPy
        means, squares = sums[:2] / len(rows)
        spreads = np.sqrt(np.maximum(squares - means * means, 0))
        varying = spreads[spreads > 0]
        images = taken.ndim == 4
        largest = np.abs(rows).max(axis=0, initial=0)[spreads > 0]
        return cls(
            rms=float(np.sqrt(squares.mean())),
            mean=float(means.mean()),
            largest=float(max(rows.max(initial=0), -rows.min(initial=0))),
            largest_feature_rms=float(np.sqrt(squares.max(initial=0))),
            median_feature_std=float(np.median(varying)) if len(varying) else 0.0,
            images=images,
            small_features=0.0 if images or not len(largest) else float(np.mean(largest < 0.01 * largest.max())),
            length=float(np.sqrt(squares.sum())) if rows.shape[1] == math.prod(x.shape[1:]) else math.nan,
        )
