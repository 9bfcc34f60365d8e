"""Check that neighbouring layers fit: the number of features or channels that each takes and returns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .layers import (
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    Concat,
    Dropout,
    Flatten,
    Hardtanh,
    Identity,
    Layer,
    LayerNorm,
    MaxPool2d,
    PReLU,
    Softmax,
    ZeroPad2d,
)
from .layers.activations import Activation
from .layers.upsample import Upsample

#: Layers that preserve the width; any other layer without `out_features` or `out_channels` may change it.
KEEP_WIDTH = (
    Activation,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    Dropout,
    Flatten,
    Hardtanh,
    Identity,
    LayerNorm,
    MaxPool2d,
    PReLU,
    Softmax,
    Upsample,
    ZeroPad2d,
)


def check_widths(leaves: Iterable[tuple[str, Layer]]) -> None:
    """Raise ValueError if a layer expects another width than the previous layer returns."""
    width, source, images = None, "", False
    flat = False  # whether examples are known to be vectors, which Flatten does not change
    for name, layer in leaves:
        expected = input_width(layer)
        for inner, taker in _takers(name, layer):
            takes = input_width(taker)
            if takes is not None and width is not None and takes != width:
                what = "channels" if images else "features"
                raise ValueError(
                    f"layer {inner} ({type(taker).__name__}) expects {takes} {what}, but {source} returns {width}"
                )
        given, channels = _output_width(layer)
        if given is not None:
            width, images = given, channels
            flat = not images
        elif isinstance(layer, Flatten):
            if not flat:
                width = None  # channels * positions
            images, flat = False, True
        elif expected is not None or not isinstance(layer, KEEP_WIDTH):
            flat = flat and expected == width is not None
            width = expected
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
        return _output_width(changing[-1]) if changing else (None, False)
    return getattr(layer, "out_features", getattr(layer, "out_channels", None)), hasattr(layer, "out_channels")


def input_width(layer: Layer) -> int | None:
    """Return the number of features or channels that the layer takes, or None."""
    for name in ("in_features", "num_features", "in_channels", "num_channels"):
        if hasattr(layer, name):
            return getattr(layer, name)
    return None
