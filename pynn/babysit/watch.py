"""A watch over a trainer's steps: buffers that kernels write statistics to while they touch the data."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from .. import ops
from ..kernels.codes import ActivationCode
from ..layers import BatchNorm, Dropout, Flatten, Layer
from ..layers.activations import Activation
from ..losses import ClassLoss
from ..ops.activations import resolve
from ..ops.watch import unit_count

if TYPE_CHECKING:
    from ..losses import Loss
    from ..parameters import Parameter
    from ..trainer import Trainer

#: Early on, where most goes wrong, the steps are looked at after these many.
EARLY_LOOKS = (1, 2, 4, 8, 16, 32, 50, 75, 100, 125, 150, 200, 250, 300, *range(400, 1001, 100))
#: Later after every so many, and more of them in a network whose steps are so small (in multiplications, parameters
#: times examples) that looking at them, which takes about 0.2 ms, would show.
BLOCK, LONG_BLOCK, SMALL_STEP = 50, 400, 1e6
#: Columns of a row that belong to the step as a whole.
STEP_COLUMNS = ("step", "loss", "lr", "scale", "examples", "accuracy", "inputs")
#: Columns per watched output: sums over its elements, and the sum of squares of the gradient with respect to it.
OUTPUT_COLUMNS = ("sum", "squares", "active", "saturated", "gradient")
#: Columns per parameter: sums of squares.
PARAMETER_COLUMNS = ("weight", "gradient", "update")

#: Inputs fewer than this say little about signs.
LEAST_FAN_IN = 16


Digest = Callable[["Trainer", np.ndarray, np.ndarray, np.ndarray], None]


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
    """Decides how often to watch so that it costs no more than a share of the time.

    Parameters
    ----------
    budget : float
        That share.
    least : int
        Watch no more often than every so many steps.
    """

    #: Steps of each kind that are timed before anything is decided, and how often it is decided anew.
    SAMPLE = 16

    def __init__(self, budget: float, least: int) -> None:
        self.budget = budget
        self.least = least
        self._every = least
        self._began = math.nan
        self._was_watched = False
        self._times: dict[bool, list[float]] = {True: [], False: []}

    def step(self, watched: bool) -> int:
        """Note that a step begins, watched or not, and return how often to watch."""
        now = time.perf_counter()
        if not math.isnan(self._began):
            self._times[self._was_watched].append(now - self._began)
        self._began, self._was_watched = now, watched
        on, off = self._times[True], self._times[False]
        if len(on) >= self.SAMPLE and not off:
            self._every = max(self.least, 2)  # some steps unwatched, to know what they take
        elif len(on) >= self.SAMPLE and len(off) >= self.SAMPLE:
            # The mean of the watched steps holds the digests too; the median of the others is a step undisturbed.
            plain = sorted(off)[len(off) // 2]
            cost = sum(on) / len(on) - plain
            self._every = max(self.least, math.ceil(cost / (self.budget * plain))) if cost > 0 else self.least
            self._every = min(max(self._every, 2), 1000)
            on.clear()
            off.clear()
        return self._every


class Watch:
    """Looks at a trainer's steps, into one row of figures each; every so many rows, `digest` is called.

    Watching changes no bit of the training. Outputs of layers that only pass on or blank what they get (Flatten,
    Dropout) are not watched, nor are outputs in front of a batch norm, whose scale is its business; a layer that
    applies the activation behind it has none.

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
    last : (ndarray, ndarray) or None
        The minibatch of the last step that was watched.
    """

    def __init__(self, trainer: Trainer, digest: Digest, every: int = 1, budget: float | None = None) -> None:
        self.model = trainer.model
        self.digest = digest
        self.every = every
        self.pace = None if budget is None else Pace(budget, every)
        self.last: tuple[np.ndarray, np.ndarray] | None = None
        self._next = trainer.steps
        self._look = trainer.steps + 1
        self._began = trainer.steps
        leaves = list(trainer.model.named_leaves())
        self.outputs = [
            Output(f"{name}.{type(layer).__name__}", layer)
            for (name, layer), follower in zip(leaves, [*(layer for _, layer in leaves[1:]), None], strict=True)
            if not isinstance(layer, Flatten | Dropout) and not isinstance(follower, BatchNorm)
        ]
        self._of_layer = {id(output.layer): index for index, output in enumerate(self.outputs)}
        self.parameters: list[tuple[str, Parameter]] = []
        self.updates = np.empty((0, len(PARAMETER_COLUMNS)))
        self._version = -1
        self._counts_itself: Loss | None = None
        self._lay_out(trainer)

    def _lay_out(self, trainer: Trainer) -> None:
        """Make the buffers, for the parameters that are not frozen now."""
        flat = self._flat = trainer.model.flat
        self._version = flat.version
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
        self._scalars: list[tuple[float, ...]] = []
        self._allot(BLOCK)
        self.columns = {
            "outputs": slice(ends[0], ends[1]),
            "parameters": slice(ends[1], ends[2]),
            "zigzag": slice(ends[2], ends[3]),
            "dead": slice(ends[3], ends[4]),
        }

    def _allot(self, steps: int) -> None:
        """Make room for the rows of so many steps."""
        self.rows = np.empty((steps, len(self._row)))

    def due(self, trainer: Trainer) -> bool:
        """Return whether to watch the step that follows."""
        if self._flat.version != self._version:
            self.finish(trainer)
            self._lay_out(trainer)
        watched = trainer.steps >= self._next
        if self.pace is not None:
            self.every = self.pace.step(watched)
        return watched

    def inputs(self, x: np.ndarray) -> None:
        """Look at the size of a minibatch's inputs."""
        ops.square_sum(x, self._row[6:7])

    def output(self, layer: Layer, y: np.ndarray) -> None:
        """Look at what a layer made of the batch."""
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

    def end(self, trainer: Trainer, x: np.ndarray, target: np.ndarray, loss: float, scale: float) -> None:
        """Keep the figures of a finished step, and hand them over when it is time to look at them."""
        steps = trainer.steps
        if self._counts_itself is not None:
            counted = self._counts_itself.count_correct(trainer.prediction, target)
            self._row[5] = counted[0] / counted[1] if counted is not None and counted[1] else math.nan
        self.rows[len(self._scalars)] = self._row
        self._scalars.append((steps, loss, trainer.lr, scale, len(x)))
        self.last = (x, target)
        self._next = steps + self.every - 1
        if steps >= self._look or len(self._scalars) == len(self.rows):
            self.flush(trainer, x, target)

    def finish(self, trainer: Trainer, least: int = 1) -> None:
        """Hand over what has been gathered, if it is so many steps or training has only begun."""
        early = trainer.steps - self._began <= EARLY_LOOKS[-1]
        if self.last is not None and len(self._scalars) >= (1 if early else least):
            self.flush(trainer, *self.last)

    def flush(self, trainer: Trainer, x: np.ndarray, target: np.ndarray) -> None:
        """Hand over what has been gathered."""
        done = trainer.steps - self._began
        later = done + len(self.rows) * self.every
        self._look = self._began + next((step for step in EARLY_LOOKS if step > done), later)
        if self._scalars:
            rows = self.rows[: len(self._scalars)]
            rows[:, :5] = self._scalars
            self._scalars.clear()
            with np.errstate(all="ignore"):  # a run that blows up is to be told of, not to warn besides
                rows[:, self.columns["outputs"]] /= rows[:, 4:5]
                self.digest(trainer, x, target, rows)
            small = sum(parameter.size for _, parameter in self.parameters) * len(x) < SMALL_STEP
            if len(self.rows) != (LONG_BLOCK if small else BLOCK):
                self._allot(LONG_BLOCK if small else BLOCK)

    def failed(self, trainer: Trainer, x: np.ndarray, target: np.ndarray, loss: float) -> None:
        """Hand over what has been gathered, and a step whose loss is not finite and which was not taken."""
        self.rows[len(self._scalars)] = math.nan
        self._scalars.append((trainer.steps + 1, loss, trainer.lr, 1.0, len(x)))
        self.flush(trainer, x, target)
