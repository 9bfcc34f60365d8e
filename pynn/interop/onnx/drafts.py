"""Layers before they are made, as read from a graph: settings and arrays, into which further constants are folded."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...nn import layers
from ...nn.layers import Layer
from ...nn.sequential import Sequential
from ...nn.state import arrays_of
from .errors import UnsupportedError
from .graph import Node


@dataclass
class Draft:
    """A layer to be made: its class, settings, arrays by attribute, and layers inside it."""

    kind: type[Layer]
    settings: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    inner: dict[str, list[Step]] = field(default_factory=dict)
    node: Node | None = None
    #: The number of dimensions of an example that the layer gives.
    rank: int = 1


@dataclass
class Affine:
    """x * scale + shift with constants, of which pynn has no layer: it becomes part of a neighbour."""

    scale: np.ndarray
    shift: np.ndarray
    node: Node
    #: That of the constants in the file; both arrays are float64.
    dtype: np.dtype[Any]


@dataclass
class Limits:
    """The bounds of Clip, or with `soft` the limit of `Standardize(limit=)`."""

    low: float
    high: float
    node: Node
    soft: bool = False


@dataclass
class Unflattened:
    """A dimension becomes several: `Unflatten`, or the end of `ZCA`, which gives vectors the shape of images again."""

    dim: int
    shape: tuple[int, ...]
    node: Node


Step = Draft | Affine | Limits | Unflattened

#: The layers into which a following affine map can be folded, and the axis of their weights that is the output's.
_OUTPUT_AXIS: dict[type, int] = {
    layers.Linear: 1,
    layers.Conv1d: 0,
    layers.Conv2d: 0,
    layers.ConvTranspose1d: 1,
    layers.ConvTranspose2d: 1,
}


def append(steps: list[Step], step: Step) -> None:
    """Append a step; an affine map becomes part of the layer or of the affine map before it, if it can."""
    if isinstance(step, Affine) and (step.scale == 1).all() and not step.shift.any():
        return
    if not isinstance(step, Affine) or not steps:
        steps.append(step)
        return
    last = steps[-1]
    if isinstance(last, Affine):
        steps[-1] = Affine(last.scale * step.scale, last.shift * step.scale + step.shift, step.node, step.dtype)
    elif not (isinstance(last, Draft) and _fold(last, step)):
        steps.append(step)


def _fold(draft: Draft, affine: Affine) -> bool:
    """Fold an affine map into the layer before it; return False if that is impossible."""
    weight = draft.arrays.get("weight")
    dtype = affine.dtype if weight is None else weight.dtype
    if affine.dtype != dtype:
        return False  # raw targets, which float32 may not distinguish
    if issubclass(draft.kind, layers.ConvTranspose2d) and draft.settings["groups"] > 1:
        return False
    axis, shape = _OUTPUT_AXIS.get(draft.kind, 0), _affine_shape(draft)
    if shape is None:
        return False
    scale, shift = (_per_output(array, shape, draft) for array in (affine.scale, affine.shift))
    centred = draft.kind is layers.RMSNorm
    if scale is None or shift is None or (centred and shift.any()):
        return False
    if weight is None:
        weight = np.ones(shape, dtype)
    along = scale.reshape([-1 if k == axis else 1 for k in range(weight.ndim)]) if weight.shape != shape else scale
    draft.arrays["weight"] = (weight * along).astype(dtype)
    if not centred:
        draft.arrays["bias"] = (draft.arrays.get("bias", np.zeros(shape, dtype)) * scale + shift).astype(dtype)
    draft.settings |= {name: True for name in ("affine", "elementwise_affine") if name in draft.settings}
    return True


def _affine_shape(draft: Draft) -> tuple[int, ...] | None:
    """Return the shape of a layer's bias, or None if it has none."""
    for name in ("out_features", "out_channels", "num_features", "num_channels"):
        if name in draft.settings and draft.kind is not layers.Maxout:
            return (draft.settings[name],)
    return draft.settings.get("normalized_shape")


def _per_output(array: np.ndarray, shape: tuple[int, ...], draft: Draft) -> np.ndarray | None:
    """Return a constant as one number for each element of the bias, or None."""
    if draft.kind in (layers.LayerNorm, layers.RMSNorm, layers.Linear):
        leading = array.shape[: max(array.ndim - len(shape), 0)]
        if set(leading) <= {1}:
            array = array.reshape(array.shape[len(leading) :])
        pairs = zip(array.shape[::-1], shape[::-1], strict=False)
        fits = array.ndim <= len(shape) and all(n in (1, m) for n, m in pairs)
        return np.broadcast_to(array, shape) if fits else None
    return _per_channel(array, shape[0], draft.rank)


def _per_channel(array: np.ndarray, width: int, rank: int) -> np.ndarray | None:
    """Return an array that broadcasts over the dimensions after the channels as one number per channel, or None."""
    if array.size == 1:
        return np.broadcast_to(array.reshape(-1), (width,))
    shape = array.shape[-rank:] if array.ndim > rank and set(array.shape[:-rank]) == {1} else array.shape
    return array.reshape(-1) if shape == (width, *(1,) * (rank - 1)) else None


def dtype_of(steps: Iterable[Step]) -> np.dtype[Any]:
    """Return the dtype of the network's arrays: that of the last layer with weights."""
    found = [array.dtype for step in steps for array in _arrays(step) if array.dtype in (np.float32, np.float64)]
    return found[-1] if found else np.dtype(np.float32)


def _arrays(step: Step) -> Iterator[np.ndarray]:
    """Yield the arrays of a layer and of those inside it."""
    if isinstance(step, Draft):
        yield from step.arrays.values()
        for inner in step.inner.values():
            for part in inner:
                yield from _arrays(part)


def made(steps: Iterable[Step], dtype: np.dtype[Any]) -> list[Layer]:
    """Return the layers.

    Raises
    ------
    UnsupportedError
        If a step is no layer and could not become part of one.
    """
    layers_made: list[Layer] = []
    for step in steps:
        several = isinstance(step, Draft) and step.kind is Sequential
        layers_made += made(step.inner["0"], dtype) if several else [_made(step, dtype)]  # type: ignore[union-attr]
    return layers_made


def _made(step: Step, dtype: np.dtype[Any]) -> Layer:
    if isinstance(step, Unflattened):
        return layers.Unflatten(step.dim, step.shape)
    if isinstance(step, Limits) and not step.soft and math.isfinite(step.low) and math.isfinite(step.high):
        if (step.low, step.high) == (0, 6):
            return layers.ReLU6()
        return _made(Draft(layers.Hardtanh, {"min_val": step.low, "max_val": step.high}, node=step.node), dtype)
    if not isinstance(step, Draft):
        what = "limits values on one side" if isinstance(step, Limits) else "multiplies or adds constants"
        raise UnsupportedError(f"{step.node} {what} where no neighbouring layer can do that")
    if step.kind is layers.Residual:
        inner, shortcut = (made(step.inner[name], dtype) for name in ("inner", "shortcut"))
        return layers.Residual(Sequential(*inner), Sequential(*shortcut) if shortcut else None)
    if step.kind is layers.Average:
        return layers.Average(*(Sequential(*made(b, dtype)) for b in step.inner.values()), **step.settings)
    if step.kind is layers.Concat:
        return layers.Concat(*(Sequential(*made(branch, dtype)) for branch in step.inner.values()))
    settings = dict(step.settings)
    if step.arrays:
        settings["dtype"] = dtype
    if step.kind in _OUTPUT_AXIS:
        settings["bias"] = "bias" in step.arrays
    try:
        layer = step.kind(**settings)
    except (TypeError, ValueError) as error:
        raise UnsupportedError(f"{step.node}: {error}") from None
    held = arrays_of(layer)
    for name, array in step.arrays.items():
        target = held[name]
        if target.shape != array.shape:
            raise ValueError(f"{step.node} has {name} of shape {array.shape}; expected {target.shape}")
        target[...] = array
    return layer
