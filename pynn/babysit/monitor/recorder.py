"""Observes a trainer's steps: fused kernels write their statistics to the recorder's buffers."""

from __future__ import annotations

import math
import struct
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import ops
from ...kernels.codes import ActivationCode
from ...nn.layers import Dropout, Flatten, Identity, Layer, Unflatten
from ...nn.layers.activations import Activation
from ...nn.loss import ClassLoss
from ...nn.traversal import NORMS, followers, parts, units_last, weight_of
from ...ops.activations import resolve
from ...ops.watch import unit_count
from .pace import Pace

if TYPE_CHECKING:
    from ...nn.loss import Loss
    from ...nn.observer import Training
    from ...nn.parameters import Parameter
    from ...nn.share import Share

#: A look passes the recorded rows to `digest`. Early looks follow these steps, because most faults occur early.
EARLY_LOOKS = (1, 2, 4, 8, 16, 32, 50, 75, 100, 125, 150, 200, 250, 300, *range(400, 1001, 100))
#: Later, the number of multiplications between two looks (parameters times examples, filters times positions): a look
#: takes up to half a millisecond and must cost at most 1%. The other two limit the number of steps between looks.
BLOCK, MIN_BLOCK, MAX_BLOCK = 2.6e9, 50, 2000
#: A loss triggers a look if it exceeds the last block's median by more than SURPRISE times the largest excess in that
#: block. The next look follows SOON steps later, and the interval then doubles up to its usual length.
SURPRISE, SOON = 2.0, 8
#: Columns of a row that describe the whole step; `Recorder.end` fills the first five.
STEP_COLUMNS = ("step", "loss", "lr", "scale", "examples", "accuracy", "inputs")
STEP, LOSS, LR, SCALE, EXAMPLES, ACCURACY, INPUTS = range(len(STEP_COLUMNS))
_FILL_IN = struct.Struct("5d").pack_into
#: Columns per watched output: sums over its elements, and the sum of squares of its gradient.
OUTPUT_COLUMNS = ("sum", "squares", "active", "saturated", "gradient")
#: Columns per parameter: sums of squares.
PARAMETER_COLUMNS = ("weight", "gradient", "update")

#: Minimum fan_in of a weight matrix whose gradients' signs are recorded.
MIN_FAN_IN = 16


Digest = Callable[[Any, np.ndarray, np.ndarray, np.ndarray], None]


class Output:
    """A watched layer output.

    Attributes
    ----------
    name : str
        Name of the layer, such as "3.ReLU".
    layer : Layer
    code : ActivationCode
        IDENTITY unless the layer is an elementwise activation.
    per_example : int
        Elements of the output per example.
    units : ndarray (4, units) or None
        Per unit: sum, sum of squares, active and saturated counts since the last reset; None before any step.
    array, gradient : ndarray or None
        Output of the layer and its gradient in the last step.
    """

    def __init__(self, name: str, layer: Layer) -> None:
        self.name = name
        self.layer = layer
        self.code = resolve(layer.spec())[0] if isinstance(layer, Activation) else ActivationCode.IDENTITY
        self.per_example = 0
        self.units: np.ndarray | None = None
        self.array: np.ndarray | None = None
        self.gradient: np.ndarray | None = None


class Recorder:
    """Records one row of figures per step of a trainer, and passes blocks of rows to `digest`.

    Watching does not change the training by a single bit. The recorder skips the outputs of layers that only pass on or
    mask their input (Flatten, Dropout). It also skips outputs that feed a normalisation layer, which rescales them,
    unless an activation computes them. For a layer with a fused activation, it records only the activation's output. It
    watches the layers of a residual block individually.

    Attributes
    ----------
    outputs : list of Output
        In network order.
    parameters : list of (name, Parameter)
        The trainable parameters.
    dead : ndarray (outputs,)
        Share of dead units of each output, which the rows store; the caller counts them and sets it.
    updates : ndarray (parameters, 3)
        Receives the sums of squares of each parameter, its gradient and its update.
    zigzag : ndarray (parameters,)
        Receives the share of units whose weights' gradients all have one sign.
    every : int
        Interval between watched steps.
    version : int
        Version of the model's flat parameters for which the buffers are laid out.
    """

    def __init__(self, trainer: Training, digest: Digest, every: int = 1, budget: float | None = None) -> None:
        self.model = trainer.model
        self.digest = digest
        self.every = every
        self.pace = None if budget is None else Pace(budget, every)
        self._asks = budget is not None
        self._until = math.inf  # the step at which to ask the pace again
        self._next = trainer.steps
        self._look = trainer.steps + 1
        self._began = trainer.steps
        self._alarm = math.inf  # a loss that triggers a look
        self._soon = 0  # steps until the next look, after an alarm
        chain = parts(trainer.model)
        following = followers(chain)
        self.outputs = [
            Output(part.label, part.layer)
            for part, follower in zip(chain, following, strict=True)
            if not isinstance(part.layer, Flatten | Unflatten | Identity | Dropout)
            and (isinstance(part.layer, Activation) or not isinstance(follower, NORMS))
        ]
        self._multiplications = sum(parameter.size for parameter in trainer.model.parameters())  # per example
        self._units_last = units_last(part.layer for part in chain)
        # Weights are applied at every position of their layer's output. If the following activation is fused, only the
        # activation's output is seen, and its positions count.
        self._weighed: dict[int, tuple[int, int]] = {}
        for part, follower in zip(chain, following, strict=True):
            weight = weight_of(part.layer)
            if weight is not None:
                self._weighed[id(part.layer)] = weight.size, id(follower)
                if isinstance(follower, Activation):
                    self._weighed[id(follower)] = weight.size, id(part.layer)
        self._of_layer = {id(output.layer): index for index, output in enumerate(self.outputs)}
        self.parameters: list[tuple[str, Parameter]] = []
        self.updates = np.empty((0, len(PARAMETER_COLUMNS)))
        self.version = -1
        self._counts_itself: Loss | None = None
        self._lay_out(trainer)

    def _lay_out(self, trainer: Training) -> None:
        """Allocate the buffers for the trainable parameters."""
        flat = self._flat = trainer.model.flat
        self.version = flat.version
        self.parameters = [(name, parameter) for name, parameter, _, _ in flat.slots if not parameter.frozen]
        self._signs = [
            (index, parameter)
            for index, (_, parameter) in enumerate(self.parameters)
            if parameter.ndim == 2 and parameter.decay and parameter.shape[0] >= MIN_FAN_IN
        ]
        widths = (
            len(STEP_COLUMNS),
            len(self.outputs) * len(OUTPUT_COLUMNS),
            len(self.parameters) * len(PARAMETER_COLUMNS),
            len(self.parameters),
            len(self.outputs),
        )
        ends = np.cumsum(widths).tolist()
        self._row = np.full(ends[-1], np.nan)
        self._of_outputs = self._row[ends[0] : ends[1]].reshape(-1, len(OUTPUT_COLUMNS))
        self.updates = self._row[ends[1] : ends[2]].reshape(-1, len(PARAMETER_COLUMNS))
        self.zigzag = self._row[ends[2] : ends[3]]
        self.dead = self._row[ends[3] : ends[4]]
        self._examples = 0  # of the whole minibatch, of which this process sees a part; 0 if it sees all
        self._row_bytes = self._row.data.cast("B")
        self._allot(MIN_BLOCK)
        self.columns = {
            "outputs": slice(ends[0], ends[1]),
            "parameters": slice(ends[1], ends[2]),
            "zigzag": slice(ends[2], ends[3]),
            "dead": slice(ends[3], ends[4]),
        }

    def _allot(self, steps: int) -> None:
        """Allocate rows for `steps` steps."""
        self.rows = np.empty((steps, len(self._row)))
        self._bytes = self.rows.reshape(-1).data.cast("B")
        self._used = 0  # rows

    def wants(self, trainer: Training) -> bool:
        """Return whether to watch the next step."""
        if trainer.steps < self._next:
            return False
        return self._is_due(trainer) if self._asks or self.version != self._flat.version else True

    def _is_due(self, trainer: Training) -> bool:
        """Return whether to watch the next step; first take note of new parameters and ask the pace."""
        if self._flat.version != self.version:
            self.finish(trainer)
            self._lay_out(trainer)
        if self.pace is None or not self._asks:
            return True
        watched = self.pace.due(trainer.steps)
        self._next, self.every = self.pace.next, self.pace.every
        if self.every < Pace.MIN_EVERY:  # watch without timing for a while
            self._asks, self._until = False, trainer.steps + Pace.HOLD
        return watched

    def arrays(self) -> list[np.ndarray]:
        """Return the arrays that a watched step adds to."""
        return [self._row, *(output.units for output in self.outputs if output.units is not None)]

    def inputs(self, x: np.ndarray) -> None:
        """Record the sum of squares of a minibatch's inputs."""
        ops.square_sum(x, self._row[INPUTS : INPUTS + 1])

    def output(self, layer: Layer, y: np.ndarray) -> None:
        """Record a layer's output."""
        if y.dtype.kind != "f" or y.size == 0:
            return
        rows = y.reshape(-1, y.shape[-1]) if y.ndim > 2 and id(layer) in self._units_last else y
        units = unit_count(rows)
        if id(layer) in self._weighed:
            size, other = self._weighed.pop(id(layer))
            self._weighed.pop(other, None)
            self._multiplications += size * (max(y.size // (len(y) * units), 1) - 1)
        index = self._of_layer.get(id(layer))
        if index is None:
            return
        output = self.outputs[index]
        if output.units is None or output.units.shape[1] != units:
            output.units = np.zeros((4, units))
        output.array, output.per_example = y, y.size // len(y)
        ops.unit_stats(rows, output.units, code=output.code, total=self._of_outputs[index, :4])

    def gradient(self, layer: Layer, dy: np.ndarray) -> None:
        """Record the gradient of a layer's output."""
        index = self._of_layer.get(id(layer))
        if index is not None and dy.dtype.kind == "f":
            self.outputs[index].gradient = dy
            ops.square_sum(dy, self._of_outputs[index, 4:])

    def weight_gradients(self) -> None:
        """Record the share of units whose weights' gradients all have one sign."""
        for index, parameter in self._signs:
            ops.one_signed(parameter.grad, self.zigzag[index : index + 1])

    def scores(self, loss: Loss, prediction: np.ndarray, target: np.ndarray) -> None:
        """Record the number of correct classes."""
        if isinstance(loss, ClassLoss):
            ops.share_correct(prediction, target, self._row[ACCURACY : ACCURACY + 1], ignore_index=loss.ignore_index)
        else:
            self._counts_itself = loss

    def merge(self, share: Share) -> None:
        """Add up, on rank 0, what all ranks saw of their rows; what it sees of parameters is the same on all ranks."""
        self._examples = share.total
        rows = share.counts[share.group.rank]
        self._row[ACCURACY] *= rows / share.total  # the share of correct predictions
        units = [output.units for output in self.outputs if output.units is not None]
        arrays = [self._row[ACCURACY : INPUTS + 1], self._of_outputs, *units]
        # A rank without rows has computed one of weight 0.
        seen = np.concatenate([array.reshape(-1) for array in arrays]) * (rows > 0)
        totals = share.group.gather(seen).sum(axis=0)
        place = 0
        for array in arrays:
            # Over several steps, only rank 0 accumulates.
            array[...] = totals[place : place + array.size].reshape(array.shape) if share.group.rank == 0 else 0
            place += array.size

    def end(self, trainer: Training, x: np.ndarray, target: np.ndarray, loss: float, scale: float) -> None:
        """Store the figures of a finished step, and flush the rows when a look is due."""
        steps = trainer.steps
        if self._counts_itself is not None:
            counted = self._counts_itself.count_correct(trainer.prediction, target)
            self._row[ACCURACY] = counted[0] / counted[1] if counted is not None and counted[1] else math.nan
        start = self._used * len(self._row_bytes)
        self._bytes[start : start + len(self._row_bytes)] = self._row_bytes
        _FILL_IN(self._bytes, start, steps, loss, trainer.lr, scale, self._examples or len(x))
        self._used += 1
        if not self._asks:
            self._next = steps + self.every - 1
            self._asks = steps >= self._until
        if steps >= self._look or loss > self._alarm or self._used == len(self.rows):
            if loss > self._alarm:
                self._soon = SOON
            self.flush(trainer, x, target)

    def finish(self, trainer: Training, minimum: int = 1) -> None:
        """Flush the rows if there are at least `minimum`, or if training has just begun."""
        early = trainer.steps - self._began <= EARLY_LOOKS[-1]
        if self._used >= (1 if early else max(minimum, 1)):
            self.flush(trainer, *trainer.minibatch)

    def flush(self, trainer: Training, x: np.ndarray, target: np.ndarray) -> None:
        """Pass the collected rows to `digest`."""
        rows = self.rows[: self._used]
        self._used = 0
        block = int(min(max(BLOCK / max(self._multiplications * len(x), 1), MIN_BLOCK), MAX_BLOCK))
        done = trainer.steps - self._began
        early = next((step for step in EARLY_LOOKS if step > done), None)
        self._look = self._began + early if early else trainer.steps + min(self._soon or block, block) * self.every
        if self.pace is not None:
            self._look = max(self._look, trainer.steps + math.ceil(self.pace.between_looks))
        began = time.perf_counter()
        self._soon = 2 * self._soon if self._soon < block else 0
        if len(rows) >= MIN_BLOCK:
            losses = rows[:, LOSS]
            self._alarm = max(SURPRISE * float(losses.max()) - (SURPRISE - 1) * float(np.median(losses)), 0.0)
        if len(rows):
            with np.errstate(all="ignore"):  # the rules report a diverging run
                rows[:, self.columns["outputs"]] /= rows[:, EXAMPLES, None]
                self.digest(trainer, x, target, rows)
            if len(self.rows) != block:
                self._allot(block)
        if self.pace is not None and done > 1:
            self.pace.look = time.perf_counter() - began

    def failed(self, trainer: Training, x: np.ndarray, target: np.ndarray, loss: float) -> None:
        """Flush the rows, with one for a step that was not taken because a value was not finite."""
        row = self.rows[self._used]
        row[:] = math.nan
        row[: EXAMPLES + 1] = trainer.steps + 1, loss, trainer.lr, 1.0, len(x)
        self._used += 1
        self.flush(trainer, x, target)
