"""Minibatches of arrays, of memory-mapped files and of user-supplied iterables."""

from __future__ import annotations

import inspect
import itertools
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from ..utils.arrays import total_weight
from .examples import check_fit, prepare

if TYPE_CHECKING:
    from ..augment import Augment
    from ..nn.loss import Loss
    from ..nn.sequential import Sequential
    from ..nn.share import Share
    from .examples import Examples
    from .ranks import Ranks

#: Seed component that separates augmentation's random numbers from those that shuffle the examples.
AUGMENTING = 1


class Batch(NamedTuple):
    """Inputs and targets in the network's form, the weight of each example or None, and the total weight.

    With several ranks, the arrays hold the rows of this rank's `share`; the total is that of the whole minibatch, and
    so is the checksum, if the user's own code supplied it.
    """

    x: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None
    total: float
    share: Share | None = None
    checksum: int = 0


#: Small minibatches are gathered several at a time, up to this many bytes of inputs. One by one, a run of 20-64-64-2
#: with minibatches of 32 took 1.61 times as long as its steps alone; now 1.44.
GATHERED_BYTES = 1 << 17


class HasLoss(Protocol):
    """What has a loss that may be replaced between batches: a trainer, or what makes one."""

    @property
    def loss(self) -> Loss:
        """The loss."""


#: Makes a batch; may run in the prefetch thread.
Job = Callable[[], Batch]


class Source:
    """Where the minibatches of a run come from.

    A batch is made in two parts. `jobs` yields the jobs, which is cheap apart from the user's own code; calling a job
    makes its batch.

    Attributes
    ----------
    examples : int
        The number of examples in an epoch; 0 if unknown.
    slow : bool
        Whether to prefetch: to make the next batch while the network trains on the current one.
    """

    examples = 0
    slow = True

    def __init__(self, augment: Sequence[Augment]) -> None:
        self._augment = augment

    def __len__(self) -> int:
        """Return the number of batches in an epoch; 0 while unknown."""
        raise NotImplementedError

    def jobs(self, seed: int, epoch: int, start: int) -> Generator[Job, None, None]:
        """Yield the jobs that make the batches of an epoch, from batch `start` on, in order."""
        raise NotImplementedError

    def batches(self, seed: int, epoch: int, start: int) -> Iterator[Batch]:
        """Yield the batches of an epoch from batch `start` on, all in the same memory; not for slow sources."""
        raise NotImplementedError

    def _augmented(self, x: np.ndarray, seed: int, epoch: int, index: int) -> np.ndarray:
        """Return the augmented inputs of a batch; the random numbers depend only on seed, epoch and batch."""
        if not self._augment:
            return x
        rng = np.random.default_rng([seed, epoch, index, AUGMENTING])
        expected = (x.shape, x.dtype)
        for change in self._augment:
            x = change(x, rng)
            if not isinstance(x, np.ndarray) or (x.shape, x.dtype) != expected:
                given = f"{x.dtype} of shape {x.shape}" if isinstance(x, np.ndarray) else repr(x)
                raise ValueError(
                    f"{change!r} returned {given} for a batch; expected {expected[1]} of shape {expected[0]}"
                )
        return np.ascontiguousarray(x)


class ArrayBatches(Source):
    """Minibatches of examples in memory or in a memory-mapped file; they depend only on seed and epoch.

    Parameters
    ----------
    examples : Examples
    batch_size : int
    trainer : HasLoss
        Its loss weighs the examples.
    shuffle : bool
    drop_single : bool
        Drop a last batch of one example.
    augment : sequence of Augment
    ranks : Ranks or None
        Each takes its share of every minibatch, and reads only that, unless it is augmented.
    """

    def __init__(
        self,
        examples: Examples,
        batch_size: int,
        trainer: HasLoss,
        *,
        shuffle: bool,
        drop_single: bool,
        augment: Sequence[Augment] = (),
        ranks: Ranks | None = None,
    ) -> None:
        super().__init__(augment)
        self._data, self._ranks, self._trainer = examples, ranks, trainer
        self._batch_size, self._shuffle = batch_size, shuffle
        self._weighed_by: tuple[Loss, int] | None = None
        self._row_weights: np.ndarray | None = None
        self.examples = self._count = len(examples.x)
        if drop_single and self._count % batch_size == 1 and self._count > 1 and batch_size > 1:
            self._count -= 1
        self.slow = bool(augment) or not isinstance(examples.x, np.ndarray)
        #: The memory of gathered inputs, targets and weights, the same in every epoch.
        self._gathered: tuple[Any, ...] | None = None

    def __len__(self) -> int:
        return -(-self._count // self._batch_size)

    def jobs(self, seed: int, epoch: int, start: int) -> Generator[Job, None, None]:
        for index, rows in enumerate(self._rows(seed, epoch, start), start):
            yield partial(self._made, rows, seed, epoch, index)

    def _rows(self, seed: int, epoch: int, start: int, several: int = 1) -> Iterator[np.ndarray]:
        """Yield the rows of `several` minibatches at a time, from minibatch `start` on."""
        order = self._order(seed, epoch)
        first, size = start * self._batch_size, several * self._batch_size
        return (order[at : min(at + size, self._count)] for at in range(first, self._count, size))

    def _order(self, seed: int, epoch: int) -> np.ndarray:
        """Return the rows in the order of an epoch."""
        if not self._shuffle:
            return np.arange(self.examples)
        return np.random.default_rng([seed, epoch]).permutation(self.examples)

    def _made(self, rows: np.ndarray, seed: int, epoch: int, index: int) -> Batch:
        """Return a batch in newly allocated memory, because the previous one may still be in use."""
        x, y, weights = self._data
        mine, share = self._cut(rows)
        own = rows[mine]
        # The random changes of a row depend on its place in the whole minibatch.
        part = self._augmented(x[rows], seed, epoch, index)[mine] if self._augment else x[own]
        return Batch(part, y[own], None if weights is None else weights[own], self._total(rows), share)

    def _weights(self, rows: np.ndarray) -> np.ndarray | None:
        """Return the weight of each of the rows in the mean loss; None for equal weights."""
        loss = self._trainer.loss
        if self._weighed_by is None or self._weighed_by[0] is not loss or self._weighed_by[1] != loss.version:
            self._row_weights = loss.row_weights(self._data.y, self._data.weights)
            self._weighed_by = loss, loss.version
        return None if self._row_weights is None else self._row_weights[rows]

    def _cut(self, rows: np.ndarray) -> tuple[slice, Share | None]:
        """Return which rows of a minibatch this rank computes."""
        if self._ranks is None:
            return slice(None), None
        own, counts = self._ranks.cut(len(rows))
        mean = self._trainer.loss.reduction != "sum"
        return own, self._ranks.share(own, counts, self._weights(rows[own]), self._total(rows), mean)

    def _total(self, rows: np.ndarray) -> float:
        return total_weight(len(rows), self._weights(rows))

    def batches(self, seed: int, epoch: int, start: int) -> Iterator[Batch]:
        x, y, weights = self._data
        size = self._batch_size
        several = 1 if self._ranks is not None else max(1, GATHERED_BYTES // max(1, size * x[:1].nbytes))
        if self._gathered is None:
            most = min(several * size, self._count)
            self._gathered = tuple(None if z is None else np.empty((most, *z.shape[1:]), z.dtype) for z in self._data)
        x_out, y_out, weights_out = self._gathered
        for rows in self._rows(seed, epoch, start, several):
            mine, share = self._cut(rows)
            own = rows[mine]
            count = len(own)
            # mode="clip" writes directly to `out`; the default mode goes through a temporary buffer.
            xs = x.take(own, 0, x_out[:count], "clip")
            ys = y.take(own, 0, y_out[:count], "clip")
            ws = None if weights is None else weights.take(own, 0, weights_out[:count], "clip")
            if share is not None:  # this rank's rows of one minibatch
                yield Batch(xs, ys, ws, self._total(rows), share)
                continue
            for first in range(0, len(rows), size):
                batch = slice(first, first + size)
                yield Batch(xs[batch], ys[batch], None if ws is None else ws[batch], self._total(rows[batch]))


class UserBatches(Source):
    """Minibatches supplied by the user's own code.

    Parameters
    ----------
    given : iterable or callable
        An iterable that can be iterated once per epoch, an iterator, or a function of the epoch number that returns
        either.
    model : Sequential
    trainer : HasLoss
        Model and loss prepare and check the batches.
    steps : int or None
        Batches per epoch; None uses all that are supplied.
    epochs : int
        The number of epochs to train.
    augment : sequence of Augment
    ranks : Ranks or None
        Every rank is supplied the same minibatches, and takes its share.
    """

    def __init__(
        self,
        given: Iterable[Any] | Callable[[int], Iterable[Any]],
        model: Sequential,
        trainer: HasLoss,
        steps: int | None,
        epochs: int,
        augment: Sequence[Augment] = (),
        ranks: Ranks | None = None,
    ) -> None:
        super().__init__(augment)
        self._ranks = ranks
        self._given, self._model, self._trainer, self._steps = given, model, trainer, steps
        self._seen = steps or 0
        self._once = isinstance(given, Iterator)
        if self._once and steps is None and epochs > 1:
            raise ValueError(
                f"x is an iterator, which can be read only once, but {epochs} epochs are to be trained: pass "
                "steps_per_epoch=, a list, or a function of the epoch that returns its batches"
            )
        if not isinstance(given, Iterable):
            _check_callable(given)
        if model.preprocessing is not None and not model.preprocessing.is_fitted:
            raise ValueError(
                f"the model's preprocessing, {model.preprocessing!r}, is not fitted, and batches cannot be read "
                "twice: fit it first, with fit(x) or with partial_fit(x) batch by batch"
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
        """Iterate over the user's batches from batch `start` on; close a generator that only this epoch reads."""
        given: Any = self._given
        if self._once:  # an iterator is not rewound: it already stands at batch `start`
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
            raise ValueError(f"{name}got {what}; expected (x, y) or (x, y, weights)")
        loss = self._trainer.loss
        examples = prepare(self._model, loss, *item, name=name)
        if first:
            check_fit(self._model, loss, examples, name)
        # Copies, because the user's code may reuse its arrays for the next batch.
        x, y = np.array(examples.x), np.array(examples.y)
        weights = None if examples.weights is None else np.array(examples.weights)
        each = loss.row_weights(y, weights)
        total = total_weight(len(x), each)
        whole = Batch(self._augmented(x, seed, epoch, index), y, weights, total)
        return whole if self._ranks is None else cut(whole, loss, self._ranks)


def cut(batch: Batch, loss: Loss, ranks: Ranks) -> Batch:
    """Return this rank's share of a whole minibatch."""
    own, counts = ranks.cut(len(batch.x))
    x, y = batch.x[own], batch.y[own]
    weights = None if batch.weights is None else batch.weights[own]
    share = ranks.share(own, counts, loss.row_weights(y, weights), batch.total, loss.reduction != "sum")
    return Batch(x, y, weights, batch.total, share, _checksum(batch))


def _checksum(batch: Batch) -> int:
    """Return a checksum of the targets, the weights, and two rows of the inputs, which may be megabytes."""
    value = zlib.crc32(np.ascontiguousarray(batch.x[:: max(1, len(batch.x) - 1)]).data)
    for array in (batch.y, batch.weights):
        value = value if array is None else zlib.crc32(np.ascontiguousarray(array).data, value)
    return value


def refuse_options(x: Any, **options: Any) -> None:
    """Raise an error if `x` is an array, which needs a `y`, or if an option that needs arrays is set."""
    if hasattr(x, "__array__"):
        raise TypeError("y is missing: it may be omitted only if x supplies batches (x, y), but x is an array")
    for name, value in options.items():
        if value is not None:
            raise ValueError(
                f"{name} needs arrays x and y; batches are used as supplied, weights included: (x, y, weights)"
            )


def _check_callable(given: Any) -> None:
    if not callable(given):
        raise TypeError(
            f"x is a {type(given).__name__}, and y is missing; expected arrays x and y, or batches: an iterable, or a "
            "function of the epoch number that returns one"
        )
    try:
        inspect.signature(given).bind(0)
    except TypeError:
        raise TypeError(
            f"{given!r} must take one argument, the epoch number from 0, and return its batches: def batches(epoch)"
        ) from None
    except ValueError:  # no signature available, as for some built-ins
        pass
