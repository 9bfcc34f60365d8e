"""A model as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..utils.validation import count
from .context import Context

if TYPE_CHECKING:
    from .layers import Layer

HEADS = ("layer", "kind", "output", "parameters")


class Summary(str):
    """A model as a table: text that a terminal shows as it is, and a notebook as a table.

    Attributes
    ----------
    rows : list of tuple of str
        Layer, kind, output shape and number of parameters.
    caption : str

    Examples
    --------
    >>> import pynn
    >>> summary = pynn.Sequential(pynn.Linear(4, 3)).summary()
    >>> summary.rows[0]
    ('0', 'Linear', '(n, 3)', '15')
    """

    rows: list[tuple[str, ...]]
    caption: str

    @classmethod
    def of(cls, rows: list[tuple[str, ...]], caption: str) -> Summary:
        """Return the summary with these rows."""
        widths = [max(map(len, column)) for column in zip(HEADS, *rows, strict=True)]
        lines = []
        for *texts, figure in (HEADS, *rows):
            cells = [text.ljust(width) for text, width in zip(texts, widths[:-1], strict=True)]
            lines.append("  ".join([*cells, figure.rjust(widths[-1])]))
        made = cls("\n".join(lines))
        made.rows, made.caption = rows, caption
        return made

    def __repr__(self) -> str:
        return str(self)

    def html_table(self) -> str:
        """Return the table as HTML."""
        from html import escape  # not before someone looks: importing pynn should take no longer for it

        from ..report.page import table

        rows = [[first, *map(escape, cells)] for first, *cells in self.rows]
        return table(self.caption, list(HEADS), rows, HEADS[:3])

    def _repr_html_(self) -> str:
        from ..report.page import fragment

        return fragment(self.html_table())


def summarize(
    model: Layer, leaves: Sequence[tuple[str, Layer]], dtype: np.dtype, input_shape: tuple[int, ...] | None = None
) -> Summary:
    """Return a table of layers with output shapes and parameter counts.

    `leaves` are the layers of the model that are not containers, by name.

    Output shapes come from one pass over a batch of zeros, with the given example shape or the shape that the first
    layer expects.

    Examples
    --------
    >>> import pynn
    >>> pynn.Sequential(pynn.Linear(4, 8), pynn.ReLU(), pynn.Linear(8, 3)).summary()
    layer  kind    output  parameters
    0      Linear  (n, 8)          40
    1      ReLU    (n, 8)           0
    2      Linear  (n, 3)          27
    total                          67
    """
    shapes = _output_shapes(leaves, dtype, input_shape)
    rows: list[tuple[str, ...]] = []
    for name, layer in leaves:
        count = sum(parameter.size for parameter in layer.parameters())
        rows.append((name, type(layer).__name__, shapes.get(name, "?"), f"{count:,}"))
    rows.append(("total", "", "", f"{sum(p.size for p in model.parameters()):,}"))
    frozen = sum(p.size for p in model.parameters() if p.frozen)
    if frozen:
        rows.append(("frozen", "", "", f"{frozen:,}"))
    return Summary.of(rows, f"{type(model).__name__}, {len(leaves)} layer{'s' * (len(leaves) != 1)}")


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
    if not isinstance(input_shape, tuple | list):
        raise TypeError(f"input_shape is {input_shape!r}; expected the sizes of one example, such as (3, 32, 32)")
    input_shape = tuple(count(size, "a size of input_shape") for size in input_shape)
    shapes: dict[str, str] = {}
    x = np.zeros((1, *input_shape), dtype)
    for name, layer in leaves:
        try:
            x = layer.forward(x, Context())
        except Exception:  # a layer of the user's own may refuse zeros with any error
            break
        shapes[name] = "(" + ", ".join(["n", *map(str, x.shape[1:])]) + ")"
    return shapes
