"""A model as a table."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from .context import Context

if TYPE_CHECKING:
    from .model import Sequential


def summarize(model: Sequential, input_shape: tuple[int, ...] | None = None) -> str:
    """Return a table of the layers, their output shapes and parameter counts.

    Output shapes come from one pass over a batch of zeros, of the given shape of an example or what the first layer
    tells that it expects.

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
    shapes = _output_shapes(model, input_shape)
    for name, layer in model.named_leaves():
        count = sum(parameter.size for parameter in layer.parameters())
        table.add_row(name, type(layer).__name__, shapes.get(name, "?"), f"{count:,}")
    table.add_row("total", "", "", f"{sum(p.size for p in model.parameters()):,}")
    frozen = sum(p.size for p in model.parameters() if p.frozen)
    if frozen:
        table.add_row("frozen", "", "", f"{frozen:,}")
    text = io.StringIO()
    Console(file=text, width=100, no_color=True, highlight=False).print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def _output_shapes(model: Sequential, input_shape: tuple[int, ...] | None) -> dict[str, str]:
    """Return the output shape of each layer, as far as they can be found out without data."""
    if input_shape is None:
        widths = (getattr(layer, "in_features", getattr(layer, "num_features", None)) for layer in model.leaves())
        first = next((width for width in widths if width is not None), None)
        if first is None or any(hasattr(layer, "in_channels") for layer in model.leaves()):
            return {}
        input_shape = (first,)
    shapes: dict[str, str] = {}
    x = np.zeros((1, *input_shape), model.dtype)
    for name, layer in model.named_leaves():
        try:
            x = layer.forward(x, Context())
        except (ValueError, TypeError):
            break
        shapes[name] = "(" + ", ".join(["n", *map(str, x.shape[1:])]) + ")"
    return shapes
