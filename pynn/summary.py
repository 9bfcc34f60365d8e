"""A model as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .context import Context

if TYPE_CHECKING:
    from .model import Sequential


def summarize(model: Sequential) -> str:
    """Return a table of the layers, their output shapes and parameter counts.

    Output shapes come from one pass over a batch of zeros, as far as the first layer tells what it expects.

    Examples
    --------
    >>> import pynn
    >>> print(pynn.Sequential(pynn.Linear(4, 8), pynn.ReLU(), pynn.Linear(8, 3)).summary())
    layer    kind    output         parameters
    0        Linear  (n, 8)                 40
    1        ReLU    (n, 8)                  0
    2        Linear  (n, 3)                 27
    total                                   67
    """
    rows = []
    first = next((w for w in (_expected(layer) for layer in model.leaves()) if w is not None), None)
    x = None if first is None else np.zeros((1, first), model.dtype)
    total = frozen = 0
    for name, layer in model.named_leaves():
        shape = "?"
        if x is not None:
            try:
                x = layer.forward(x, Context())
                shape = "(" + ", ".join(["n", *map(str, x.shape[1:])]) + ")"
            except (ValueError, TypeError):
                x = None
        count = sum(p.size for p in layer.parameters())
        total += count
        frozen += sum(p.size for p in layer.parameters() if p.frozen)
        rows.append((name, type(layer).__name__, shape, f"{count:,}"))
    rows.append(("total", "", "", f"{total:,}"))
    if frozen:
        rows.append(("frozen", "", "", f"{frozen:,}"))
    rows.insert(0, ("layer", "kind", "output", "parameters"))
    kind_width = max(len(row[1]) for row in rows)
    name_width = max(8, *(len(row[0]) for row in rows))
    return "\n".join(
        f"{name:{name_width}} {kind:{kind_width}}  {shape:14} {count:>10}" for name, kind, shape, count in rows
    )


def _expected(layer: object) -> int | None:
    return getattr(layer, "in_features", getattr(layer, "num_features", None))
