"""Minibatches in scikit-learn's order, of arrays or of sparse matrices that become dense batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..nn.inputs import Inputs
from ..training.batches import ArrayBatches, Batch, HasLoss

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..nn.sequential import Sequential
    from ..training.examples import Examples
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


class ShuffledBatches(ArrayBatches):
    """Minibatches of examples in the order that scikit-learn's perceptron visits them.

    Parameters
    ----------
    examples : Examples
        Their inputs may be `Inputs`.
    batch_size : int
    trainer : HasLoss
        Its loss weighs the examples.
    random : numpy.random.RandomState or None
        Shuffles the examples in every epoch; None leaves their order.
    penalty : MeanL2, optional
        Told the weight of each minibatch.
    drop_single : bool
        Drop a last batch of one example.
    """

    def __init__(
        self,
        examples: Examples[Any],
        batch_size: int,
        trainer: HasLoss,
        random: np.random.RandomState | None,
        penalty: MeanL2 | None,
        *,
        drop_single: bool,
    ) -> None:
        super().__init__(examples, batch_size, trainer, shuffle=random is not None, drop_single=drop_single)
        self._random, self._penalty = random, penalty
        self._last_order = np.arange(self.examples)
        self._dense, self.slow = not self.slow, False  # no thread: the order depends on the epochs before

    def _order(self, seed: int, epoch: int) -> np.ndarray:
        if self._random is not None:
            # scikit-learn permutes the order of the epoch before, by a permutation of its own.
            permutation = np.arange(self.examples)
            self._random.shuffle(permutation)
            self._last_order = self._last_order[permutation]
        return self._last_order

    def batches(self, seed: int, epoch: int, start: int) -> Iterator[Batch]:
        each = super().batches if self._dense else self._one_by_one
        for batch in each(seed, epoch, start):
            if self._penalty is not None and self._penalty.weight != batch.total:
                self._penalty.weight = batch.total
            yield batch

    def _one_by_one(self, seed: int, epoch: int, start: int) -> Iterator[Batch]:
        return (job() for job in self.jobs(seed, epoch, start))
