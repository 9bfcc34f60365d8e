"""Minibatches: of arrays, of files that are mapped into memory, and of whatever else gives batches."""

from __future__ import annotations

import contextvars
import inspect
import itertools
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from .examples import check_fit, prepare

if TYPE_CHECKING:
    from .augment import Augment
    from .examples import Examples, LaterExamples
    from .losses import Loss
    from .model import Sequential

#: Sets the random numbers of augmentation apart from those that order the examples.
AUGMENTING = 1


class Batch(NamedTuple):
    """Inputs and targets as the network takes them, the weight of each example or None, and what they add up to."""

    x: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None
    total: float


#: Makes a batch; may run in a thread.
Job = Callable[[], Batch]


class Source:
    """Where the minibatches of a run come from.

    A batch is made in two parts: `jobs` yields what is to be done, which takes no time but that of the user's own code;
    a job does it.

    Attributes
    ----------
    examples : int
        How many examples an epoch has; 0 where that is not known.
    slow : bool
        Whether a batch is better made while the network trains on the one before.
    """

    examples = 0
    slow = True

    def __init__(self, augment: Sequence[Augment]) -> None:
        self._augment = augment

    def __len__(self) -> int:
        """Return how many batches an epoch has; 0 while that is not known."""
        raise NotImplementedError

    def jobs(self, seed: int, epoch: int, start: int) -> Generator[Job, None, None]:
        """Yield what makes the batches of an epoch, from number `start` on, one after the other."""
        raise NotImplementedError

    def batches(self, seed: int, epoch: int, start: int) -> Iterator[Batch]:
        """Yield the batches of an epoch, from number `start` on, in memory that each uses again; unless slow."""
        raise NotImplementedError

    def _augmented(self, x: np.ndarray, seed: int, epoch: int, index: int) -> np.ndarray:
        """Return the inputs of a batch augmented, by random numbers that depend on seed, epoch and batch alone."""
        if not self._augment:
            return x
        rng = np.random.default_rng([seed, epoch, index, AUGMENTING])
        expected = (x.shape, x.dtype)
        for change in self._augment:
            x = change(x, rng)
            if not isinstance(x, np.ndarray) or (x.shape, x.dtype) != expected:
                given = f"{x.dtype} of shape {x.shape}" if isinstance(x, np.ndarray) else repr(x)
                raise ValueError(f"{change!r} made {given} of a batch; expected {expected[1]} of shape {expected[0]}")
        return np.ascontiguousarray(x)


class ArrayBatches(Source):
    """The minibatches of examples in memory or in a mapped file: a function of seed and epoch alone.

    Parameters
    ----------
    examples : Examples or LaterExamples
    batch_size : int
    shuffle : bool
    row_weights : ndarray or None
        How much each example counts in the mean of the loss; None if all count alike.
    drop_single : bool
        Leave out a last batch of one example.
    augment : sequence of Augment
    """

    def __init__(
        self,
        examples: Examples | LaterExamples,
        batch_size: int,
        row_weights: np.ndarray | None,
        *,
        shuffle: bool,
        drop_single: bool,
        augment: Sequence[Augment] = (),
    ) -> None:
        super().__init__(augment)
        self._data = examples
        self._batch_size, self._row_weights, self._shuffle = batch_size, row_weights, shuffle
        self.examples = self._count = len(examples.x)
        if drop_single and self._count % batch_size == 1 and self._count > 1 and batch_size > 1:
            self._count -= 1
        self.slow = bool(augment) or not isinstance(examples.x, np.ndarray)

    def __len__(self) -> int:
        return -(-self._count // self._batch_size)

    def jobs(self, seed: int, epoch: int, start: int) -> Generator[Job, None, None]:
        for index, rows in enumerate(self._rows(seed, epoch, start), start):
            yield partial(self._made, rows, seed, epoch, index)

    def _rows(self, seed: int, epoch: int, start: int) -> Iterator[np.ndarray]:
        if self._shuffle:
            order = np.random.default_rng([seed, epoch]).permutation(self.examples)
        else:
            order = np.arange(self.examples)
        size = self._batch_size
        return (order[first : min(first + size, self._count)] for first in range(start * size, self._count, size))

    def _made(self, rows: np.ndarray, seed: int, epoch: int, index: int) -> Batch:
        """Return a batch in memory of its own: another may be in use."""
        x, y, weights = self._data
        part = self._augmented(x[rows], seed, epoch, index)
        return Batch(part, y[rows], None if weights is None else weights[rows], self._total(rows))

    def _total(self, rows: np.ndarray) -> float:
        return float(len(rows) if self._row_weights is None else self._row_weights[rows].sum(dtype=np.float64))

    def batches(self, seed: int, epoch: int, start: int) -> Iterator[Batch]:
        x, y, weights = self._data
        most = min(self._batch_size, self._count)
        x_out, y_out = np.empty((most, *x.shape[1:]), x.dtype), np.empty((most, *y.shape[1:]), y.dtype)
        weights_out = np.empty(most, y.dtype if weights is None else weights.dtype)
        for part in self._rows(seed, epoch, start):
            count = len(part)
            # mode="clip" writes straight to `out`; the default would go through a buffer.
            yield Batch(
                np.take(x, part, axis=0, out=x_out[:count], mode="clip"),  # type: ignore[call-overload]
                np.take(y, part, axis=0, out=y_out[:count], mode="clip"),
                None if weights is None else np.take(weights, part, out=weights_out[:count], mode="clip"),
                self._total(part),
            )


class GivenBatches(Source):
    """The minibatches that the user's own code gives.

    Parameters
    ----------
    given : iterable or callable
        Something that can be iterated once per epoch, an iterator, or a function of the epoch's number that returns
        one of the two.
    model, loss : Sequential, Loss
        What the batches must fit.
    steps : int or None
        How many batches make an epoch; by default, as many as there are.
    epochs : int
        How many of them there are to be.
    augment : sequence of Augment
    """

    def __init__(
        self,
        given: Iterable[Any] | Callable[[int], Iterable[Any]],
        model: Sequential,
        loss: Loss,
        steps: int | None,
        epochs: int,
        augment: Sequence[Augment] = (),
    ) -> None:
        super().__init__(augment)
        self._given, self._model, self._loss, self._steps = given, model, loss, steps
        self._seen = steps or 0
        self._once = isinstance(given, Iterator)
        if self._once and steps is None and epochs > 1:
            raise ValueError(
                f"x is an iterator, which gives its batches once, and there are {epochs} epochs to train: give "
                "steps_per_epoch=, a list, or a function of the epoch that returns its batches"
            )
        if not isinstance(given, Iterable):
            _check_callable(given)
        if model.preprocessing is not None and not model.preprocessing.is_fitted:
            raise ValueError(
                f"the model's preprocessing, {model.preprocessing!r}, is not fitted, and batches are given once: fit "
                "it first, by its fit(x) or by partial_fit(x) on one batch after the other"
            )

    def __len__(self) -> int:
        return self._seen

    def jobs(self, seed: int, epoch: int, start: int) -> Generator[Job, None, None]:
        index = start
        with self._items(epoch, start) as items:
            for item in items:
                yield partial(self._made, item, seed, epoch, index, first=index == start)
                index += 1
        if index < (self._steps or 1):
            expected = "expected at least one" if self._steps is None else f"steps_per_epoch is {self._steps}"
            raise ValueError(f"epoch {epoch + 1} has {index} batches; {expected}")
        self._seen = index

    @contextmanager
    def _items(self, epoch: int, start: int) -> Iterator[Iterable[Any]]:
        """Give what the user's code gives from batch `start` on, and close a generator that this epoch alone reads."""
        given: Any = self._given
        if self._once:  # and so it stands where it is to go on
            yield itertools.islice(given, None if self._steps is None else self._steps - start)
            return
        iterator = iter(given if isinstance(given, Iterable) else given(epoch))
        try:
            yield itertools.islice(iterator, start, self._steps)
        finally:
            if isinstance(iterator, Generator):
                iterator.close()

    def _made(self, item: Any, seed: int, epoch: int, index: int, *, first: bool) -> Batch:
        name = f"batch {index + 1} of epoch {epoch + 1}: "
        if not isinstance(item, tuple | list) or not 2 <= len(item) <= 3:
            what = f"a {type(item).__name__}"
            what += f" of {len(item)}" if isinstance(item, tuple | list) else ""
            raise ValueError(f"{name}it is {what}; expected (x, y) or (x, y, weights)")
        examples = prepare(self._model, self._loss, *item, name=name)
        if first:
            check_fit(self._model, self._loss, examples, name)
        # Copies: the user's code may use its arrays again for the next batch.
        x, y = np.array(examples.x), np.array(examples.y)
        weights = None if examples.weights is None else np.array(examples.weights)
        each = self._loss.row_weights(y, weights)
        total = float(len(x) if each is None else each.sum(dtype=np.float64))
        return Batch(self._augmented(x, seed, epoch, index), y, weights, total)


def refuse_options(x: Any, **options: Any) -> None:
    """Raise an error where `x` is an array, so that its `y` is missing, or where an option is for arrays."""
    if hasattr(x, "__array__"):
        raise TypeError("y is missing: it may be left out where x gives batches (x, y), but x is an array")
    for name, value in options.items():
        if value is not None:
            raise ValueError(f"{name} is for arrays x and y; batches come as they are, with weights as third part")


def _check_callable(given: Any) -> None:
    if not callable(given):
        raise TypeError(
            f"x is a {type(given).__name__}, and y is missing; expected arrays x and y, or batches: something to "
            "iterate over, or a function of the epoch's number that returns it"
        )
    try:
        inspect.signature(given).bind(0)
    except TypeError:
        raise TypeError(
            f"{given!r} is called with the number of the epoch, from 0, and returns its batches: def batches(epoch)"
        ) from None
    except ValueError:  # it has no signature
        pass


@contextmanager
def opened(source: Source, seed: int, epoch: int, start: int, prefetch: bool | None) -> Iterator[Iterable[Batch]]:
    """Give the batches of an epoch from number `start` on; `prefetch` is that of `Trainer.fit`."""
    if prefetch or (prefetch is None and source.slow):
        with Ahead(partial(source.jobs, seed, epoch), start, draw=bool(prefetch)) as batches:
            yield batches
    elif source.slow:
        with closing(source.jobs(seed, epoch, start)) as jobs:
            yield (job() for job in jobs)
    else:
        yield source.batches(seed, epoch, start)


class Ahead:
    """The batches of an epoch, each made in a thread while the one before is in use.

    Used as a context manager, it ends the thread and closes the iterator of jobs.

    Parameters
    ----------
    make : callable
        Returns the iterator of jobs from a number on.
    start : int
    draw : bool
        Whether the iterator of jobs itself runs in the thread, with the user's code in it.
    """

    def __init__(self, make: Callable[[int], Generator[Job, None, None]], start: int, *, draw: bool = False) -> None:
        self._make, self._at, self._draw = make, start, draw
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._jobs = self._make(self._at)
        self._thread = ThreadPoolExecutor(1, "pynn-batches")
        # As in the calling thread: context variables, such as NumPy's error state.
        self._context = contextvars.copy_context()
        self._next = self._ask()

    def _ask(self) -> Future[Batch | None]:
        if self._draw:
            return self._submit(self._drawn)
        done: Future[Batch | None] = Future()
        try:
            job = next(self._jobs, None)
        except Exception as error:  # raised when it is this batch's turn
            done.set_exception(error)
            return done
        if job is None:
            done.set_result(None)
            return done
        return self._submit(job)

    def _drawn(self) -> Batch | None:
        job = next(self._jobs, None)
        return None if job is None else job()

    def _submit(self, work: Callable[[], Any]) -> Future[Any]:
        return self._thread.submit(self._context.run, work)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._process != os.getpid():
            return
        self._next.cancel()
        if self._draw:  # a generator is closed by the thread that runs it
            closed = self._submit(self._jobs.close)
        # A second Ctrl-C does not wait for the batch that is being made.
        self._thread.shutdown(wait=kind is not KeyboardInterrupt)
        if not self._draw:
            self._jobs.close()
        elif kind is None:
            closed.result()

    def __iter__(self) -> Iterator[Batch]:
        while True:
            if self._process != os.getpid():  # forked: the thread stayed with the parent
                self._begin()
            batch = self._next.result()
            if batch is None:
                return
            self._at += 1
            self._next = self._ask()
            yield batch
