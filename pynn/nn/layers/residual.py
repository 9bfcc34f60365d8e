"""Residual blocks."""

from __future__ import annotations

import numpy as np

from ... import ops
from ..context import Context
from ..recording import replayable
from .base import Layer
from .container import Container, check_free


class Residual(Container):
    """y = shortcut(x) + inner(x) (He et al. 2016).

    Parameters
    ----------
    inner : Layer
        Usually a `Sequential`.
    shortcut : Layer, optional
        The identity by default; needed if `inner` changes the shape, for example a 1x1 convolution.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> inner = pynn.Sequential(pynn.Conv2d(4, 4, 3, padding=1), pynn.ReLU(), pynn.Conv2d(4, 4, 3, padding=1))
    >>> model = pynn.Sequential(pynn.Residual(inner), pynn.ReLU())
    >>> model(np.zeros((1, 4, 8, 8), dtype=np.float32)).shape
    (1, 4, 8, 8)
    """

    def __init__(self, inner: Layer, shortcut: Layer | None = None) -> None:
        super().__init__()
        for name, layer in (("inner", inner), ("shortcut", shortcut)):
            if not (isinstance(layer, Layer) or (layer is None and name == "shortcut")):
                raise TypeError(f"{name} is {layer!r}; expected a pynn.Layer")
        check_free([inner] if shortcut is None else [inner, shortcut])
        self.inner = inner
        self.shortcut = shortcut
        self._take_possession()

    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        inner, other = ctx.children(2)
        y = self.inner.forward(x, inner)
        around = x if self.shortcut is None else self.shortcut.forward(x, other)
        if ctx.observer is not None:
            ctx.observer.output(self.inner, y)
            if self.shortcut is not None:
                ctx.observer.output(self.shortcut, around)
        if y.shape != around.shape:
            raise ValueError(
                f"Residual cannot add an inner output of shape {y.shape} to {around.shape}; pass a shortcut that "
                "returns the inner shape"
            )
        return ops.add(y, around, out=ctx.buffer("y", y.shape, y.dtype))

    @replayable
    def backward(self, dy: np.ndarray, ctx: Context) -> np.ndarray | None:
        inner, other = ctx.children(2)
        inner.needs_dx = other.needs_dx = ctx.needs_dx
        if ctx.observer is not None:
            ctx.observer.gradient(self.inner, dy)
            if self.shortcut is not None:
                ctx.observer.gradient(self.shortcut, dy)
        dx = self.inner.backward(dy, inner)
        around: np.ndarray | None = dy if self.shortcut is None else self.shortcut.backward(dy, other)
        if not ctx.needs_dx:
            return None
        if dx is None or around is None:
            raise TypeError("backward of a layer in Residual returned no gradient")
        return ops.add(dx, around, out=ctx.gradient("dx", dx.shape, dx.dtype, dx, around))
