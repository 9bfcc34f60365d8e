"""The training loop: single steps, epochs, evaluation, saving and resuming."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backends.precision import using_matmul_precision
from ..nn.loss import Loss
from ..nn.sequential import Sequential
from ..optim.averaging import Averaging
from ..optim.base import Optimizer
from ..optim.regularizers import Regularizer
from ..optim.schedules import Schedule
from ..utils.arrays import example_weights
from ..utils.files import write_atomically
from ..utils.validation import several
from .callbacks import Callback
from .checkpoint import load_checkpoint, packed_checkpoint
from .collective import start_exchange, step_on_all
from .compression import check_compression
from .copying import put_together, taken_apart
from .epoch import non_finite_error, run
from .examples import prepare_later, step_targets
from .fitting import FitRequest
from .history import History
from .metrics import Metric, figures, named, outputs
from .ranks import Ranks
from .settings import Settings
from .state import TrainingState
from .step import TrainingStep

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ..augment import Augment


class Trainer(TrainingState):
    """Joins a model, a loss and an optimiser, and takes the steps of training.

    Parameters
    ----------
    model : Sequential
    loss : Loss or callable
        A pynn loss, or a function ``f(prediction, target) -> (loss, gradient)``.
    optimizer : Optimizer
        Its `lr` is the base rate that the schedule scales.
    schedule : Schedule, optional
    regularizers : sequence of Regularizer
        Penalties are part of the loss that `step` and the history report; `evaluate` reports the loss alone.
    clip_norm : float, optional
        Scale the gradient down to this Euclidean norm over all parameters if it is larger (Pascanu et al. 2013).
    clip_value : float, optional
        Clip every element of the gradient to the range from -clip_value to clip_value.
    averaging : Averaging, optional
        `EMA` or `SWA`: the model holds an average of its weights at the end of each epoch. One for each trainer.
    seed : int
        Seeds shuffling, dropout and augmentation. The weights are drawn when the layers are made, and `manual_seed`
        seeds them: with both seeds, two runs are equal bit for bit, in different processes too, on one backend.
    comm : mpi4py.MPI.Comm, optional
        Train on all its ranks, each of which makes the same calls with the same data: rank 0's weights go to all, and
        each rank computes its share of every minibatch. See docs/mpi.md.
    compression : {None, "bfloat16"}
        What the gradients that one host sends another are compressed to.
    matmul_precision : {"highest", "high", "medium"}, optional
        Of float32 products, in steps and evaluations; by default that of `set_matmul_precision`.

    Attributes
    ----------
    loss, optimizer, schedule, regularizers, clip_norm, clip_value, averaging, matmul_precision
        You may assign these between steps. A new optimiser starts with an empty state. With another averaging, or None,
        the model holds the weights of training again, not their average.
    epoch, steps : int
        Finished epochs and steps.
    lr : float
        The rate of the last step; to set the rate, assign ``trainer.optimizer.lr``.
    last_loss : float
        The loss of the last minibatch.
    examples, held_out : Examples or None
        During `fit`, the training and validation data in the network's form; `examples` is None for user-supplied
        batches.
    history : History

    Examples
    --------
    >>> import pynn
    >>> pynn.manual_seed(0)
    >>> x, y = pynn.datasets.blobs(n=300, classes=3, seed=0)
    >>> model = pynn.Sequential(pynn.Linear(2, 16), pynn.ReLU(), pynn.Linear(16, 3))
    >>> trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(lr=0.1, momentum=0.9))
    >>> history = trainer.fit(x, y, epochs=5)
    >>> trainer.evaluate(x, y)["accuracy"] > 0.9
    True
    """

    def __init__(
        self,
        model: Sequential,
        loss: Loss | Callable[..., Any],
        optimizer: Optimizer,
        *,
        schedule: Schedule | None = None,
        regularizers: Sequence[Regularizer] = (),
        clip_norm: float | None = None,
        clip_value: float | None = None,
        averaging: Averaging | None = None,
        seed: int = 0,
        comm: Any = None,
        compression: str | None = None,
        matmul_precision: str | None = None,
    ) -> None:
        settings = Settings(
            model, loss, optimizer, schedule, regularizers, clip_norm, clip_value, averaging, seed, matmul_precision
        )
        check_compression(compression, settings.model.dtype, comm)
        super().__init__(settings)
        self._ranks = Ranks.of(comm)
        exchange = None if self._ranks is None else start_exchange(self._ranks, settings.model, compression)
        self._step = TrainingStep(self, settings, self._progress, self._random, exchange)

    def step(self, x: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Take one optimiser step on one minibatch and return its loss.

        Parameters
        ----------
        x : array_like, shape (n, ...)
            Network inputs; the model's preprocessing is not applied.
        y : array_like, shape (n,) or (n, outputs)
            As in `fit`; text needs a model with `class_names`.
        sample_weight : array_like, shape (n,), optional
            Finite, at least 0. An example of weight 0 does not contribute to the loss. If all weights are 0, loss and
            gradient are 0, as with ``reduction="sum"``, and the trainer still takes the step: momentum, weight decay,
            regularizers, batch norm and schedule act as in any other step.

        Raises
        ------
        NonFiniteError
            If the loss is NaN or infinite.
        """
        if self._turn:
            raise self._busy()
        thread = threading.get_ident()
        try:
            if self._turn.setdefault("thread", thread) != thread:
                raise self._busy()
            model, loss_function = self._settings.model, self._settings.loss
            batch = model.as_input(x)
            weights = None if sample_weight is None else example_weights(sample_weight, len(batch), batch.dtype)
            if type(y) is not np.ndarray or y.ndim != loss_function.target_ndim or y.dtype.kind not in "fiu":
                y = step_targets(model, loss_function, batch, y)
            if self._ranks is None:
                loss = self._step.take(batch, y, weights)
            else:
                loss = step_on_all(self, self._step, batch, y, weights, self._ranks)
        finally:
            if self._turn and self._turn["thread"] == thread:
                del self._turn["thread"]
        if not math.isfinite(loss):
            raise non_finite_error(self, x, y)
        return loss

    # A signal handler may raise an exception whenever a call returns. So `step` and `fit` acquire the lock inside the
    # `try` block whose `finally` releases it. They acquire it with one atomic call (`setdefault`: only one of two
    # threads succeeds), and release it with `del`, which calls nothing.

    def _busy(self) -> RuntimeError:
        return RuntimeError("another step or fit of this trainer is under way; a trainer takes one step at a time")

    def fit(
        self,
        x: Any,
        y: ArrayLike | None = None,
        *,
        epochs: int | None = None,
        batch_size: int | None = None,
        validation: tuple[ArrayLike, ...] | None = None,
        sample_weight: ArrayLike | None = None,
        shuffle: bool | None = None,
        augment: Iterable[Augment] = (),
        steps_per_epoch: int | None = None,
        prefetch: bool | None = None,
        callbacks: Iterable[Callback] = (),
        metrics: Iterable[Metric] = (),
        progress: bool = False,
    ) -> History:
        """Train for `epochs` more epochs and return the history of all epochs so far.

        After Ctrl-C, `fit` finishes the current step and returns; the model is usable, and `fit` without `epochs`
        finishes the run. A second Ctrl-C raises KeyboardInterrupt at once.

        Arrays may be memory-mapped, as by `numpy.load(path, mmap_mode="r")`: `fit` reads only the rows of a batch and
        converts them to floats. A background thread prefetches memory-mapped and augmented batches while the network
        trains on the previous batch: see `prefetch`.

        Parameters
        ----------
        x : array_like, shape (n, ...), or batches
            If the model has a preprocessing, pass raw data: `fit` fits the preprocessing to them unless it is fitted
            already. Without `y`, pass a source of minibatches (x, y) or (x, y, weights): an iterable, such as a list,
            which `fit` reads in every epoch; a function of the epoch number, from 0, that returns an iterable; or an
            iterator, for one epoch or with `steps_per_epoch`.
        y : array_like, shape (n,) or (n, outputs)
            Classes are integers from 0, whole floats, booleans, one-hot rows or text; a column (n, 1) is as good as
            (n,). Text is numbered by the model's `class_names`; a model without names gets those of `y`, sorted, and
            `predict_label` returns them. Values to be predicted by one output may have shape (n,) or (n, 1).
        epochs : int, optional
            If omitted, `fit` finishes the run that was interrupted or loaded from a checkpoint. If the data are arrays
            or the batches repeat exactly, the result equals that of an uninterrupted run bit for bit. `fit` does not
            rewind an iterator; an interrupted `fit` has read one batch more than it trained on.
        batch_size : int, optional
            By default 32, or the batch size of the run to finish. The last batch of an epoch may be smaller. If the
            model has batch norm, which needs two examples, `fit` skips a last batch of one.
        validation : (x, y) or (x, y, weights), optional
            Evaluated after every epoch.
        sample_weight : array_like, shape (n,), optional
            Finite, at least 0; loss and accuracy are weighted means. A minibatch whose weights are all 0, or whose
            labels are all ignored, has a loss and a gradient of 0: see `step`.
        shuffle : bool, optional
            Whether to shuffle the examples in every epoch; by default True, or as in the run to be finished.
        augment : iterable of Augment
            Random changes to the training inputs, applied in this order: see `pynn.augment`.
        steps_per_epoch : int, optional
            Batches per epoch if your code supplies the batches; by default all that it supplies.
        prefetch : bool, optional
            False: make all batches in the calling thread. True: make all batches, and run your code that supplies
            them, in a background thread. This saves time if your code waits, but your code must not depend on the
            calling thread, as an SQLite connection does. By default, your code runs in the thread that called `fit`,
            and the background thread converts and augments its batches.
        callbacks : iterable of Callback
        metrics : iterable of str or callable
            As in `evaluate`, of the validation data; columns "val_f1" and so on of the history.
        progress : bool
            Show a progress bar (one line per epoch if the output is not a terminal).

        Raises
        ------
        ValueError
            If the data do not fit the model or the loss, are empty, or contain a NaN or a masked or missing value (the
            message names the row). The trainer is then unchanged, unless the data came in batches.
        TypeError
            If the data are not an array of numbers: sparse matrices, text, dates.
        NonFiniteError
            If the loss becomes NaN or infinite; `fit` calls the callbacks of the step first.

        Warns
        -----
        TrainingWarning
            If the schedule reaches a rate of 0, or all examples of an epoch have weight 0.
        """
        request = FitRequest(
            x, y, epochs, batch_size, validation, sample_weight, shuffle, augment, steps_per_epoch, callbacks,
            metrics, progress, prefetch,
        )  # fmt: skip
        if self._turn:
            raise self._busy()
        thread = threading.get_ident()
        try:
            if self._turn.setdefault("thread", thread) != thread:
                raise self._busy()
            run(self, self._step, request, self._ranks)
        finally:
            if self._turn and self._turn["thread"] == thread:
                del self._turn["thread"]
                self.examples = self.held_out = self.held_out_outputs = None
                self.metrics = ()
        return self.history

    @property
    def prediction(self) -> np.ndarray:
        """The network's output for the last minibatch; the next step overwrites it."""
        return self._step.passes.prediction

    @property
    def minibatch(self) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets of the last step, in the network's form."""
        return self._step.passes.inputs[:2]

    def evaluate(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        batch_size: int | None = None,
        sample_weight: ArrayLike | None = None,
        metrics: Iterable[Metric] = (),
    ) -> dict[str, float]:
        """Return the loss over all examples, without regularisation, for classification the accuracy, and metrics.

        All but functions of your own are weighted by `sample_weight` if given; the accuracy disregards class weights
        and ignored labels. The batch size, as in `Sequential.predict`, does not affect the result beyond rounding.

        Parameters
        ----------
        metrics : iterable of str or callable
            Such as "f1" or "r2", or functions of targets and predictions: see `pynn.training.metrics`.

        Raises
        ------
        ValueError, TypeError
            As in `fit`; also if all examples have weight 0, or a metric does not exist.
        """
        metrics = several(metrics, "metrics")
        named(metrics, self.loss)
        examples = prepare_later(self.model, self.loss, x, y, sample_weight)
        with using_matmul_precision(self.matmul_precision):
            return figures(self.model, self.loss, examples, outputs(self.model, examples, batch_size), metrics)

    def validate(self) -> dict[str, float]:
        """Return the running `fit`'s validation metrics, for callbacks that all ranks call; empty without such data."""
        if self.held_out is None:
            return {}
        with using_matmul_precision(self.matmul_precision):
            self.held_out_outputs = outputs(self.model, self.held_out, None, self._ranks)
            row = figures(self.model, self.loss, self.held_out, self.held_out_outputs, self.metrics)
        return {f"val_{name}": value for name, value in row.items()}

    def _repr_html_(self) -> str:
        from .notebook import trainer_html  # in a notebook only

        return trainer_html(self)

    def settle(self) -> None:
        self._step.settle()

    def save(self, path: str | Path) -> None:
        """Write a checkpoint: model, optimiser, schedule, random state, epoch, step and history.

        The file is replaced atomically. It does not contain the data set; a loss given as a function must be passed
        again to `resume`. While another thread trains, `save` waits for the end of its step.

        Raises
        ------
        RuntimeError
            In a signal handler that has interrupted a step: call `stop` there, and save after `fit` has returned.
        """
        with self.model.flat.gate.between_steps():
            self._step.settle()
            content = packed_checkpoint(self) if self.rank == 0 else b""
        if self.rank == 0:  # the state of the other ranks is the same
            write_atomically(path, content)
        if self._ranks is not None:
            self._ranks.checkpoint = path

    @classmethod
    def resume(
        cls,
        path: str | Path,
        *,
        loss: Loss | Callable[..., Any] | None = None,
        custom: Iterable[type] = (),
        comm: Any = None,
        compression: str | None = None,
    ) -> Trainer:
        """Return the trainer that `save` wrote.

        Then ``fit(x, y)``, with the same `augment` if any, finishes the run; the result equals that of an uninterrupted
        run bit for bit. `fit` does not rewind an iterator of batches: advance it yourself to where the run stopped.

        Parameters
        ----------
        path : path-like
        loss : Loss or callable, optional
            Required if the loss was a plain function; otherwise the saved one is used.
        custom : iterable of classes
            Your own layers, losses, optimisers, schedules or regularisers named in the file.
        comm, compression
            As for `Trainer`; the number of ranks may be another one.
        """
        return load_checkpoint(partial(cls, comm=comm, compression=compression), path, loss=loss, custom=custom)

    def __getstate__(self) -> dict[str, Any]:
        return taken_apart(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        Trainer.__init__(self, *state["parts"], **state["options"])
        put_together(self, state)

    def __copy__(self) -> Trainer:
        raise TypeError("copy.copy would make a trainer that trains the same model; use copy.deepcopy, or Trainer.save")
