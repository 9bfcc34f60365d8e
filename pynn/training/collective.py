"""What all ranks of a trainer do together: begin to train, take a step, and end if one of them fails."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from ..nn.state import arrays_in_place
from ..utils.arrays import total_weight
from . import rank_checks
from .batches import Batch, Source, UserBatches, cut
from .exchange import Exchange
from .fitting import Fit, FitRequest, prepared
from .ranks import RanksDifferError
from .step import NonFiniteError, TrainingStep

if TYPE_CHECKING:
    from ..nn.sequential import Sequential
    from .ranks import Ranks
    from .state import TrainingState


def start_exchange(ranks: Ranks, model: Sequential, compression: str | None) -> Exchange:
    """Return the exchange of a trainer's ranks, which from now on have the weights of rank 0.

    Raises RuntimeError on all ranks if one has another version, backend, instruction set or network.
    """
    shapes = [(name, *parameter.shape) for name, parameter in model.named_parameters()]
    network = f"of {len(shapes)} parameters with digest {rank_checks.digest_of_text(shapes)}"
    ranks.check_equal(
        rank_checks.machine() | {"network": network, "dtype": str(model.dtype), "compression": str(compression)}
    )
    exchange = Exchange(ranks, model, compression)
    broadcast_weights(ranks, model)
    ranks.abort_with_this_process()
    return exchange


def broadcast_weights(ranks: Ranks, model: Sequential) -> None:
    """Give all ranks the weights and running statistics of rank 0."""
    ranks.broadcast_arrays(arrays_in_place(model, model.flat))


def end_on_all(exchange: Exchange | None, model: Sequential) -> None:
    """Give every rank the weights and the optimiser's state of rank 0 after a `fit`, so that each may go on alone."""
    if exchange is not None:
        broadcast_weights(exchange.ranks, model)
        exchange.end()


def prepare_on_all(trainer: TrainingState, request: FitRequest, ranks: Ranks) -> Fit:
    """Prepare a `fit` on all ranks; if that fails on one, or if their arguments differ, all raise."""
    fit = ranks.call_on_all(lambda: prepared(trainer, request, ranks))
    ranks.check_equal(rank_checks.training(trainer, fit))
    return fit


def on_any(ranks: Ranks | None, value: bool) -> bool:
    """Return whether the value is true on any rank; of a process that trains alone, the value itself."""
    return value if ranks is None else ranks.any(value)


def from_first(ranks: Ranks | None, value: float) -> float:
    """Return rank 0's value; of a process that trains alone, the value itself."""
    return value if ranks is None else ranks.broadcast(value)


@contextmanager
def aborting_all(trainer: TrainingState, ranks: Ranks | None) -> Iterator[None]:
    """Within the block, an error on one rank ends all ranks, unless it is one that all of them raise."""
    try:
        yield
    except (NonFiniteError, RanksDifferError):  # of a loss or a gradient that all ranks know, or of all ranks
        raise
    except BaseException as error:
        if ranks is not None:
            ranks.fail(error, trainer.steps)
        raise


def compared(batches: Iterable[Batch], source: Source, ranks: Ranks | None) -> Iterator[Batch]:
    """Yield the batches of an epoch; if the ranks' own code supplies others, or more, to one of them, all raise."""
    if ranks is None or not isinstance(source, UserBatches):
        yield from batches
        return
    for batch in chain(batches, [None]):
        _check_same(batch, ranks)
        if batch is not None:
            yield batch


def _check_same(batch: Batch | None, ranks: Ranks) -> None:
    """Raise RanksDifferError on all ranks unless all have the same minibatch, or the end of an epoch."""
    rows = 0 if batch is None or batch.share is None else sum(batch.share.counts)
    own = np.array([rows, 0 if batch is None else batch.checksum], np.float64)
    gathered = ranks.gather(own)
    if (gathered != gathered[0]).any():
        what = "none" if batch is None else f"one of {rows} rows with checksum {batch.checksum:08x}"
        ranks.check_equal({"as its next minibatch": what})


def step_on_all(
    trainer: TrainingState,
    step: TrainingStep,
    x: np.ndarray,
    y: np.ndarray,
    weights: np.ndarray | None,
    ranks: Ranks,
) -> float:
    """Take a step on a minibatch that every rank has whole: each computes its share. Return the loss of the whole."""
    y = trainer.loss.as_target(y, x.dtype)
    each = trainer.loss.row_weights(y, weights)
    total = total_weight(len(x), each)
    own = cut(Batch(x, y, weights, total), trainer.loss, ranks)
    with aborting_all(trainer, ranks):
        _check_same(own, ranks)
        return step.take(own.x, own.y, own.weights, share=own.share)
