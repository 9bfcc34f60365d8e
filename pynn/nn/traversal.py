"""Traversal of the layers of a network, including those in branches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from .layers import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm,
    Concat,
    ConvTranspose2d,
    EmbedColumns,
    Embedding,
    Flatten,
    GroupNorm,
    Identity,
    Layer,
    LayerNorm,
    Linear,
    MaxPool2d,
    Residual,
    RMSNorm,
    Unflatten,
)
from .parameters import Parameter
from .sequential import Sequential

#: Layers whose output does not depend on the scale of their input.
NORMS = (BatchNorm, GroupNorm, LayerNorm, RMSNorm)
#: Layers with branches, which all get the same input.
BRANCHED = (Residual, Concat)
#: Layers whose outputs of more than two dimensions have the units last, and second.
UNITS_LAST = (Linear, LayerNorm, RMSNorm, Embedding)
UNITS_SECOND = (BatchNorm, GroupNorm, MaxPool2d, AvgPool2d, AdaptiveAvgPool2d, Unflatten)


class Part(NamedTuple):
    """A layer and its place in the network.

    Attributes
    ----------
    name : str
        As in the names of its parameters, such as "3.inner.0".
    layer : Layer
        A `Residual` or `Concat` comes after its branches and represents what they give together.
    branch : str
        The branch of the layer, such as "3.inner"; "" on the main path.
    """

    name: str
    layer: Layer
    branch: str

    @property
    def label(self) -> str:
        """Name and kind, such as "3.inner.0.Conv2d"."""
        return f"{self.name}.{type(self.layer).__name__}"


def parts(model: Sequential) -> list[Part]:
    """Return the layers in the order of computation.

    Examples
    --------
    >>> import pynn
    >>> block = pynn.Residual(pynn.Sequential(pynn.Linear(4, 4), pynn.Tanh()), pynn.Linear(4, 4))
    >>> [part.label for part in parts(pynn.Sequential(block, pynn.ReLU()))]
    ['0.inner.0.Linear', '0.inner.1.Tanh', '0.shortcut.Linear', '0.Residual', '1.ReLU']
    """
    return list(_within(model, "", ""))


def _within(container: Layer, prefix: str, branch: str) -> Iterator[Part]:
    for name, layer in container.children():
        full = prefix + name
        if isinstance(container, BRANCHED):
            branch = full
        if isinstance(layer, (Sequential, *BRANCHED)):
            yield from _within(layer, f"{full}.", branch)
        if not isinstance(layer, Sequential):
            yield Part(full, layer, branch)


def followers(chain: list[Part]) -> list[Layer | None]:
    """Return for each part the layer that receives its output, within its branch."""
    following: list[Layer | None] = []
    nearest: dict[str, Layer] = {}
    for part in reversed(chain):
        following.append(nearest.get(part.branch))
        nearest[part.branch] = part.layer
    return following[::-1]


def units_last(layers: Iterable[Layer], weighing: tuple[type[Layer], ...] = ()) -> set[int]:
    """Return the ids of the layers, given in order, whose outputs of more than two dimensions have their units last.

    Layers that say nothing of it, such as activations, follow the one before them. `weighing` are further classes:
    their layers with parameters have the units last.

    Examples
    --------
    >>> import pynn
    >>> model = pynn.Sequential(pynn.Linear(3, 4), pynn.ReLU(), pynn.BatchNorm1d(5), pynn.ReLU())
    >>> [id(layer) in units_last(model) for layer in model]
    [True, True, False, False]
    """
    found, last = set(), False
    for layer in layers:
        second = isinstance(layer, UNITS_SECOND) or any(p.ndim > 2 for p in layer.parameters())
        weighs = isinstance(layer, UNITS_LAST) or (isinstance(layer, weighing) and bool(layer.parameters()))
        last = not second and (last or weighs)
        if last:
            found.add(id(layer))
    return found


def amounts(layers: Iterable[Layer], x: np.ndarray) -> np.ndarray:
    """Return the columns of a network's inputs that are amounts; others number the categories of an embedding.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> model = pynn.Sequential(pynn.EmbedColumns([0, 4, 0], 2), pynn.Linear(4, 1))
    >>> amounts(model, np.array([[0.5, 3, 7.0]]))
    array([[0.5, 7. ]])
    """
    first = next((layer for layer in layers if not isinstance(layer, Flatten | Identity)), None)
    if isinstance(first, Embedding):
        return x[:, :0]
    if isinstance(first, EmbedColumns):
        return x[:, [column for column, size in enumerate(first.cardinalities) if not size]]
    return x


def weight_of(layer: Layer) -> Parameter | None:
    """Return the weight matrix or the filters of a layer, or None: a layer with branches has them in these.

    Tables of embeddings are no weight matrices, and the filters of a transposed convolution lie the other way.
    """
    none = (*BRANCHED, Embedding, EmbedColumns, ConvTranspose2d)
    known = [] if isinstance(layer, none) else [p for p in layer.parameters() if p.decay]
    return next((p for p in known if p.ndim == 2 or (p.ndim > 2 and p.fans is not None)), None)
