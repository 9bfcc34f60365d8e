"""Whether neighbouring layers fit each other: how many features or channels each takes and gives."""

from __future__ import annotations

from collections.abc import Iterable

from .layers import AdaptiveAvgPool2d, AvgPool2d, Dropout, Flatten, Layer, LayerNorm, MaxPool2d, PReLU
from .layers.activations import Activation

#: Layers that change no width; another layer that does not name its `out_features` or `out_channels` may.
KEEP_WIDTH = (Activation, AdaptiveAvgPool2d, AvgPool2d, Dropout, Flatten, LayerNorm, MaxPool2d, PReLU)


def check_widths(leaves: Iterable[tuple[str, Layer]]) -> None:
    """Raise ValueError if a layer expects another width than the one before gives."""
    width, source, images = None, "", False
    flat = False  # whether examples are known to be vectors, which Flatten leaves as they are
    for name, layer in leaves:
        expected = input_width(layer)
        if expected is not None and width is not None and expected != width:
            what = "channels" if images else "features"
            raise ValueError(
                f"layer {name} ({type(layer).__name__}) expects {expected} {what}, but {source} gives {width}"
            )
        given = getattr(layer, "out_features", getattr(layer, "out_channels", None))
        if given is not None:
            width, images = given, hasattr(layer, "out_channels")
            flat = not images
        elif isinstance(layer, Flatten):
            if not flat:
                width = None  # channels times positions
            images, flat = False, True
        elif expected is not None or not isinstance(layer, KEEP_WIDTH):
            flat = flat and expected == width is not None
            width = expected
        source = f"layer {name} ({type(layer).__name__})"


def input_width(layer: Layer) -> int | None:
    """Return how many features or channels the layer takes, if it says so."""
    for name in ("in_features", "num_features", "in_channels", "num_channels"):
        if hasattr(layer, name):
            return getattr(layer, name)
    return None
