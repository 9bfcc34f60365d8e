"""What a monitor reads of a PyTorch training loop."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..training.examples import Examples
from ..training.history import History
from ..utils.validation import data_parts
from .losses import loss_like, target_like
from .optimizers import optimizer_like
from .tensors import array, check_array

if TYPE_CHECKING:
    from ..nn.observer import Observer
    from .network import Network

#: Inputs and targets, as tensors or arrays.
Data = tuple[Any, Any]


def checked_data(data: Data | None, name: str) -> Data | None:
    """Return inputs and targets, or raise TypeError or ValueError unless they are as many tensors or arrays."""
    if data is None:
        return None
    x, y = data_parts(data, name)
    for part in (x, y):
        check_array(part, f"a part of {name}")
    counts = [len(part) if part.ndim else 0 for part in (x, y)]
    if counts[0] != counts[1] or not counts[0]:
        raise ValueError(f"{name} has {counts[0]} inputs and {counts[1]} targets; expected as many, and at least one")
    return x, y


class TorchRun:
    """The state of a PyTorch loop, as a monitor's `Watchable`.

    Attributes
    ----------
    model : Network
    prediction : ndarray
    minibatch : (x, target)
        Of the last watched step.
    examples, held_out : Examples or None
        Training and validation data, while a finished epoch is evaluated.
    asks_to_stop : bool
        Whether the monitor would stop a trainer.
    """

    regularizers = ()
    averaging = None
    keeps_best = False
    rank = 0  # a loop in PyTorch has one process
    in_another_thread = False

    def __init__(self, network: Network, criterion: Any, optimizer: Any, epochs: int | None) -> None:
        self.model = network
        self.loss = loss_like(criterion)
        self.observer: Observer | None = None
        self.history = History()
        self.steps = self.epoch = self.batches_done = self.batches_per_epoch = 0
        self.target_epoch = epochs or 0
        self.examples: Examples | None = None
        self.held_out: Examples | None = None
        self.asks_to_stop = False
        self.prediction = np.empty((0, 0), np.float32)
        self.minibatch = self.prediction, self.prediction
        self._optimizer = optimizer
        self.optimizer = optimizer_like(optimizer)

    @property
    def lr(self) -> float:
        """The learning rate of the first parameter group."""
        return float(self._optimizer.param_groups[0]["lr"])

    def stop(self) -> None:
        """Note that training should end; the loop is the user's."""
        self.asks_to_stop = True

    def see(self, x: np.ndarray, prediction: np.ndarray, target: Any) -> np.ndarray:
        """Take note of a minibatch; return its targets in the form of the loss."""
        made = target_like(self.loss, prediction, target)
        if made is None:  # targets of a kind that only PyTorch's loss knows, or none given
            if self.loss.output_kind is not None:
                self.loss = loss_like(None)
            made = np.zeros(len(prediction), np.float32) if target is None else array(target)
        self.prediction, self.minibatch = prediction, (x, made)
        return made

    def take(self, train: Data | None, validation: Data | None) -> None:
        """Take the data for the evaluation of epochs, once the first minibatch has been seen."""
        self.examples = None if train is None else self._as_examples(train, "train")
        self.held_out = None if validation is None else self._as_examples(validation, "validation")
        if self.examples is not None:
            self.batches_per_epoch = -(-len(self.examples.x) // len(self.minibatch[0]))

    def end_epoch(self, row: dict[str, float]) -> None:
        """Add the row of a finished epoch to the history."""
        self.epoch += 1
        self.batches_per_epoch, self.batches_done = self.batches_done, 0
        self.history.append(self.epoch, row)

    def _as_examples(self, data: Data, name: str) -> Examples:
        """Return data in the form of the network and the loss."""
        x, y = (each if isinstance(each, np.ndarray) else array(each) for each in data)
        outputs = (len(y), *self.prediction.shape[1:])
        if target_like(self.loss, self.prediction[:1], y[:1]) is None:
            raise ValueError(
                f"{name} has targets of shape {y.shape}; {type(self.loss).__name__} expects such of outputs of shape "
                f"{outputs}. Without data here, tell watch.epoch(val_loss=...) what you measured"
            )
        return Examples(x, self.loss.shaped(self.loss.as_target(y, self.prediction.dtype), outputs), None)

    def scores(self, examples: Examples) -> tuple[float, float]:
        """Return the loss of examples in eval mode, and their accuracy; NaN for regression."""
        prediction = self.model.infer(np.asarray(examples.x))
        counted = self.loss.count_correct(prediction, examples.y)
        accuracy = counted[0] / counted[1] if counted is not None and counted[1] else math.nan
        return float(self.loss.forward(prediction, examples.y)[0]), accuracy
