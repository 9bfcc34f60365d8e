"""The training loop: one step, many epochs, evaluation, and continuing later."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .arguments import count, instance, number
from .augment import as_changes
from .callbacks import Callback, CallbackList
from .examples import Examples, LaterExamples, check_fit, non_finite_row, prepare_later
from .feeding import Ahead, ArrayBatches, Batch, GivenBatches, Source, refuse_options
from .files import write_atomically
from .history import EpochSums, History
from .interrupt import InterruptGuard
from .layers import BatchNorm
from .losses import Loss, as_loss
from .model import Sequential
from .optim import Optimizer
from .random import Stream
from .regularizers import Regularizer
from .runs import Run
from .schedules import Schedule
from .step import NonFiniteError, TrainingStep

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .augment import Augment
    from .babysit.watch import Watch


class Trainer:
    """Trains a model.

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
        Scale the gradient down where its Euclidean norm over all parameters exceeds this (Pascanu et al. 2013).
    clip_value : float, optional
        Clip every element of the gradient to +- this.
    seed : int
        Seeds shuffling and dropout; the same seed gives the same run, bit for bit, on one backend.

    Attributes
    ----------
    epoch, steps : int
        Finished epochs and steps.
    lr : float
        The rate of the last step.
    last_loss : float
        The loss of the last minibatch.
    examples, held_out : Examples or None
        During `fit`, the data as the network takes it, to train on and to validate with; `examples` is None where the
        user's own code gives the batches.
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

    #: Identity of the thread that trains; an attribute of the instance only while one does.
    _running: int | None = None

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
        seed: int = 0,
    ) -> None:
        self.model = instance(model, "model", Sequential)
        self.loss = as_loss(loss)
        self.optimizer = instance(optimizer, "optimizer", Optimizer)
        self.schedule = None if schedule is None else instance(schedule, "schedule", Schedule)
        if not isinstance(regularizers, Iterable):
            raise TypeError(f"regularizers is {regularizers!r}; expected a list of pynn.Regularizer")
        self.regularizers = [instance(item, "one of regularizers", Regularizer) for item in regularizers]
        self.clip_norm = None if clip_norm is None else number(clip_norm, "clip_norm", above=0)
        self.clip_value = None if clip_value is None else number(clip_value, "clip_value", above=0)
        self.seed = count(seed, "seed", least=0)
        optimizer.bind(model.flat)
        model.output_kind = self.loss.output_kind
        self.epoch = 0
        self.steps = 0
        self.lr = optimizer.lr
        self.last_loss = math.nan
        self.history = History()
        self.batches_per_epoch = 0
        self.examples: Examples | LaterExamples | None = None
        self.held_out: Examples | LaterExamples | None = None
        #: What looks at the steps, if anything does; a `pynn.Monitor` puts it here.
        self.watch: Watch | None = None
        self._random = Stream(int(np.random.SeedSequence(self.seed).generate_state(1, np.uint64)[0]))
        self._step = TrainingStep(self, self._random)
        self._stop = False
        # Where the running epoch stands: batches done, and the sums for its row in the history.
        self._batch = 0
        self._sums = EpochSums()
        # What `fit` was told, so that an interrupted run can be finished.
        self._run: Run | None = None

    def step(self, x: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Take one optimiser step on one minibatch and return its loss.

        Parameters
        ----------
        x : array_like, shape (n, ...)
            Network inputs; the model's preprocessing is not applied.
        y : array_like, shape (n,) or (n, outputs)
        sample_weight : array_like, shape (n,), optional

        Raises
        ------
        NonFiniteError
            If the loss is NaN or infinite.
        """
        self._refuse_second("takes one step at a time")
        thread = threading.get_ident()
        try:
            self._begin(thread)
            loss = self.model.flat.gate.change(self._step.take, self.model.as_input(x), y, sample_weight)
        finally:
            if self._running == thread:
                del self._running
        if not math.isfinite(loss):
            raise self._non_finite(x, y)
        return loss

    # A signal's handler may raise as any call returns. So `_running` is set within the `try` block whose end deletes
    # it, and deleted by a statement that calls nothing.

    def _refuse_second(self, what: str) -> None:
        if self._running is not None:
            raise RuntimeError(f"another thread is training with this trainer; a trainer {what}")

    def _begin(self, thread: int) -> None:
        """Note which thread trains, or raise RuntimeError where another one has just begun to."""
        if self.__dict__.setdefault("_running", thread) != thread:  # atomic
            self._refuse_second("is trained by one thread at a time")

    def fit(
        self,
        x: Any,
        y: ArrayLike | None = None,
        *,
        epochs: int | None = None,
        batch_size: int | None = None,
        validation: tuple[ArrayLike, ArrayLike] | None = None,
        sample_weight: ArrayLike | None = None,
        shuffle: bool | None = None,
        augment: Iterable[Augment] = (),
        steps_per_epoch: int | None = None,
        callbacks: Iterable[Callback] = (),
        progress: bool = False,
    ) -> History:
        """Train for `epochs` more epochs and return the history of all so far.

        Ctrl-C ends the training after the current step and returns; the model is usable, and `fit` without `epochs`
        finishes the run. A second Ctrl-C raises at once.

        Arrays may lie in a file, as `numpy.load(path, mmap_mode="r")` gives them: only the rows of a batch are read,
        and turned into floats. That batch, one that is augmented, and those that code of yours gives, are made in a
        thread of their own while the network trains on the batch before.

        Parameters
        ----------
        x : array_like, shape (n, ...), or batches
            Raw data if the model has a preprocessing, which is fitted on it unless it is fitted already. Without `y`,
            what gives minibatches (x, y) or (x, y, weights): something that is iterated over in every epoch, such as a
            list; a function that is called with the number of the epoch, from 0, and returns it; or an iterator, for
            one epoch or with `steps_per_epoch`.
        y : array_like, shape (n,) or (n, outputs)
        epochs : int, optional
            Without it, finishes the run that was interrupted, or that a checkpoint was taken from: bit for bit, if the
            data are arrays, or batches that come again as they did. An iterator goes on where it stands, which is one
            batch further than the training if that was interrupted.
        batch_size : int, optional
            32, or that of the run to be finished. The last batch of an epoch may be smaller; a single example left over
            is skipped if the model has batch norm, which needs two.
        validation : (x, y), optional
            Evaluated after every epoch.
        sample_weight : array_like, shape (n,), optional
        shuffle : bool, optional
            Whether every epoch sees the examples in a new order: True, or as in the run to be finished.
        augment : iterable of Augment
            Changes made to training inputs at random, in this order: see `pynn.augment`.
        steps_per_epoch : int, optional
            How many batches make an epoch, where they are given; by default, as many as there are.
        callbacks : iterable of Callback
        progress : bool
            Show a progress bar (a line per epoch where the output is not a terminal).

        Raises
        ------
        ValueError
            For data that does not fit, is empty or holds a NaN (the row is named); nothing has changed then, unless
            they came in batches.
        NonFiniteError
            If the loss becomes NaN or infinite; the callbacks see the step first.
        """
        self._refuse_second("runs one fit at a time")
        thread = threading.get_ident()
        try:
            self._begin(thread)
            changes = as_changes(augment)
            run = Run.planned(
                self._run, self.epoch, self._batch, x, y, epochs, batch_size, shuffle, steps_per_epoch, changes
            )
            source: Source
            if y is None:
                refuse_options(x, batch_size=batch_size, sample_weight=sample_weight, shuffle=shuffle)
                examples = None
                source = GivenBatches(x, self.model, self.loss, run.steps, run.until - self.epoch, changes)
            else:
                examples = prepare_later(self.model, self.loss, x, y, sample_weight, fit_preprocessing=True)
                check_fit(self.model, self.loss, examples)
                source = self._in_batches(examples, run, changes)
            held_out = None
            if validation is not None:
                if not (isinstance(validation, tuple | list) and len(validation) == 2):
                    raise ValueError("validation must be a pair (x, y)")
                held_out = prepare_later(self.model, self.loss, *validation, name="validation ")
                check_fit(self.model, self.loss, held_out, "validation ")
            listeners = CallbackList(callbacks, progress=progress)
            if epochs is not None:
                self._batch, self._sums = 0, EpochSums()
            self._run, self._stop, self.history.interrupted = run, False, False
            self.examples, self.held_out = examples, held_out
            with InterruptGuard() as guard, listeners.training(self):
                while self.epoch < run.until and not (self._stop or guard.requested):
                    self._train_epoch(source, held_out, listeners, guard)
                self.history.interrupted = guard.requested and self.epoch < run.until
        finally:
            if self._running == thread:
                del self._running
                self.examples = self.held_out = None
        return self.history

    @property
    def prediction(self) -> np.ndarray:
        """What the network gave for the last minibatch; overwritten by the next step."""
        return self._step.passes.prediction

    @property
    def minibatch(self) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets of the last step, as the network took them."""
        return self._step.passes.inputs[:2]

    @property
    def target_epoch(self) -> int:
        """The epoch at which the current or last `fit` ends."""
        return 0 if self._run is None else self._run.until

    @property
    def batches_done(self) -> int:
        """How many minibatches of the running epoch are done."""
        return self._batch

    def _train_epoch(
        self, source: Source, held_out: Examples | LaterExamples | None, listeners: CallbackList, guard: InterruptGuard
    ) -> None:
        began = time.perf_counter()
        self.batches_per_epoch = len(source)
        listeners.on_epoch_begin(self)
        gate = self.model.flat.gate
        with self._feed(source) as batches:
            for x, y, weights in batches:
                loss = gate.change(self._step.take, x, y, weights, self._count_batch(x, y))
                listeners.on_step_end(self)
                if not math.isfinite(loss):
                    raise self._non_finite(x, y)
                if guard.requested or self._stop:
                    self._stop = True
                    return
        row = self._sums.row()
        if held_out is not None:
            row |= {f"val_{name}": value for name, value in self._evaluate(held_out).items()}
        row |= {"lr": self.lr, "seconds": time.perf_counter() - began}
        gate.change(self._end_epoch, row)
        listeners.on_epoch_end(self)

    def _end_epoch(self, row: dict[str, float]) -> None:
        self.epoch += 1
        self._batch = 0
        self._sums = EpochSums()
        self.history.append(self.epoch, row)

    def _count_batch(self, x: np.ndarray, y: np.ndarray) -> Callable[[float], None]:
        """Return what notes, at the end of a step, that a batch is done; doing it twice makes no difference."""
        batch, sums = self._batch, self._sums

        def count(loss: float) -> None:
            self._sums = sums.plus(loss, len(x), self.loss.count_correct(self.prediction, y))
            self._batch = batch + 1

        return count

    def _in_batches(self, examples: Examples | LaterExamples, run: Run, augment: Sequence[Augment]) -> ArrayBatches:
        drop_single = any(isinstance(layer, BatchNorm) for layer in self.model.all_layers())
        return ArrayBatches(examples, run.batch_size, shuffle=run.shuffle, drop_single=drop_single, augment=augment)

    def _feed(self, source: Source) -> AbstractContextManager[Iterable[Batch]]:
        """Return what is left of the running epoch's batches."""
        make = partial(source.batches, self.seed, self.epoch)
        return Ahead(make, self._batch) if source.slow else nullcontext(make(self._batch))

    def stop(self) -> None:
        """End the running `fit` after the current step or epoch; for callbacks."""
        self._stop = True

    def evaluate(
        self, x: ArrayLike, y: ArrayLike, *, batch_size: int | None = None, sample_weight: ArrayLike | None = None
    ) -> dict[str, float]:
        """Return the loss over all examples, without regularisation, and for classification the accuracy.

        The batch size, as in `Sequential.predict`, makes no difference to the result.
        """
        return self._evaluate(prepare_later(self.model, self.loss, x, y, sample_weight), batch_size)

    def _evaluate(self, examples: Examples | LaterExamples, batch_size: int | None = None) -> dict[str, float]:
        prediction = self.model.infer(examples.x, batch_size)
        result = {"loss": self.loss.forward(prediction, examples.y, examples.weights)[0]}
        counted = self.loss.count_correct(prediction, examples.y)
        if counted is not None:
            result["accuracy"] = counted[0] / counted[1] if counted[1] else math.nan
        return result

    def _non_finite(self, x: ArrayLike, y: ArrayLike) -> NonFiniteError:
        elsewhere = f"the data is finite, so the weights or the rate are at fault (lr={self.optimizer.lr:g})"
        cause = non_finite_row(x, y) or elsewhere
        return NonFiniteError(f"the loss is {self.last_loss} at step {self.steps + 1}, epoch {self.epoch + 1}: {cause}")

    def save(self, path: str | Path) -> None:
        """Write a checkpoint: model, optimiser, schedule, random state, epoch, step and history.

        The file is replaced as a whole or not at all. It holds no data set, and a loss given as a function must be
        given again to `resume`. While another thread trains, the state between two of its steps is saved.

        Raises
        ------
        RuntimeError
            In the handler of a signal that has interrupted a step: call `stop` there, and save afterwards.
        """
        from .persistence import packed_checkpoint

        with self.model.flat.gate.between_steps():
            content = packed_checkpoint(self)
        write_atomically(path, content)

    @classmethod
    def resume(
        cls, path: str | Path, *, loss: Loss | Callable[..., Any] | None = None, custom: Iterable[type] = ()
    ) -> Trainer:
        """Return the trainer that `save` wrote.

        ``fit(x, y)``, with the same `augment` if it had any, then finishes its run, bit for bit as if it had never been
        interrupted. What an iterator gives next is its own affair: it must be moved to where the run stopped.

        Parameters
        ----------
        path : path-like
        loss : Loss or callable, optional
            Needed if it was a plain function; otherwise the saved one is used.
        custom : iterable of classes
            Your own layers, losses, optimisers, schedules or regularisers that the file names.
        """
        from .persistence import load_checkpoint

        return load_checkpoint(cls, path, loss=loss, custom=custom)

    def progress_state(self) -> dict[str, Any]:
        """Return everything but arrays that a checkpoint must hold of this trainer, as JSON can hold it."""
        return {
            "epoch": self.epoch,
            "steps": self.steps,
            "batch": self._batch,
            "sums": vars(self._sums),
            "run": None if self._run is None else vars(self._run),
            "seed": self.seed,
            "random": {"seed": self._random.seed, "offset": self._random.offset},
            "optimizer_steps": self.optimizer.steps,
            "clip_norm": self.clip_norm,
            "clip_value": self.clip_value,
            "lr": self.lr,
            "last_loss": self.last_loss,
            "history": {"epoch": self.history.epoch, "columns": self.history.history},
        }

    def load_progress_state(self, state: dict[str, Any]) -> None:
        """Take up what `progress_state` returned."""
        self.epoch, self.steps, self._batch = state["epoch"], state["steps"], state["batch"]
        self._sums = EpochSums(**state["sums"])
        self._run = None if state["run"] is None else Run(**state["run"])
        self.seed = state["seed"]
        self._random.move(state["random"]["seed"], state["random"]["offset"])
        self.optimizer.steps = state["optimizer_steps"]
        self.clip_norm, self.clip_value = state["clip_norm"], state["clip_value"]
        self.lr, self.last_loss = state["lr"], state["last_loss"]
        self.history.epoch, self.history.history = state["history"]["epoch"], state["history"]["columns"]
