"""A model as a table."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .context import Context

if TYPE_CHECKING:
    from .layers import Layer


def summarize(
    model: Layer, leaves: Sequence[tuple[str, Layer]], dtype: np.dtype, input_shape: tuple[int, ...] | None = None
) -> str:
    """Return a table of layers with output shapes and parameter counts.

    `leaves` are the layers of the model that are not containers, by name.

    Output shapes come from one pass over a batch of zeros, with the given example shape or the shape that the first
    layer expects.

    Examples
    --------
    >>> import pynn
    >>> print(pynn.Sequential(pynn.Linear(4, 8), pynn.ReLU(), pynn.Linear(8, 3)).summary())
    layer  kind    output  parameters
    0      Linear  (n, 8)          40
    1      ReLU    (n, 8)           0
    2      Linear  (n, 3)          27
    total                          67
    """
    from rich.console import Console
    from rich.table import Table

    table = Table("layer", "kind", "output", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("parameters", justify="right")
    shapes = _output_shapes(leaves, dtype, input_shape)
    for name, layer in leaves:
        count = sum(parameter.size for parameter in layer.parameters())
        table.add_row(name, type(layer).__name__, shapes.get(name, "?"), f"{count:,}")
    table.add_row("total", "", "", f"{sum(p.size for p in model.parameters()):,}")
    frozen = sum(p.size for p in model.parameters() if p.frozen)
    if frozen:
        table.add_row("frozen", "", "", f"{frozen:,}")
    text = io.StringIO()
    Console(file=text, width=100, no_color=True, highlight=False).print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def _output_shapes(
    leaves: Sequence[tuple[str, Layer]], dtype: np.dtype, input_shape: tuple[int, ...] | None
) -> dict[str, str]:
    """Return the output shape of each layer, as far as it can be determined without data."""
    if input_shape is None:
        widths = (getattr(layer, "in_features", getattr(layer, "num_features", None)) for _, layer in leaves)
        first = next((width for width in widths if width is not None), None)
        if first is None or any(hasattr(layer, "in_channels") for _, layer in leaves):
            return {}
        input_shape = (first,)
    shapes: dict[str, str] = {}
    x = np.zeros((1, *input_shape), dtype)
    for name, layer in leaves:
        try:
            x = layer.forward(x, Context())
        except (ValueError, TypeError):
            break
        shapes[name] = "(" + ", ".join(["n", *map(str, x.shape[1:])]) + ")"
    return shapes
