"""Branches side by side, whose outputs are concatenated."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import ops
from ..context import Context
from ..recording import replayable
from .branches import Branches


class Concat(Branches):
    """y = [branch_0(x), branch_1(x), ...], joined along the features or channels (Szegedy et al. 2015).

    Parameters
    ----------
    *branches : Layer
        At least one; all get x. `Identity` passes x itself on.

    Attributes
    ----------
    branches : tuple of Layer

    Notes
    -----
    The branches return (batch, channels, ...): as many channels as they like, everything else alike.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> wide = pynn.Conv2d(3, 5, 3, padding=1)
    >>> model = pynn.Sequential(pynn.Concat(wide, pynn.Conv2d(3, 2, 1), pynn.Identity()))
    >>> model(np.zeros((1, 3, 8, 8))).shape
    (1, 10, 8, 8)
    """

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Concat:
        return cls(*config["branches"])

    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        outputs = [
            branch.forward(x, inner)
            for branch, inner in zip(self.branches, ctx.children(len(self.branches)), strict=False)
        ]
        if ctx.observer is not None:
            for branch, output in zip(self.branches, outputs, strict=True):
                ctx.observer.output(branch, output)
        first, shapes = outputs[0].shape, [output.shape for output in outputs]
        if any(len(shape) < 2 or shape[:1] + shape[2:] != first[:1] + first[2:] for shape in shapes):
            raise ValueError(
                f"Concat cannot join outputs of shapes {', '.join(map(str, shapes))}; only the second dimension, "
                "features or channels, may differ"
            )
        ctx.shapes = shapes
        y = ctx.buffer("y", (first[0], sum(shape[1] for shape in shapes), *first[2:]), outputs[0].dtype)
        start = 0
        for output in outputs:
            rows = _as_rows(output)
            ops.copy_columns(rows, _as_rows(y), width=rows.shape[1], out_start=start)
            start += rows.shape[1]
        return y

    @replayable
    def backward(self, dy: np.ndarray, ctx: Context) -> np.ndarray | None:
        total: np.ndarray | None = None
        start = 0
        contexts = ctx.children(len(self.branches))
        for index, (branch, shape) in enumerate(zip(self.branches, ctx.shapes, strict=True)):
            inner, part = contexts[index], ctx.buffer(f"dy{index}", shape, dy.dtype)
            width = math.prod(shape[1:])
            ops.copy_columns(_as_rows(dy), _as_rows(part), start=start, width=width)
            start += width
            inner.needs_dx = ctx.needs_dx
            if ctx.observer is not None:
                ctx.observer.gradient(branch, part)
            dx = branch.backward(part, inner)
            if not ctx.needs_dx:
                continue
            if dx is None:
                raise TypeError("backward of a layer in Concat returned no gradient")
            total = dx if total is None else ops.add(total, dx, out=ctx.buffer("dx", dx.shape, dx.dtype))
        return total


def _as_rows(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), math.prod(x.shape[1:]))
