"""One optimiser step: forward, backward, clip and update, as one transaction."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from .. import ops
from ..backends.precision import using_matmul_precision
from ..nn.loss import count_correct
from ..nn.state import arrays_in_place
from ..optim.regularizers import Regularizer
from ..optim.schedules import checked_rate
from ..utils.interrupt import Uninterrupted
from ..utils.validation import ready
from .passes import RecordedPasses

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ..nn.observer import Observer
    from ..nn.random import Stream
    from ..nn.share import Share
    from ..optim.schedules import Schedule
    from .exchange import Exchange
    from .progress import Progress
    from .settings import Settings
    from .state import TrainingState


#: Counts a step that was taken; the argument is its loss.
Count = Callable[[float], None]


class NonFiniteError(FloatingPointError):
    """The loss became NaN or infinite; the step left the parameters unchanged.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> model = pynn.Sequential(pynn.Linear(2, 3))
    >>> trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    >>> try:
    ...     trainer.step(np.full((4, 2), np.nan, np.float32), np.zeros(4, int))
    ... except pynn.NonFiniteError as error:
    ...     print(type(error).__name__)
    NonFiniteError
    """


class Stopped(Exception):  # noqa: N818 - no error
    """A rank has stopped training: the step is not taken on any."""


class TrainingStep:
    """Takes a trainer's steps as transactions, which read its settings and change its model, optimiser and progress.

    Before the optimiser's update, a step changes only gradients, running statistics and the random stream. If an
    error, a lack of memory or Ctrl-C ends the step there, it restores the running statistics and the random stream. The
    update itself is atomic (see `Optimizer.step`). After the update the step counts as taken, whatever follows. A step
    is settled once it is either finished or rolled back.

    Parameters
    ----------
    trainer : TrainingState
        Its observer is told of the steps, and reads it.
    settings, progress : Settings, Progress
        Those of the trainer.
    random : Stream
        The random numbers of dropout.
    exchange : Exchange or None
        What the ranks send each other in a step; None if this process trains alone.
    """

    def __init__(
        self,
        trainer: TrainingState,
        settings: Settings,
        progress: Progress,
        random: Stream,
        exchange: Exchange | None = None,
    ) -> None:
        self._trainer, self._settings, self.progress = trainer, settings, progress
        self._flat = settings.model.flat
        self.exchange = exchange
        self.passes = RecordedPasses(settings.model, random, self._restore, exchange)
        self._random = random
        self._version = -1
        # The arrays that a forward pass changes, and copies of them from before the step.
        self._kept: list[tuple[np.ndarray, np.ndarray]] = []
        #: What an averaging averages: the parameters and running statistics.
        self._live: list[np.ndarray] = []
        #: State of an unsettled step: the optimiser's update count at the start of the step and, once the update has
        #: begun, the arguments for `_finish`.
        self._begun: tuple[int, tuple[int, float, float, Count | None] | None] | None = None

    def take(
        self,
        x: np.ndarray,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        count: Count | None = None,
        share: Share | None = None,
    ) -> float:
        """Take one step on a minibatch and return its loss; if the loss is not finite, roll the step back.

        Once the step is taken, call `count` with the loss; after an interrupt, perhaps twice. `share` says which rows
        of the minibatch these are, if other ranks compute the rest; the loss is that of the whole minibatch.
        """
        target, weights = self._prepared(x, y, sample_weight)
        gate = self._flat.gate
        thread = gate.enter()
        try:
            gate.stepping.add(thread)
            with gate.lock:
                if self._settings.matmul_precision is None:
                    loss = self._take(x, target, weights, count, share)
                else:
                    with using_matmul_precision(self._settings.matmul_precision):
                        loss = self._take(x, target, weights, count, share)
        finally:
            gate.stepping.discard(thread)
        if gate.reading:
            gate.let_through()
        return loss

    def _take(
        self, x: np.ndarray, target: np.ndarray, weights: np.ndarray | None, count: Count | None, share: Share | None
    ) -> float:
        settings, progress, observer = self._settings, self.progress, self._trainer.observer
        observer = observer if observer is None or self._wanted(observer) else None
        optimizer, steps = settings.optimizer, progress.steps
        updates, rate = optimizer.counter.item(), optimizer.lr
        loss, scale, momentum = math.nan, 1.0, None  # a momentum of None is the optimiser's own
        self._begin(updates)
        try:
            if settings.schedule is not None:
                rate, momentum = self._scheduled(settings.schedule, rate)
            if share is None:
                loss = data_loss = self.passes.forward(settings.loss, x, target, weights, observer)
                if math.isfinite(loss):
                    self.passes.backward()
            else:
                own = self.passes.forward_share(share, settings.loss, x, target, weights, observer)
                loss = data_loss = self._exchanged(own, share, count is not None)
            if math.isfinite(loss):
                for regularizer in settings.regularizers:
                    loss += regularizer.add_gradient(self._flat)
            if math.isfinite(loss):
                if settings.clip_norm is not None or settings.clip_value is not None:
                    scale = self._clip(rate)
                stats = None if observer is None else observer.updates
                self._begun = updates, (steps, loss, rate, count)
                update = self._update_within_limits if settings.regularizers else self._update
                update(rate, scale, stats, momentum)
                self._finish(steps, loss, rate, count)
        except BaseException as error:
            self.settle()
            if isinstance(error, NonFiniteError):
                self._failed(x, target, loss, rate, math.nan)
            raise
        if progress.steps == steps:
            self._undo()
            self._failed(x, target, loss, rate, data_loss)
        elif observer is not None:
            self._tell(observer, share, x, target, data_loss, scale)
        return loss

    def _tell(
        self, observer: Observer, share: Share | None, x: np.ndarray, target: np.ndarray, loss: float, scale: float
    ) -> None:
        """Tell the observer of a step that was taken."""
        if share is not None:
            observer.merge(share)
        observer.end(self._trainer, x, target, loss, scale)

    def _begin(self, updates: int) -> None:
        """Copy the arrays that a forward pass changes, and mark the step as unsettled."""
        if self._begun is not None:
            self.settle()
        self._keep()
        averaging = self._settings.averaging
        if averaging is not None and averaging.shown:
            self._show(False)
            self._keep()
        self._begun = updates, None

    def _scheduled(self, schedule: Schedule, rate: float) -> tuple[float, float | None]:
        """Return the step's learning rate and momentum."""
        epoch, steps = self.progress.epoch, self.progress.steps
        return checked_rate(schedule, rate, epoch, steps), schedule.momentum(epoch, steps)

    def _wanted(self, observer: Observer) -> bool:
        """Return whether the observer wants the next step; with several ranks, whether that of rank 0 does."""
        wanted = observer.wants(self._trainer)
        return wanted if self.exchange is None else self.exchange.ranks.broadcast(wanted)

    def _exchanged(self, loss: float, share: Share, fits: bool) -> float:
        """Run the backward pass and return the loss of the whole minibatch, given that of this rank's rows.

        A loss that is not finite is known only when all ranks have told theirs, so the backward pass always runs.
        """
        exchange, settings = self.exchange, self._settings
        assert exchange is not None
        _, target, weights = self.passes.inputs
        counted = None
        if fits and share.counts[exchange.ranks.rank]:  # a step by hand counts nothing
            counted = count_correct(settings.loss, self.passes.prediction, target, weights)
        wait = exchange.tell(loss, counted, stops=fits and self.progress.stopping)
        self.passes.backward()
        loss = wait()
        if exchange.figures[3]:
            raise Stopped
        if settings.regularizers or settings.clip_norm is not None or settings.clip_value is not None:
            exchange.complete()
        return loss

    def _failed(self, x: np.ndarray, target: np.ndarray, loss: float, rate: float, shown: float) -> None:
        """Record a step that was not taken because a value was not finite, and report it to the observer."""
        self.progress.last_loss, self.progress.lr = loss, rate
        if self._trainer.observer is not None:
            self._trainer.observer.failed(self._trainer, x, target, shown)

    def _prepared(
        self, x: np.ndarray, y: ArrayLike, sample_weight: ArrayLike | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return targets and weights in the loss's form, or raise ValueError if they do not fit `x`."""
        if self._settings.model.flat is not self._flat:
            raise RuntimeError("the model is now part of another model; train that one, with a new Trainer")
        if len(x) == 0:
            raise ValueError(f"the batch is empty: x has shape {x.shape}")
        target = self._settings.loss.as_target(y, x.dtype)
        if len(target) != len(x):
            raise ValueError(f"x has {len(x)} rows and y has {len(target)}; expected the same number")
        return target, None if sample_weight is None else ready(sample_weight, x.dtype)

    def _update(self, rate: float, scale: float, stats: np.ndarray | None, momentum: float | None) -> None:
        if self.exchange is None:
            self._settings.optimizer.step(rate, scale, stats, momentum)
        else:
            self.exchange.update(self._settings.optimizer, rate, scale, stats, momentum)

    def _update_within_limits(
        self, rate: float, scale: float, stats: np.ndarray | None, momentum: float | None
    ) -> None:
        """Update the parameters and apply the constraints, atomically."""
        optimizer, regularizers = self._settings.optimizer, self._settings.regularizers
        limits = [item for item in regularizers if type(item).constrain is not Regularizer.constrain]
        if not limits:
            self._update(rate, scale, stats, momentum)
            return
        with Uninterrupted():
            kept = optimizer.keep()
            try:
                self._update(rate, scale, stats, momentum)
                for regularizer in limits:
                    regularizer.constrain(self._flat)
            except BaseException:
                optimizer.take_back(kept)
                raise

    def _finish(self, steps: int, loss: float, rate: float, count: Count | None) -> None:
        """Count the step as taken; after an interrupt this may run twice."""
        progress, averaging = self.progress, self._settings.averaging
        progress.last_loss, progress.lr, progress.steps = loss, rate, steps + 1
        if averaging is not None and averaging.by_step:
            averaging.take(self._live, steps + 1)
        if count is not None:
            count(loss)
        self._begun = None

    def _keep(self) -> None:
        """Copy the arrays that a forward pass changes."""
        if self._version != self._flat.version:  # the running statistics may have moved to other arrays
            self._find_moved()
        for array, kept in self._kept:
            kept[...] = array

    def _find_moved(self) -> None:
        """Find the arrays that a forward pass changes and allocate their copies."""
        version = self._flat.version
        self._live = arrays_in_place(self._settings.model, self._flat)
        self._kept = [(array, np.empty_like(array)) for array in (*self._live[1:], self._random.state)]
        self._version = version

    def counting(self, y: np.ndarray, weights: np.ndarray | None, total: float) -> Count:
        """Return the function that counts a batch of an epoch at the end of its step; it is idempotent.

        `y`, `weights` and `total` are those of the `Batch`.
        """
        progress, batch, sums = self.progress, self.progress.batch, self.progress.sums
        weight = 1.0 if self._settings.loss.reduction == "sum" else total

        def count(loss: float) -> None:
            progress.sums = sums.plus(loss, weight, self._counted(y, weights))
            progress.batch = batch + 1

        return count

    def _counted(self, y: np.ndarray, weights: np.ndarray | None) -> tuple[float, float] | None:
        """Return the correct predictions of the last minibatch and all that count."""
        if self.exchange is None:
            return count_correct(self._settings.loss, self.passes.prediction, y, weights)
        return float(self.exchange.figures[1]), float(self.exchange.figures[2])

    def show_average(self, epoch: int) -> None:
        """Let the model hold the average of its weights after an epoch, if the trainer has one."""
        averaging = self._settings.averaging
        if averaging is None:
            return
        with self._flat.gate.between_steps():
            self._keep()
            if not averaging.by_step:
                averaging.take(self._live, epoch)
            self._show(True)

    def _show(self, average: bool) -> None:
        averaging = self._settings.averaging
        if averaging is not None:
            with Uninterrupted():
                averaging.show(self._live, average)

    def _undo(self) -> None:
        """Roll back the changes of the forward pass."""
        self._restore()
        self._begun = None

    def _restore(self) -> None:
        for array, kept in self._kept:
            np.copyto(array, kept)

    def settle(self) -> None:
        """Roll back an unsettled step, or finish it if its update was made; do nothing if no step is unsettled.

        A second interrupt right after the first may leave a step unsettled; whoever reads the state next settles it.
        """
        if self._begun is not None:
            updates, taken = self._begun
            if taken is None or self._settings.optimizer.counter[0] == updates:
                self._undo()
            else:
                self._finish(*taken)
        averaging = self._settings.averaging
        if averaging is not None and averaging.shown:
            self._keep()
            with Uninterrupted():
                averaging.adopt(self._live)

    def _clip(self, rate: float) -> float:
        """Clip the gradient's elements if `clip_value` is set, and return the scale factor for the optimiser."""
        settings, grads = self._settings, self._flat.grads
        if settings.clip_value is not None:
            ops.clip_values(grads, settings.clip_value)
        if settings.clip_norm is None:
            return 1.0
        squares = 0.0
        for start, stop in settings.optimizer.bounds:
            part = ops.gradient_norm(grads[start:stop])
            squares += part * part
        norm = math.sqrt(squares)
        if not math.isfinite(norm):
            raise NonFiniteError(f"the norm of the gradient is {norm} at step {self.progress.steps + 1} (lr={rate:g})")
        return settings.clip_norm / norm if norm > settings.clip_norm else 1.0
