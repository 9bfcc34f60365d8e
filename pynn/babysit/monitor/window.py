"""Some tens of steps as means, of the rows that a recorder has gathered."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..activations import SATURATING_CODES
from .recorder import ACCURACY, OUTPUT_COLUMNS, PARAMETER_COLUMNS, SCALE, STEP_COLUMNS

if TYPE_CHECKING:
    from .recorder import Output, Recorder


@dataclass
class OutputFigures:
    """Means of a layer's outputs over a window; shares in [0, 1].

    Attributes
    ----------
    gradient : float
        Gradient of a unit's output: its norm over the positions, then the root mean square over units and examples.
    """

    saturates: bool
    std: float
    active: float
    saturated: float
    gradient: float


@dataclass
class WeightFigures:
    """Means for a weight matrix over a window; `largest_ratio` is the maximum over its steps."""

    norm: float
    gradient_norm: float
    ratio: float
    largest_ratio: float
    zigzag: float
    size: int


@dataclass
class Window:
    """Means over some tens of steps.

    Attributes
    ----------
    first, last : int
        First and last step.
    loss, noise : float
        Median over the steps, and the interquartile range; without penalties.
    largest_input : float
        Maximum over minibatches of the mean sum of squares of an example's inputs.
    outputs : dict of str to OutputFigures
        By layer, in network order.
    weights : dict of str to WeightFigures
    """

    first: int
    last: int
    steps: int
    loss: float
    noise: float
    first_loss: float
    last_loss: float
    accuracy: float
    lr: float
    first_lr: float
    highest_lr: float
    clipped: bool
    largest_input: float
    gradient_norm: float
    outputs: dict[str, OutputFigures]
    weights: dict[str, WeightFigures]

    @property
    def ratio(self) -> float:
        """The largest of the weights' update ratios."""
        return max((w.ratio for w in self.weights.values() if not math.isnan(w.ratio)), default=math.nan)

    @property
    def typical_ratio(self) -> float:
        """The geometric mean of the weights' update ratios."""
        logs = [math.log(w.ratio) for w in self.weights.values() if w.ratio > 0]
        return math.exp(sum(logs) / len(logs)) if logs else math.nan


def window_of(rows: np.ndarray, recorder: Recorder, names: dict[str, str]) -> Window:
    """Return the rows of a recorder as a window; `names` maps weight parameters to layers."""
    steps, loss, lr, _, examples, _, inputs = rows[:, : len(STEP_COLUMNS)].T
    means = rows.mean(axis=0)
    figures = means[recorder.columns["outputs"]].reshape(len(recorder.outputs), len(OUTPUT_COLUMNS)).tolist()
    gradient_scale = float(means[SCALE])
    weights = _weight_figures(rows, means, recorder, names, gradient_scale)
    losses = np.sort(loss)
    return Window(
        first=int(steps[0]),
        last=int(steps[-1]),
        steps=len(rows),
        loss=float(losses[len(losses) // 2]),
        noise=float(losses[3 * len(losses) // 4] - losses[len(losses) // 4]),
        first_loss=float(loss[0]),
        last_loss=float(loss[-1]),
        accuracy=float(means[ACCURACY]),
        lr=float(lr[-1]),
        first_lr=float(lr[0]),
        highest_lr=float(lr.max()),
        clipped=gradient_scale < 1,
        largest_input=float((inputs / examples).max()),
        gradient_norm=math.sqrt(sum(figures.gradient_norm**2 for figures in weights.values())),
        outputs={
            output.name: _output_figures(output, figures[index])
            for index, output in enumerate(recorder.outputs)
            if output.units is not None
        },
        weights=weights,
    )


def _weight_figures(
    rows: np.ndarray, means: np.ndarray, recorder: Recorder, names: dict[str, str], gradient_scale: float
) -> dict[str, WeightFigures]:
    """Return the figures of the parameters in `names`, by layer."""
    shown = [index for index, (name, _) in enumerate(recorder.parameters) if name in names]
    start, width = recorder.columns["parameters"].start, len(PARAMETER_COLUMNS)
    columns = start + width * np.array(shown, np.intp)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.sqrt(rows[:, columns + 2] / rows[:, columns])
    unknown = ~np.isfinite(ratios)  # ratio of zero weights
    if unknown.any():
        ratios[unknown] = 0
    counts = len(rows) - unknown.sum(axis=0)
    mean_ratios, largest_ratios = (ratios.sum(axis=0) / np.maximum(counts, 1)).tolist(), ratios.max(axis=0).tolist()
    weights = {}
    for place, index in enumerate(shown):
        name, parameter = recorder.parameters[index]
        weight, gradient, _ = means[columns[place] : columns[place] + width].tolist()
        weights[names[name]] = WeightFigures(
            norm=math.sqrt(weight),
            gradient_norm=math.sqrt(gradient) / gradient_scale,
            ratio=mean_ratios[place] if counts[place] else math.nan,
            largest_ratio=largest_ratios[place] if counts[place] else math.nan,
            zigzag=float(means[recorder.columns["zigzag"].start + index]),
            size=parameter.size,
        )
    return weights


def _output_figures(output: Output, sums: list[float]) -> OutputFigures:
    assert output.units is not None
    total, squares, active, saturated, gradient = (value / output.per_example for value in sums)
    places = output.per_example // output.units.shape[1]
    return OutputFigures(
        saturates=output.code in SATURATING_CODES,
        std=math.sqrt(max(squares - total * total, 0)) if math.isfinite(squares) else math.inf,
        active=active,
        saturated=saturated,
        gradient=math.sqrt(places * gradient) if gradient >= 0 else math.nan,
    )
