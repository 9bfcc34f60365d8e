"""Check that neighbouring layers fit: the number of features or channels that each takes and returns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .layers import (
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    BatchNorm,
    Concat,
    Dropout,
    EmbedColumns,
    Flatten,
    GroupNorm,
    Hardtanh,
    Identity,
    Layer,
    LayerNorm,
    Linear,
    Maxout,
    MaxPool2d,
    PReLU,
    RMSNorm,
    Softmax,
    ZeroPad2d,
)
from .layers.activations import Activation
from .layers.upsample import Upsample

#: Layers that change positions: they preserve channels, but behind a linear layer the features are the last positions.
RESIZING = (AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, MaxPool2d, Upsample, ZeroPad2d)
#: Layers that preserve the width; any other layer without `out_features` or `out_channels` may change it.
KEEP_WIDTH = (
    Activation,
    *RESIZING,
    Dropout,
    Flatten,
    Hardtanh,
    Identity,
    LayerNorm,
    PReLU,
    RMSNorm,
    Softmax,
)


class Width(NamedTuple):
    """What is known of the arrays between two layers.

    Attributes
    ----------
    size : int or None
        The number of channels, or of features in the last dimension.
    channels : bool
    multiple : bool
        Whether the number of features is some multiple of `size`: it counts positions, too.
    vectors : bool
        Whether examples are known to be vectors, so that Flatten changes nothing.
    """

    size: int | None = None
    channels: bool = False
    multiple: bool = False
    vectors: bool = False

    def suits(self, taker: Layer, takes: int) -> bool:
        """Return whether a layer that takes this many features or channels may follow.

        A linear layer takes the last dimension, all others the second one.
        """
        comparable = not isinstance(taker, Linear) if self.channels else self.vectors or hasattr(taker, "in_features")
        if self.size is None or not comparable:
            return True
        return takes % self.size == 0 if self.multiple else takes == self.size

    def after(self, layer: Layer) -> Width:
        """Return what is known behind a layer."""
        given, channels = _output_width(layer)
        if given is not None:
            vectors = not channels and (self.vectors or isinstance(layer, Maxout | EmbedColumns))
            return Width(given, channels, vectors=vectors)
        if isinstance(layer, Flatten):
            return Width(self.size, multiple=self.multiple or not self.vectors, vectors=True)
        expected = input_width(layer)
        resized = isinstance(layer, RESIZING) and not self.channels
        if resized or (expected is None and not isinstance(layer, KEEP_WIDTH)):
            return Width()
        if expected is None or (self.size is not None and isinstance(layer, BatchNorm | GroupNorm)):
            return self
        return Width(expected, not self.vectors and not hasattr(layer, "in_features"), vectors=self.vectors)


def check_widths(leaves: Iterable[tuple[str, Layer]]) -> None:
    """Raise ValueError if a layer expects another width than the previous layer returns."""
    width, source = Width(), ""
    for name, layer in leaves:
        for inner, taker in _takers(name, layer):
            takes = input_width(taker)
            if takes is not None and not width.suits(taker, takes):
                what = "channels" if width.channels else "features"
                returned = f"a multiple of {width.size}" if width.multiple else width.size
                raise ValueError(
                    f"layer {inner} ({type(taker).__name__}) expects {takes} {what}, but {source} returns {returned}"
                )
        width = width.after(layer)
        source = f"layer {name} ({type(layer).__name__})"


def _takers(name: str, layer: Layer) -> Iterator[tuple[str, Layer]]:
    """Yield the layers that take the input of a layer, by name: itself, or the first one of each branch."""
    if not isinstance(layer, Concat):
        yield name, layer
        return
    for index, branch in layer.children():
        at, first = f"{name}.{index}", branch
        while not isinstance(first, Concat) and hasattr(first, "layers") and first.layers:
            at, first = f"{at}.0", first.layers[0]
        yield from _takers(at, first)


def _output_width(layer: Layer) -> tuple[int | None, bool]:
    """Return the width of what a layer returns, if it says so, and whether that is a number of channels."""
    if isinstance(layer, Concat):
        widths = [_output_width(branch) for branch in layer.branches]
        total = sum(width for width, _ in widths if width is not None)
        return None if any(width is None for width, _ in widths) else total, any(channels for _, channels in widths)
    layers = getattr(layer, "layers", None)
    if layers:
        changing = [inner for inner in layers if isinstance(inner, Flatten) or not isinstance(inner, KEEP_WIDTH)]
        width, channels = _output_width(changing[-1]) if changing else (None, False)
        resized = any(isinstance(inner, RESIZING) for inner in layers)
        return (width, channels) if channels or not resized else (None, False)
    return getattr(layer, "out_features", getattr(layer, "out_channels", None)), hasattr(layer, "out_channels")


def input_width(layer: Layer) -> int | None:
    """Return the number of features or channels that the layer takes, or None."""
    for name in ("in_features", "num_features", "in_channels", "num_channels"):
        if hasattr(layer, name):
            return getattr(layer, name)
    return None
