"""Check that neighbouring layers fit: the number of features or channels that each takes and returns."""

from __future__ import annotations

from collections.abc import Iterable

from .layers import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    Dropout,
    Flatten,
    Hardtanh,
    Identity,
    Layer,
    LayerNorm,
    MaxPool2d,
    PReLU,
    Softmax,
)
from .layers.activations import Activation

#: Layers that preserve the width; any other layer without `out_features` or `out_channels` may change it.
KEEP_WIDTH = (
    Activation,
    AdaptiveAvgPool2d,
    AvgPool2d,
    Dropout,
    Flatten,
    Hardtanh,
    Identity,
    LayerNorm,
    MaxPool2d,
    PReLU,
    Softmax,
)


def check_widths(leaves: Iterable[tuple[str, Layer]]) -> None:
    """Raise ValueError if a layer expects another width than the previous layer returns."""
    width, source, images = None, "", False
    flat = False  # whether examples are known to be vectors, which Flatten does not change
    for name, layer in leaves:
        expected = input_width(layer)
        if expected is not None and width is not None and expected != width:
            what = "channels" if images else "features"
            raise ValueError(
                f"layer {name} ({type(layer).__name__}) expects {expected} {what}, but {source} returns {width}"
            )
        given = getattr(layer, "out_features", getattr(layer, "out_channels", None))
        if given is not None:
            width, images = given, hasattr(layer, "out_channels")
            flat = not images
        elif isinstance(layer, Flatten):
            if not flat:
                width = None  # channels * positions
            images, flat = False, True
        elif expected is not None or not isinstance(layer, KEEP_WIDTH):
            flat = flat and expected == width is not None
            width = expected
        source = f"layer {name} ({type(layer).__name__})"


def input_width(layer: Layer) -> int | None:
    """Return the number of features or channels that the layer takes, or None."""
    for name in ("in_features", "num_features", "in_channels", "num_channels"):
        if hasattr(layer, name):
            return getattr(layer, name)
    return None
