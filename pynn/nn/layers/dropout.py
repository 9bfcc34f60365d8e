"""Dropout of single elements, and of whole channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from ... import ops
from ...utils.validation import fraction
from ..context import Context
from ..recording import replayable
from .base import Layer


class Dropout(Layer):
    """In training, zero each element with probability `p` and divide the others by 1 - p; in inference, the identity.

    Srivastava et al. 2014. The trainer's seed determines the masks, and a resumed run continues their stream.

    Parameters
    ----------
    p : float
        In [0, 1].

    Examples
    --------
    >>> import numpy as np, pynn
    >>> model = pynn.Sequential(pynn.Linear(4, 4), pynn.Dropout(0.5))
    >>> x = np.ones((2, 4), np.float32)
    >>> bool((model.predict(x) == model[0].forward(x, pynn.Context())).all())
    True
    """

    op: ClassVar[Callable[..., np.ndarray]] = staticmethod(ops.dropout)
    op_backward: ClassVar[Callable[..., np.ndarray]] = staticmethod(ops.dropout_backward)

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = fraction(p, "p")

    def _draw(self, ctx: Context, rows: int, per_row: int) -> np.ndarray | None:
        """Return the position of the next decisions in the random stream, or None if nothing is dropped.

        Each row's decisions depend on its place in the whole minibatch, of which this process may compute a part.
        """
        if not ctx.training or self.p == 0:
            return None
        if ctx.random is None:
            kind = type(self).__name__
            raise RuntimeError(
                f"{kind} in training needs a random stream in its context; a Trainer or model(x) provides one"
            )
        draw = ctx.buffer("draw", (2,), np.uint64)
        if ctx.share is None:
            return ctx.random.draw(rows * per_row, draw)
        skipped = ctx.buffer("skipped", (2,), np.uint64)
        ctx.random.draw(ctx.share.start * per_row, skipped)
        ctx.random.draw(rows * per_row, draw)
        ctx.random.draw((ctx.share.total - ctx.share.start - rows) * per_row, skipped)
        return draw

    def _per_row(self, x: np.ndarray) -> int:
        """Return the number of decisions that a row of x needs."""
        return x[:1].size

    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        ctx.draw = self._draw(ctx, len(x), self._per_row(x))
        if ctx.draw is None:
            return x
        return type(self).op(x, self.p, ctx.draw, out=ctx.buffer("y", x.shape, x.dtype))

    @replayable
    def backward(self, dy: np.ndarray, ctx: Context) -> np.ndarray:
        if ctx.draw is None:
            return dy
        return type(self).op_backward(dy, self.p, ctx.draw, out=ctx.gradient("dx", dy.shape, dy.dtype, dy))


class Dropout2d(Dropout):
    """In training, zero each channel of each example with probability `p` and divide the others by 1 - p.

    Neighbouring pixels are strongly correlated, so dropping single pixels regularises little (Tompson et al. 2015).

    Parameters
    ----------
    p : float
        In [0, 1].

    Examples
    --------
    >>> import numpy as np, pynn
    >>> model = pynn.Sequential(pynn.Dropout2d(0.5))
    >>> x = np.ones((2, 3, 4, 4), np.float32)
    >>> bool((model.predict(x) == x).all())
    True
    """

    op, op_backward = staticmethod(ops.dropout2d), staticmethod(ops.dropout2d_backward)

    def _per_row(self, x: np.ndarray) -> int:
        if x.ndim < 3:
            raise ValueError(f"Dropout2d got an input of shape {x.shape}; expected (batch, channels, ...)")
        return x.shape[1]
