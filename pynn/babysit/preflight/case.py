"""Input of the checks: preprocessed data, and copies of the trainer's parts for trial runs."""

from __future__ import annotations

import copy
import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...nn.context import Context
from ...nn.layers import Conv2d, Dropout, Linear, Maxout
from ...nn.loss import FunctionLoss
from ...nn.random import Stream
from ...nn.sequential import Sequential
from ...optim.optimizers import Adam
from ...training.examples import Examples
from ...utils.config import is_own
from .walk import Walk

if TYPE_CHECKING:
    from ...nn.loss import Loss
    from ...training.trainer import Trainer

#: Layers that multiply their input by weights.
MULTIPLIES = Linear | Maxout | Conv2d
#: Assumed multiply-adds per second, for planning the number of trial steps; a low estimate for one core.
PLANNED_SPEED = 1e10
#: Minimum seconds per step, for small networks.
MIN_STEP = 1.5e-4
#: Multiplications of one forward pass, about 0.1 s: the examples of a pass stay in memory, fewer of a larger network.
PASS_WORK = 2.5e9


@dataclass
class Known:
    """What checks have found out, for those after them.

    Attributes
    ----------
    trained : bool
        Whether the weights have been trained already: by the trainer, or judged by the initial loss.
    sums : bool
        Whether the loss is a sum over the batch; see `initial_loss`.
    learns, memorises : bool
        Whether the network has learnt from a handful of examples, and told them all apart; see `overfits_a_handful`.
    adam_rate : float
        A rate at which Adam trains this network; see there as well.
    interval : (float, float)
        Range of learning rates at which the trainer's optimiser works; see `learning_rate`.
    rate_too_high : bool
        Whether the trainer's rate is too high; see there as well.
    """

    trained: bool
    sums: bool = False
    learns: bool = False
    memorises: bool = False
    adam_rate: float = 3e-3
    interval: tuple[float, float] = (0.0, math.inf)
    rate_too_high: bool = False


class Case:
    """A trainer and its data under examination.

    The checks only read the trainer; they run copies of its parts.

    Attributes
    ----------
    model : Sequential
        An untrained copy with fitted preprocessing; trial runs copy it again.
    examples : Examples
        The network's inputs and targets, without rows whose label the loss ignores.
    validation : Examples or None
    batch_size, seed : int
    raw, raw_validation : pair of ndarray
        The data before preprocessing.
    output_shape : tuple of int
        Shape of the prediction for one example, with a leading 1.
    known : Known
    """

    def __init__(self, trainer: Trainer, model: Sequential, loss: Loss, batch_size: int, seed: int) -> None:
        self.trainer = trainer
        self.model = model
        self.loss = loss
        self.batch_size = batch_size
        self.seed = seed
        self.examples = Examples(np.empty(0), np.empty(0), None)
        self.validation: Examples | None = None
        self.raw: tuple[np.ndarray, np.ndarray] = (np.empty(0), np.empty(0))
        self.raw_validation: tuple[np.ndarray, np.ndarray] | None = None
        self.output_shape: tuple[int, ...] = ()
        self.known = Known(trained=trainer.steps > 0)

    @property
    def size(self) -> int:
        """Number of examples."""
        return len(self.examples.x)

    @property
    def own_loss(self) -> bool:
        """Whether the loss is user code; pynn's losses have a minimum of 0, custom ones may not."""
        return is_own(self.loss) or isinstance(self.loss, FunctionLoss)

    def class_name(self, label: int) -> str:
        """Return a class's name, or its number if the model has no names."""
        names = self.model.class_names
        return str(label) if names is None or label >= len(names) else str(names[label])

    def generator(self, stream: int) -> np.random.Generator:
        """Return a generator for the seed and the check's stream."""
        return np.random.default_rng([self.seed, stream])

    def affordable(self, count: int, minimum: int = 64) -> int:
        """Return how many of `count` examples to pass through the network at once: at least `minimum`."""
        return max(min(count, minimum), min(count, int(PASS_WORK / self.multiplications)))

    @functools.cached_property
    def first_pass(self) -> FirstPass:
        """The first pass of training, forward and backward, of a copy without dropout."""
        return FirstPass(self)

    def rows(self, count: int, stream: int = 0) -> np.ndarray:
        """Return up to `count` row numbers, drawn at random without replacement."""
        return self.generator(stream).permutation(self.size)[:count]

    def take(self, rows: np.ndarray) -> Examples:
        """Return the examples of these rows."""
        x, y, weights = self.examples
        return Examples(
            np.ascontiguousarray(x[rows]),
            np.ascontiguousarray(y[rows]),
            None if weights is None else np.ascontiguousarray(weights[rows]),
        )

    def copy_model(self, *, dropout: bool = False) -> Sequential:
        """Return a copy of the model, by default without its dropout."""
        model = copy.deepcopy(self.model)
        if not dropout:
            for layer in model.all_layers():
                if isinstance(layer, Dropout):
                    layer.p = 0.0
        return model

    def trial(
        self,
        *,
        adam: float | None = None,
        lr: float | None = None,
        dropout: bool = False,
        regularized: bool = False,
    ) -> Trainer:
        """Return a new trainer of a copy of the model.

        Parameters
        ----------
        adam : float, optional
            Use Adam at this rate instead of the trainer's optimiser and clipping.
        lr : float, optional
            Learning rate of the trainer's optimiser.
        dropout, regularized : bool
            Whether to keep dropout, and weight decay and the regularisers.
        """
        from ...training.trainer import Trainer

        own = self.trainer
        optimizer = Adam(adam) if adam is not None else own.optimizer.unbound()
        if not regularized:
            optimizer.weight_decay = 0.0
        if lr is not None:
            optimizer.lr = lr
        return Trainer(
            self.copy_model(dropout=dropout),
            self.loss,
            optimizer,
            regularizers=copy.deepcopy(own.regularizers) if regularized else (),
            clip_norm=own.clip_norm if adam is None else None,
            clip_value=own.clip_value if adam is None else None,
            seed=self.seed,
            matmul_precision=own.matmul_precision,
        )

    def steps(self, seconds: float, batch: int, minimum: int, maximum: int) -> int:
        """Return the estimated number of steps in `seconds`, between `minimum` and `maximum`.

        The estimate counts multiplications instead of measuring, so that a report does not depend on the machine.
        """
        work = self.multiplications * batch
        return max(minimum, min(maximum, int(seconds / max(MIN_STEP, 3 * work / PLANNED_SPEED))))

    @property
    def convolves(self) -> bool:
        """Whether there are convolutions, which run faster than the planned rate."""
        return any(isinstance(layer, Conv2d) for layer in self.model.all_layers())

    @functools.cached_property
    def multiplications(self) -> int:
        """Multiplications per example in the forward pass: one per parameter, and per position for weights."""
        walk = Walk(copy.deepcopy(self.model), self.examples.x[:2], training=False, seed=self.seed)
        more = 0
        for (_, layer), y in zip(walk.layers, walk.outputs, strict=True):
            if isinstance(layer, Conv2d | Linear):
                positions = y.shape[1:-1] if isinstance(layer, Linear) else y.shape[2:]
                more += (math.prod(positions) - 1) * layer.weight.size
        return self.model.flat.values.size + more

    def labels(self, y: np.ndarray, outputs: tuple[int, ...]) -> bool:
        """Return whether targets are class labels, for outputs of this shape."""
        if self.loss.output_kind in ("classes", "scores"):
            return True
        return self.loss.output_kind is None and y.ndim == 1 and y.dtype.kind in "iu" and len(outputs) == 2


class FirstPass(Walk):
    """A pass over the examples of a copy of the model as it is, without dropout, and back from the loss.

    Attributes
    ----------
    part : Examples
    loss : float
    loss_gradient : ndarray
        Gradient of the loss with respect to the prediction.
    """

    def __init__(self, case: Case) -> None:
        self.part = case.take(case.rows(case.affordable(1000)))
        super().__init__(case.copy_model(), self.part.x, training=True, seed=case.seed)
        loss, gradient = case.loss.forward(self.prediction, self.part.y, self.part.weights)
        if gradient is None:
            raise ValueError("the loss returned no gradient")
        self.loss = float(loss)
        self.loss_gradient = np.ascontiguousarray(gradient, dtype=self.prediction.dtype)
        self.back(self.loss_gradient.copy())


def training_loss(case: Case, trainer: Trainer, part: Examples) -> tuple[float, np.ndarray]:
    """Return loss and prediction of a trial in training mode, which needs no running statistics."""
    prediction = trainer.model.forward(part.x, Context(training=True, random=Stream(case.seed)))
    return float(case.loss.forward(prediction, part.y, part.weights)[0]), prediction


def train(trainer: Trainer, part: Examples, order: np.ndarray, steps: int, batch: int) -> list[float]:
    """Take steps in cycles through `order`, and return the losses up to the first non-finite one."""
    from ...training.step import NonFiniteError

    losses = []
    batch = min(batch, len(order))
    per_pass = max(1, len(order) // batch)
    for step in range(steps):
        rows = order[step % per_pass * batch :][:batch]
        try:
            losses.append(
                trainer.step(part.x[rows], part.y[rows], None if part.weights is None else part.weights[rows])
            )
        except NonFiniteError:
            losses.append(math.inf)
            break
    return losses
