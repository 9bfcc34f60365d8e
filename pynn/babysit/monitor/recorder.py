"""The observer of a trainer's steps: buffers that kernels write statistics to while they touch the data."""

from __future__ import annotations

import math
import struct
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import ops
from ...kernels.codes import ActivationCode
from ...nn.layers import Dropout, Flatten, Layer
from ...nn.layers.activations import Activation
from ...nn.loss import ClassLoss
from ...nn.traversal import NORMS, followers, parts, weight_of
from ...ops.activations import resolve
from ...ops.watch import unit_count

if TYPE_CHECKING:
    from ...nn.loss import Loss
    from ...nn.observer import Training
    from ...nn.parameters import Parameter

#: Early on, where most goes wrong, the steps are looked at after these many.
EARLY_LOOKS = (1, 2, 4, 8, 16, 32, 50, 75, 100, 125, 150, 200, 250, 300, *range(400, 1001, 100))
#: Later after so many that they take about as long together, in multiplications (parameters times examples, and filters
#: times their positions): looking at them takes up to half a millisecond, of which no more than 1% is to be noticed. At
#: least and at most so many.
BLOCK, LEAST_BLOCK, MOST_BLOCK = 2.6e9, 50, 2000
#: After a loss further above the median of the block before than so many times its largest, they are looked at again.
SURPRISE, SOON = 2.0, 8
#: Columns of a row that belong to the step as a whole, of which the first are filled in when it is over.
STEP_COLUMNS = ("step", "loss", "lr", "scale", "examples", "accuracy", "inputs")
_FILL_IN = struct.Struct("5d").pack_into
#: Columns per watched output: sums over its elements, and the sum of squares of the gradient with respect to it.
OUTPUT_COLUMNS = ("sum", "squares", "active", "saturated", "gradient")
#: Columns per parameter: sums of squares.
PARAMETER_COLUMNS = ("weight", "gradient", "update")

#: Inputs fewer than this say little about signs.
LEAST_FAN_IN = 16


Digest = Callable[[Any, np.ndarray, np.ndarray, np.ndarray], None]


class Output:
    """A layer whose output is watched.

    Attributes
    ----------
    name : str
        Such as "3.ReLU".
    layer : Layer
    code : ActivationCode
        IDENTITY for a layer that is no elementwise activation.
    per_example : int
        Elements of the output per example.
    units : ndarray (4, units) or None
        Per unit: sum, sum of squares, active and saturated count since they were last taken; None before any step.
    array, gradient : ndarray or None
        What the layer gave, and the gradient with respect to it, in the last step.
    """

    def __init__(self, name: str, layer: Layer) -> None:
        self.name = name
        self.layer = layer
        self.code = resolve(layer.spec())[0] if isinstance(layer, Activation) else ActivationCode.IDENTITY
        self.per_example = 0
        self.units: np.ndarray | None = None
        self.array: np.ndarray | None = None
        self.gradient: np.ndarray | None = None


class Pace:
    """Decides how often to watch, look and evaluate so that all of it costs no more than a share of the time.

    Each of the three gets a third of the share. Every step that is watched is timed, and the one before it: a step that
    is watched now and then takes longer than one of many, since nothing is in the caches.

    Parameters
    ----------
    budget : float
        That share.
    least : int
        Watch no more often than every so many steps.
    """

    #: Steps of each kind that are timed before it is decided anew, and for how many all are watched if all may be.
    SAMPLE, HOLD = 24, 1000
    #: The fewest steps apart of which one is timed unwatched, one watched, and one is their end.
    LEAST = 4

    def __init__(self, budget: float, least: int) -> None:
        self.share = budget / 3
        self.least = least
        self.every = max(least, self.LEAST)
        self.next = 0  # steps before this one are neither watched nor timed
        self.look = 5e-4  # seconds that the last look took, but for the first, which takes more
        self._plain = math.nan  # seconds of a step that is not watched
        self._began = 0.0
        self._phase = 0
        self._times: tuple[list[float], list[float]] = ([], [])  # of steps unwatched and watched
        self._start = time.perf_counter()
        self._evaluated = self._evaluation = 0.0

    def due(self, steps: int) -> bool:
        """Note that a step begins, not before `next`; return whether to watch it."""
        now = time.perf_counter()
        if self._phase > 0:
            self._times[self._phase - 1].append(now - self._began)
        self._began, self._phase = now, (self._phase + 1) % 3
        self.next = steps + 1
        if self._phase == 0:
            if len(self._times[1]) >= self.SAMPLE:
                self._decide()
            self.next = steps + self.every - 2
        return self._phase == 2

    def _decide(self) -> None:
        # An ordinary step that nothing has disturbed, and a watched one that may well have been: rather too dear.
        off, on = (sorted(times)[len(times) * part // 4] for times, part in zip(self._times, (1, 3), strict=True))
        self._times[0].clear()
        self._times[1].clear()
        self._plain = off
        every = max(math.ceil((on - off) / (self.share * off)), self.least)
        self.every = every if every <= self.least else max(every, self.LEAST)

    @property
    def between_looks(self) -> float:
        """After how many steps the next look is due at the earliest."""
        return 2.0 * self.SAMPLE if math.isnan(self._plain) else self.look / (self.share * self._plain)

    def evaluates(self) -> bool:
        """Return whether there is time to look at a finished epoch."""
        return (
            self._evaluated + self._evaluation <= self.share * (time.perf_counter() - self._start)
            or not self._evaluated
        )

    def evaluated(self, seconds: float) -> None:
        """Note how long it took to look at a finished epoch."""
        self._evaluation = seconds
        self._evaluated += seconds


class Recorder:
    """Looks at a trainer's steps, into one row of figures each; every so many rows, `digest` is called.

    Watching changes no bit of the training. Outputs of layers that only pass on or blank what they get (Flatten,
    Dropout) are not watched, nor are outputs in front of a batch norm or another norm, whose scale is its business,
    unless they are an activation's; a layer that applies the activation behind it has none. Layers within a residual
    block are watched one by one.

    Attributes
    ----------
    outputs : list of Output
        In network order.
    parameters : list of (name, Parameter)
        Those that are not frozen.
    dead : ndarray (outputs,)
        What rows are to say of the share of dead units; set by who has counted them.
    updates : ndarray (parameters, 3)
        Receives the sums of squares of parameter, gradient and update.
    every : int
        A step is watched if this many have passed since the last one that was.
    version : int
        That of the parameters which are watched.
    """

    def __init__(self, trainer: Training, digest: Digest, every: int = 1, budget: float | None = None) -> None:
        self.model = trainer.model
        self.digest = digest
        self.every = every
        self.pace = None if budget is None else Pace(budget, every)
        self._asks = budget is not None
        self._until = math.inf  # the step from which to ask again
        self._next = trainer.steps
        self._look = trainer.steps + 1
        self._began = trainer.steps
        self._alarm = math.inf  # a loss to look at at once
        self._soon = 0  # after how many steps to look again, since there was one
        chain = parts(trainer.model)
        following = followers(chain)
        self.outputs = [
            Output(part.label, part.layer)
            for part, follower in zip(chain, following, strict=True)
            if not isinstance(part.layer, Flatten | Dropout)
            and (isinstance(part.layer, Activation) or not isinstance(follower, NORMS))
        ]
        self._multiplications = sum(parameter.size for parameter in trainer.model.parameters())  # per example
        # Filters are multiplied at each position, of which the output tells how many: their own, or that of the layer
        # behind, where this applies its activation.
        self._filters: dict[int, tuple[int, int]] = {}
        for part, follower in zip(chain, following, strict=True):
            weight = weight_of(part.layer)
            if weight is not None and weight.ndim > 2:
                self._filters[id(part.layer)] = weight.size, id(follower)
                if isinstance(follower, Activation):
                    self._filters[id(follower)] = weight.size, id(part.layer)
        self._of_layer = {id(output.layer): index for index, output in enumerate(self.outputs)}
        self.parameters: list[tuple[str, Parameter]] = []
        self.updates = np.empty((0, len(PARAMETER_COLUMNS)))
        self.version = -1
        self._counts_itself: Loss | None = None
        self._lay_out(trainer)

    def _lay_out(self, trainer: Training) -> None:
        """Make the buffers, for the parameters that are not frozen now."""
        flat = self._flat = trainer.model.flat
        self.version = flat.version
        self.parameters = [(name, parameter) for name, parameter, _, _ in flat.slots if not parameter.frozen]
        self._signs = [
            (index, parameter)
            for index, (_, parameter) in enumerate(self.parameters)
            if parameter.ndim == 2 and parameter.decay and parameter.shape[0] >= LEAST_FAN_IN
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
        self._zigzag = self._row[ends[2] : ends[3]]
        self.dead = self._row[ends[3] : ends[4]]
        self._row_bytes = self._row.data.cast("B")
        self._allot(LEAST_BLOCK)
        self.columns = {
            "outputs": slice(ends[0], ends[1]),
            "parameters": slice(ends[1], ends[2]),
            "zigzag": slice(ends[2], ends[3]),
            "dead": slice(ends[3], ends[4]),
        }

    def _allot(self, steps: int) -> None:
        """Make room for the rows of so many steps."""
        self.rows = np.empty((steps, len(self._row)))
        self._bytes = self.rows.reshape(-1).data.cast("B")
        self._used = 0  # rows

    def wants(self, trainer: Training) -> bool:
        """Return whether to watch the step that follows."""
        if trainer.steps < self._next:
            return False
        return self._is_due(trainer) if self._asks or self.version != self._flat.version else True

    def _is_due(self, trainer: Training) -> bool:
        """Return whether to watch the step that follows, where the parameters or the pace may have changed."""
        if self._flat.version != self.version:
            self.finish(trainer)
            self._lay_out(trainer)
        if self.pace is None or not self._asks:
            return True
        watched = self.pace.due(trainer.steps)
        self._next, self.every = self.pace.next, self.pace.every
        if self.every < Pace.LEAST:  # all that may be watched are, for a while
            self._asks, self._until = False, trainer.steps + Pace.HOLD
        return watched

    def arrays(self) -> list[np.ndarray]:
        """Return the arrays that a watched step adds to."""
        return [self._row, *(output.units for output in self.outputs if output.units is not None)]

    def inputs(self, x: np.ndarray) -> None:
        """Look at the size of a minibatch's inputs."""
        ops.square_sum(x, self._row[6:7])

    def output(self, layer: Layer, y: np.ndarray) -> None:
        """Look at what a layer made of the batch."""
        if id(layer) in self._filters:
            size, other = self._filters.pop(id(layer))
            self._filters.pop(other, None)
            self._multiplications += size * (math.prod(y.shape[2:]) - 1)
        index = self._of_layer.get(id(layer))
        if index is None or y.dtype.kind != "f" or y.size == 0:
            return
        output = self.outputs[index]
        units = unit_count(y)
        if output.units is None or output.units.shape[1] != units:
            output.units = np.zeros((4, units))
        output.array, output.per_example = y, y.size // len(y)
        ops.unit_stats(y, output.units, code=output.code, total=self._of_outputs[index, :4])

    def gradient(self, layer: Layer, dy: np.ndarray) -> None:
        """Look at the gradient with respect to a layer's output."""
        index = self._of_layer.get(id(layer))
        if index is not None and dy.dtype.kind == "f":
            self.outputs[index].gradient = dy
            ops.square_sum(dy, self._of_outputs[index, 4:])

    def weight_gradients(self) -> None:
        """Look at the signs of the weights' gradients."""
        for index, parameter in self._signs:
            ops.one_signed(parameter.grad, self._zigzag[index : index + 1])

    def scores(self, loss: Loss, prediction: np.ndarray, target: np.ndarray) -> None:
        """Look at how many classes the network has right."""
        if isinstance(loss, ClassLoss):
            ops.share_correct(prediction, target, self._row[5:6], ignore_index=loss.ignore_index)
        else:
            self._counts_itself = loss

    def end(self, trainer: Training, x: np.ndarray, target: np.ndarray, loss: float, scale: float) -> None:
        """Keep the figures of a finished step, and hand them over when it is time to look at them."""
        steps = trainer.steps
        if self._counts_itself is not None:
            counted = self._counts_itself.count_correct(trainer.prediction, target)
            self._row[5] = counted[0] / counted[1] if counted is not None and counted[1] else math.nan
        start = self._used * len(self._row_bytes)
        self._bytes[start : start + len(self._row_bytes)] = self._row_bytes
        _FILL_IN(self._bytes, start, steps, loss, trainer.lr, scale, len(x))
        self._used += 1
        if not self._asks:
            self._next = steps + self.every - 1
            self._asks = steps >= self._until
        if steps >= self._look or loss > self._alarm or self._used == len(self.rows):
            if loss > self._alarm:
                self._soon = SOON
            self.flush(trainer, x, target)

    def finish(self, trainer: Training, least: int = 1) -> None:
        """Hand over what has been gathered, if it is so many steps or training has only begun."""
        early = trainer.steps - self._began <= EARLY_LOOKS[-1]
        if self._used >= (1 if early else max(least, 1)):
            self.flush(trainer, *trainer.minibatch)

    def flush(self, trainer: Training, x: np.ndarray, target: np.ndarray) -> None:
        """Hand over what has been gathered."""
        rows = self.rows[: self._used]
        self._used = 0
        block = int(min(max(BLOCK / max(self._multiplications * len(x), 1), LEAST_BLOCK), MOST_BLOCK))
        done = trainer.steps - self._began
        early = next((step for step in EARLY_LOOKS if step > done), None)
        self._look = self._began + early if early else trainer.steps + min(self._soon or block, block) * self.every
        if self.pace is not None:
            self._look = max(self._look, trainer.steps + math.ceil(self.pace.between_looks))
        began = time.perf_counter()
        self._soon = 2 * self._soon if self._soon < block else 0
        if len(rows) >= LEAST_BLOCK:
            losses = rows[:, 1]
            self._alarm = max(SURPRISE * float(losses.max()) - (SURPRISE - 1) * float(np.median(losses)), 0.0)
        if len(rows):
            with np.errstate(all="ignore"):  # a run that blows up is to be told of, not to warn besides
                rows[:, self.columns["outputs"]] /= rows[:, 4:5]
                self.digest(trainer, x, target, rows)
            if len(self.rows) != block:
                self._allot(block)
        if self.pace is not None and done > 1:
            self.pace.look = time.perf_counter() - began

    def failed(self, trainer: Training, x: np.ndarray, target: np.ndarray, loss: float) -> None:
        """Hand over what has been gathered, and a step whose loss is not finite and which was not taken."""
        row = self.rows[self._used]
        row[:] = math.nan
        row[:5] = trainer.steps + 1, loss, trainer.lr, 1.0, len(x)
        self._used += 1
        self.flush(trainer, x, target)
