"""The training loop: one step, many epochs, evaluation, and continuing later."""

from __future__ import annotations

import math
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import example_weights, numeric
from .augment import as_changes
from .callbacks import Callback, CallbackList
from .copying import put_together, taken_apart
from .examples import Examples, LaterExamples, non_finite_row, prepare_later, unfitted_after_error
from .feeding import GivenBatches, Source, opened, refuse_options
from .files import write_atomically
from .fitting import array_batches, held_out_examples, prepared_examples, warn_of_idle_epochs
from .history import EpochSums, History
from .interrupt import InterruptGuard, Uninterrupted
from .losses import Loss, correct
from .model import Sequential
from .optim import Optimizer
from .random import Stream
from .regularizers import Regularizer
from .runs import Run
from .schedules import Schedule
from .settings import Settings, TrainingWarning, read_only
from .step import NonFiniteError, TrainingStep

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .augment import Augment
    from .babysit.watch import Watch


class Trainer(Settings):
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
    loss, optimizer, schedule, regularizers, clip_norm, clip_value
        May be assigned between steps. Another optimiser starts without a memory of past gradients.
    epoch, steps : int
        Finished epochs and steps.
    lr : float
        The rate of the last step; to set the rate, assign ``trainer.optimizer.lr``.
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
        super().__init__(model, loss, optimizer, schedule, regularizers, clip_norm, clip_value, seed)
        self.epoch = 0
        self.steps = 0
        self._lr = optimizer.lr
        self.last_loss = math.nan
        self._history = History()
        self.batches_per_epoch = 0
        self.examples: Examples | LaterExamples | None = None
        self.held_out: Examples | LaterExamples | None = None
        #: What looks at the steps, if anything does; a `pynn.Monitor` puts it here.
        self.watch: Watch | None = None
        self._random = Stream(int(np.random.SeedSequence(self.seed).generate_state(1, np.uint64)[0]))
        self._step = TrainingStep(self, self._random)
        #: Under "thread", the identity of the thread that trains, while one does.
        self._turn: dict[str, int] = {}
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
            Finite, at least 0. An example of weight 0 takes no part in the loss. Where none takes part, loss and
            gradient are 0, and the step is taken with them, as it is by ``reduction="sum"``: momentum, weight decay,
            regularizers, batch norm and schedule go on as in any other.

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
            batch = self.model.as_input(x)
            weights = None if sample_weight is None else example_weights(sample_weight, len(batch), batch.dtype)
            loss = self._step.take(batch, y, weights)
        finally:
            if self._turn and self._turn["thread"] == thread:
                del self._turn["thread"]
        if not math.isfinite(loss):
            raise self._non_finite(x, y)
        return loss

    # A signal's handler may raise as any call returns. So the turn is taken within the `try` block whose end gives it
    # back, by one call (a dictionary's method: of two threads, one succeeds), and given back without any call.

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
        progress: bool = False,
    ) -> History:
        """Train for `epochs` more epochs and return the history of all so far.

        Ctrl-C ends the training after the current step and returns; the model is usable, and `fit` without `epochs`
        finishes the run. A second Ctrl-C raises at once.

        Arrays may lie in a file, as `numpy.load(path, mmap_mode="r")` gives them: only the rows of a batch are read,
        and turned into floats. That batch is made in a thread of its own while the network trains on the batch before,
        and so is one that is augmented. Code of yours that gives batches runs in the thread that called `fit`; what it
        gives is turned into floats, and augmented, in the other. See `prefetch`.

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
        validation : (x, y) or (x, y, weights), optional
            Evaluated after every epoch.
        sample_weight : array_like, shape (n,), optional
            Finite, at least 0; the loss is the mean by these weights, and so is the accuracy. A minibatch that has no
            weight at all, or whose labels are all ignored, has a loss and a gradient of 0: see `step`.
        shuffle : bool, optional
            Whether every epoch sees the examples in a new order: True, or as in the run to be finished.
        augment : iterable of Augment
            Changes made to training inputs at random, in this order: see `pynn.augment`.
        steps_per_epoch : int, optional
            How many batches make an epoch, where they are given; by default, as many as there are.
        prefetch : bool, optional
            False: no thread makes batches. True: one makes all of them, and runs code of yours that gives them, which
            gains time where that code waits, and must not need the calling thread, as an SQLite connection does.
        callbacks : iterable of Callback
        progress : bool
            Show a progress bar (a line per epoch where the output is not a terminal).

        Raises
        ------
        ValueError
            For data that does not fit, is empty, holds a NaN or has a masked or missing value (the row is named);
            nothing has changed then, unless they came in batches.
        TypeError
            For what is no array of numbers: sparse matrices, text, dates.
        NonFiniteError
            If the loss becomes NaN or infinite; the callbacks see the step first.

        Warns
        -----
        TrainingWarning
            If a schedule that has ended leaves a rate of 0, or no example of an epoch has a weight.
        """
        if self._turn:
            raise self._busy()
        thread = threading.get_ident()
        try:
            if self._turn.setdefault("thread", thread) != thread:
                raise self._busy()
            self._step.settle()
            changes = as_changes(augment)
            x = x if y is None else numeric(x, "x")
            standing = self._run, self.epoch, self._batch, len(self.history)
            run = Run.planned(standing, x, y, epochs, batch_size, shuffle, steps_per_epoch, changes)
            with unfitted_after_error(self.model) as settled:
                source: Source
                if y is None:
                    refuse_options(x, batch_size=batch_size, sample_weight=sample_weight, shuffle=shuffle)
                    examples = None
                    source = GivenBatches(x, self.model, self.loss, run.steps, run.until - self.epoch, changes)
                else:
                    examples = prepared_examples(self.model, self.loss, x, y, sample_weight)
                    source = array_batches(self.model, self.loss, examples, run, changes)
                held_out = held_out_examples(self.model, self.loss, validation)
                listeners = CallbackList(callbacks, progress=progress)
                warn_of_idle_epochs(self, run, len(source))
                with InterruptGuard() as guard:
                    self._take_up(run, examples, held_out, listeners, afresh=epochs is not None)
                    settled()
                    try:
                        self._train(run, source, prefetch, listeners, guard)
                    finally:
                        listeners.on_train_end(self)
        finally:
            if self._turn and self._turn["thread"] == thread:
                del self._turn["thread"]
                self.examples = self.held_out = None
        return self.history

    def _take_up(
        self,
        run: Run,
        examples: Examples | LaterExamples | None,
        held_out: Examples | LaterExamples | None,
        listeners: CallbackList,
        *,
        afresh: bool,
    ) -> None:
        """Take up a run; if a callback refuses it, an interrupted one can still be finished."""
        before = self._run, self._batch, self._sums
        self._run, self._stop, self.history.interrupted = run, False, False
        if afresh:
            self._batch, self._sums = 0, EpochSums()
        self.examples, self.held_out = examples, held_out
        try:
            listeners.on_train_begin(self)
        except BaseException:
            self._run, self._batch, self._sums = before
            raise

    def _train(
        self, run: Run, source: Source, prefetch: bool | None, listeners: CallbackList, guard: InterruptGuard
    ) -> None:
        try:
            while self.epoch < run.until and not (self._stop or guard.requested):
                self._train_epoch(source, prefetch, listeners, guard)
        finally:
            self.history.interrupted = guard.requested and self.epoch < run.until

    lr = read_only(
        "lr", "it tells the rate of the last step; to set the rate, assign trainer.optimizer.lr", "See above."
    )
    history = read_only("history", "it is what fit records; a new Trainer has a new one", "See above.")

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
    def history_start(self) -> int:
        """How many rows the history had when the current or last run began; one that is finished later is one run."""
        return 0 if self._run is None else self._run.since

    @property
    def columns(self) -> list[str]:
        """What the running `fit` adds to the history after each epoch."""
        figures = ["loss"]
        if type(self.loss).count_correct is not Loss.count_correct:
            figures.append("accuracy")
        return [*figures, *(f"val_{name}" for name in figures if self.held_out is not None), "lr", "seconds"]

    @property
    def batches_done(self) -> int:
        """How many minibatches of the running epoch are done."""
        return self._batch

    def _train_epoch(
        self, source: Source, prefetch: bool | None, listeners: CallbackList, guard: InterruptGuard
    ) -> None:
        began = time.perf_counter()
        self.batches_per_epoch = len(source)
        listeners.on_epoch_begin(self)
        loss = math.nan
        with opened(source, self.seed, self.epoch, self._batch, prefetch) as batches:
            for x, y, weights, total in batches:
                loss = self._step.take(x, y, weights, self._count_batch(y, weights, total))
                listeners.on_step_end(self)
                if not math.isfinite(loss):
                    raise self._non_finite(x, y)
                if guard.requested or self._stop:
                    self._stop = True
                    return
        if not self._sums.weight:
            warnings.warn(
                f"no example of epoch {self.epoch + 1} has a weight: its loss is NaN, and nothing was learnt from it",
                TrainingWarning,
                stacklevel=4,
            )
        row = self._sums.row(self.loss.reduction) | self.validate()
        row |= {"lr": self.lr, "seconds": time.perf_counter() - began}
        self._end_epoch(row)
        listeners.on_epoch_end(self)

    def _end_epoch(self, row: dict[str, float]) -> None:
        gate = self.model.flat.gate
        with Uninterrupted(), gate.lock:
            gate.thread = threading.get_ident()
            try:
                self.epoch += 1
                self._batch = 0
                self._sums = EpochSums()
                self.history.append(self.epoch, row)
            finally:
                gate.thread = None

    def _count_batch(self, y: np.ndarray, weights: np.ndarray | None, total: float) -> Callable[[float], None]:
        """Return what notes, at the end of a step, that a batch is done; doing it twice makes no difference."""
        batch, sums, loss_function = self._batch, self._sums, self.loss
        weight = 1.0 if loss_function.reduction == "sum" else total

        def count(loss: float) -> None:
            self._sums = sums.plus(loss, weight, correct(loss_function, self.prediction, y, weights))
            self._batch = batch + 1

        return count

    def stop(self) -> None:
        """End the running `fit` after the current step or epoch; for callbacks."""
        self._stop = True

    def evaluate(
        self, x: ArrayLike, y: ArrayLike, *, batch_size: int | None = None, sample_weight: ArrayLike | None = None
    ) -> dict[str, float]:
        """Return the loss over all examples, without regularisation, and for classification the accuracy.

        Both are means by `sample_weight`, if it is given; the accuracy leaves out class weights, and labels that are
        ignored. The batch size, as in `Sequential.predict`, makes no difference to the result.

        Raises
        ------
        ValueError, TypeError
            As `fit` does; also where no example has a weight.
        """
        return self._evaluate(prepare_later(self.model, self.loss, x, y, sample_weight), batch_size)

    def validate(self) -> dict[str, float]:
        """Return what the running `fit` records of its validation data, for callbacks; nothing if there are none."""
        if self.held_out is None:
            return {}
        return {f"val_{name}": value for name, value in self._evaluate(self.held_out).items()}

    def _evaluate(self, examples: Examples | LaterExamples, batch_size: int | None = None) -> dict[str, float]:
        prediction = self.model.infer(examples.x, batch_size)
        result = {"loss": self.loss.forward(prediction, examples.y, examples.weights)[0]}
        counted = correct(self.loss, prediction, examples.y, examples.weights)
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
            self._step.settle()
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

    def __getstate__(self) -> dict[str, Any]:
        return taken_apart(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        Trainer.__init__(self, *state["parts"], **state["options"])
        put_together(self, state)

    def __copy__(self) -> Trainer:
        raise TypeError("copy.copy would make a trainer that trains the same model; use copy.deepcopy, or Trainer.save")

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
        sums = dict(state["sums"])
        if "examples" in sums:  # a checkpoint of a version that gave each example the same weight
            sums["weight"] = sums.pop("examples")
        self._sums = EpochSums(**sums)
        self._run = None if state["run"] is None else Run(**state["run"])
        self._seed = state["seed"]
        self._random.move(state["random"]["seed"], state["random"]["offset"])
        self.optimizer.steps = state["optimizer_steps"]
        self.clip_norm, self.clip_value = state["clip_norm"], state["clip_value"]
        self._lr, self.last_loss = state["lr"], state["last_loss"]
        self.history.epoch, self.history.history = state["history"]["epoch"], state["history"]["columns"]
