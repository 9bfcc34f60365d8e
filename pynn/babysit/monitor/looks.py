"""What a monitor reads at a look: of the data, of the units, and of the latest minibatch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...training.examples import Examples
from ..activations import RELU_LIKE
from . import probes
from .input_figures import InputFigures
from .recorder import EXAMPLES
from .unit_sums import UnitSums

if TYPE_CHECKING:
    from .recorder import Recorder
    from .run_state import RunState
    from .watchable import Watchable

#: Steps at which the weights of hidden units are compared.
COMPARE_UNITS = (1, 8, 50, 200)
#: In a custom loop, inputs are measured in every so many windows, on at most so many examples.
MEASURE_INPUTS, MEASURED = 8, 256


def look_at_start(state: RunState, trainer: Watchable, x: np.ndarray, target: np.ndarray) -> None:
    """Measure the data, from the training data or the first minibatch, and check code of the user's own."""
    loss, prediction, held_out = trainer.loss, trainer.prediction, trainer.held_out
    state.data.look_at_batch(loss, x, target, prediction)
    known = Examples(x, target, None) if trainer.examples is None else trainer.examples
    state.data.look_at_data(state.network, loss, known.x, known.y, prediction)
    if held_out is not None:
        state.data.held_out = InputFigures.of(held_out.x, state.network.layers)
        state.scores.examples = len(held_out.x)
    probes.check_own_code(state, trainer, x, target)


def look_at_steps(state: RunState, trainer: Watchable, x: np.ndarray, target: np.ndarray) -> None:
    """Read what the last minibatch of the latest window and the weights tell, and how much of the run is left."""
    probes.look_at_minibatch(state, trainer, target)
    if any(state.window.first < state.began + at <= state.window.last + 1 for at in COMPARE_UNITS):
        probes.count_distinct_units(state)
    if trainer.examples is None:  # the data come batch by batch
        if len(state.windows) % MEASURE_INPUTS == 1:
            scaled = x.dtype.kind == "f"  # categories have no scale
            state.data.inputs = InputFigures.of(x, state.network.layers, MEASURED) if scaled else None
        return
    planned = trainer.target_epoch * trainer.batches_per_epoch
    if planned:
        state.steps_left = max(0.0, 1 - trainer.steps / planned)
        state.epochs_left = trainer.target_epoch - trainer.epoch


def look_at_units(state: RunState, units_of: dict[str, UnitSums], recorder: Recorder, rows: np.ndarray) -> None:
    """Add the sums per unit to those of its layer, count the dead ones, and keep the initial spread of the outputs."""
    examples = int(rows[:, EXAMPLES].sum())
    for index, output in enumerate(recorder.outputs):
        if output.units is None:
            continue
        name, units = output.name, units_of.get(output.name)
        if units is None or units.sums.shape != output.units.shape:
            units = units_of[name] = UnitSums(output.code in RELU_LIKE, np.zeros(output.units.shape))
        units.add(output.units, examples, len(rows))
        output.units[...] = 0
        units.places = max(output.per_example // output.units.shape[1], 1)
        if name not in state.at_start.spread:
            state.at_start.spread[name] = units.spread
        if units.rectifies and units.complete:
            dead = state.dead[name] = recorder.dead[index] = units.close()
            state.least_dead[name] = min(state.least_dead.get(name, 1.0), dead)
