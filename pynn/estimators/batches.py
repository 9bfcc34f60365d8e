"""Minibatches in scikit-learn's order, of arrays or of sparse matrices that become dense batch by batch."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..nn.inputs import Inputs
from ..training.batches import Batch, Job, Source

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..nn.sequential import Sequential
    from .objectives import MeanL2


class SparseRows(Inputs):
    """The rows of a CSR matrix, made dense batch by batch.

    Parameters
    ----------
    matrix : scipy.sparse CSR matrix or array
    model : Sequential
        Its dtype is that of the rows.
    transform : callable
        Applied to dense rows.
    """

    def __init__(self, matrix: Any, model: Sequential, transform: Callable[[np.ndarray], np.ndarray]) -> None:
        super().__init__(matrix, model)
        self._transform = transform

    def __len__(self) -> int:
        return int(self._raw.shape[0])

    def _prepared(self, raw: Any) -> np.ndarray:
        return self._model.as_input(self._transform(raw.toarray()))


class ShuffledBatches(Source):
    """Minibatches of examples in the order that scikit-learn's perceptron visits them.

    Parameters
    ----------
    x : ndarray or Inputs
    y : ndarray
        Targets in the loss's form.
    weights : ndarray or None
        The weight of each example.
    row_weights : ndarray or None
        The weight of each example in the mean loss, class weights included; None for equal weights.
    batch_size : int
    random : numpy.random.RandomState or None
        Shuffles the examples in every epoch; None leaves their order.
    penalty : MeanL2, optional
        Told the weight of each minibatch.
    drop_single : bool
        Drop a last batch of one example.
    """

    slow = False

    def __init__(
        self,
        x: np.ndarray | Inputs,
        y: np.ndarray,
        weights: np.ndarray | None,
        row_weights: np.ndarray | None,
        batch_size: int,
        random: np.random.RandomState | None,
        penalty: MeanL2 | None,
        *,
        drop_single: bool,
    ) -> None:
        super().__init__(())
        self._x, self._y, self._weights, self._row_weights = x, y, weights, row_weights
        self._batch_size, self._random, self._penalty = batch_size, random, penalty
        self.examples = self._count = len(y)
        if drop_single and self._count % batch_size == 1 and self._count > 1 and batch_size > 1:
            self._count -= 1
        self._order = np.arange(self.examples)

    def __len__(self) -> int:
        return -(-self._count // self._batch_size)

    def jobs(self, seed: int, epoch: int, start: int) -> Generator[Job, None, None]:
        for batch in self.batches(seed, epoch, start):
            yield partial(_itself, batch)

    def batches(self, seed: int, epoch: int, start: int) -> Iterator[Batch]:
        if self._random is not None:
            # scikit-learn permutes the order of the epoch before, by a permutation of its own.
            permutation = np.arange(self.examples)
            self._random.shuffle(permutation)
            self._order = self._order[permutation]
        for first in range(start * self._batch_size, self._count, self._batch_size):
            rows = self._order[first : min(first + self._batch_size, self._count)]
            each = self._row_weights
            total = float(len(rows) if each is None else each[rows].sum(dtype=np.float64))
            if self._penalty is not None:
                self._penalty.weight = total
            weights = None if self._weights is None else self._weights[rows]
            yield Batch(self._inputs(rows), self._y[rows], weights, total)

    def _inputs(self, rows: np.ndarray) -> np.ndarray:
        return self._x.take(rows, axis=0) if isinstance(self._x, np.ndarray) else self._x[rows]


def _itself(batch: Batch) -> Batch:
    return batch
