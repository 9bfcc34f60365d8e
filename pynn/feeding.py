"""Minibatches: of arrays, of files that are mapped into memory, and of whatever else gives batches."""

from __future__ import annotations

import inspect
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from .examples import check_fit, prepare

if TYPE_CHECKING:
    from .augment import Augment
    from .examples import Examples, LaterExamples
    from .losses import Loss
    from .model import Sequential

#: Sets the random numbers of augmentation apart from those that order the examples.
AUGMENTING = 1


#: Inputs and targets as the network takes them, and the weight of each example or None.
Batch = tuple[np.ndarray, np.ndarray, np.ndarray | None]


class Source:
    """Where the minibatches of a run come from.

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

    def batches(self, seed: int, epoch: int, start: int) -> Iterator[Batch]:
        """Yield the batches of an epoch from number `start` on."""
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
    drop_single : bool
        Leave out a last batch of one example.
    augment : sequence of Augment
    """

    def __init__(
        self,
        examples: Examples | LaterExamples,
        batch_size: int,
        *,
        shuffle: bool,
        drop_single: bool,
        augment: Sequence[Augment] = (),
    ) -> None:
        super().__init__(augment)
        self._data = examples
        self._batch_size, self._shuffle = batch_size, shuffle
        self.examples = self._count = len(examples.x)
        if drop_single and self._count % batch_size == 1 and self._count > 1 and batch_size > 1:
            self._count -= 1
        self.slow = bool(augment) or not isinstance(examples.x, np.ndarray)

    def __len__(self) -> int:
        return -(-self._count // self._batch_size)

    def batches(self, seed: int, epoch: int, start: int) -> Iterator[Batch]:
        if self._shuffle:
            order = np.random.default_rng([seed, epoch]).permutation(self.examples)
        else:
            order = np.arange(self.examples)
        size = self._batch_size
        rows = (order[first : min(first + size, self._count)] for first in range(start * size, self._count, size))
        if not self.slow:
            return self._in_buffers(rows)
        x, y, weights = self._data
        # Made while another batch is in use, and so in memory of its own.
        return (
            (self._augmented(x[part], seed, epoch, index), y[part], None if weights is None else weights[part])
            for index, part in enumerate(rows, start)
        )

    def _in_buffers(self, rows: Iterable[np.ndarray]) -> Iterator[Batch]:
        """Yield batches that lie in the same memory, one after the other."""
        x, y, weights = self._data
        most = min(self._batch_size, self._count)
        x_out, y_out = np.empty((most, *x.shape[1:]), x.dtype), np.empty((most, *y.shape[1:]), y.dtype)
        weights_out = np.empty(most, y.dtype if weights is None else weights.dtype)
        for part in rows:
            count = len(part)
            # mode="clip" writes straight to `out`; the default would go through a buffer.
            yield (
                np.take(x, part, axis=0, out=x_out[:count], mode="clip"),  # type: ignore[call-overload]
                np.take(y, part, axis=0, out=y_out[:count], mode="clip"),
                None if weights is None else np.take(weights, part, out=weights_out[:count], mode="clip"),
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

    def batches(self, seed: int, epoch: int, start: int) -> Iterator[Batch]:
        given: Any = self._given
        if self._once:  # and so it stands where it is to go on
            items = itertools.islice(given, None if self._steps is None else self._steps - start)
        else:
            items = itertools.islice(given if isinstance(given, Iterable) else given(epoch), start, self._steps)
        index = start
        for item in items:
            x, y, weights = self._prepared(item, f"batch {index + 1} of epoch {epoch + 1}: ", first=index == start)
            yield self._augmented(x, seed, epoch, index), y, weights
            index += 1
        if index < (self._steps or 1):
            expected = "expected at least one" if self._steps is None else f"steps_per_epoch is {self._steps}"
            raise ValueError(f"epoch {epoch + 1} has {index} batches; {expected}")
        self._seen = index

    def _prepared(self, item: Any, name: str, *, first: bool) -> Batch:
        if not isinstance(item, tuple | list) or not 2 <= len(item) <= 3:
            what = f"a {type(item).__name__}"
            what += f" of {len(item)}" if isinstance(item, tuple | list) else ""
            raise ValueError(f"{name}it is {what}; expected (x, y) or (x, y, weights)")
        try:
            examples = prepare(self._model, self._loss, *item, name=name)
        except TypeError as error:
            raise TypeError(f"{name}{error}") from error
        if first:
            check_fit(self._model, self._loss, examples, name)
        # Copies: the user's code may use its arrays again for the next batch.
        x, y, weights = examples
        return np.array(x), np.array(y), None if weights is None else np.array(weights)


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


class Ahead:
    """The batches of an epoch, each made in a thread while the one before is in use.

    Used as a context manager, it ends the thread.

    Parameters
    ----------
    make : callable
        Returns the batches from a number on.
    start : int
    """

    def __init__(self, make: Callable[[int], Iterator[Batch]], start: int) -> None:
        self._make, self._at = make, start
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._batches = self._make(self._at)
        self._thread = ThreadPoolExecutor(1, "pynn-batches")
        self._next = self._ask()

    def _ask(self) -> Future[Batch | None]:
        return self._thread.submit(next, self._batches, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._process == os.getpid():
            # A second Ctrl-C does not wait for the batch that is being made.
            self._thread.shutdown(wait=kind is not KeyboardInterrupt, cancel_futures=True)

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
