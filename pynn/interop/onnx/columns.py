"""How columns of a table of which some are embedded are read: all of them are taken from one value and joined."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...nn import layers
from .drafts import Draft
from .graph import Node
from .reading import Reading, floats


def embed_columns(read: Reading, value: str, users: Sequence[Node]) -> tuple[Draft, Node] | None:
    """Return the layer that takes columns of a value and embeds some, and the node that joins them, or None."""
    shape = read.shapes.get(value)
    if shape is None or len(shape) != 2 or any(user.op != "Gather" or user.get("axis", 0) != 1 for user in users):
        return None
    numbers: list[int] = []
    tables: dict[int, np.ndarray] = {}
    parts: list[str] = []
    for user in users:
        taken = _taken(read, user)
        if taken is None or (parts and taken[2] is None):  # numbers come first
            return None
        places, last, table = taken
        parts.append(last.outputs[0])
        if table is None:
            numbers += places
        else:
            tables[places[0]] = table
    joins = [node for part in parts for node in read.consumers.get(part, [])]
    columns = sorted(tables)
    if not joins or any(join is not joins[0] for join in joins) or joins[0].op != "Concat" or joins[0].inputs != parts:
        return None
    ordered = numbers == sorted(numbers) and list(tables) == columns
    if not ordered or sorted([*numbers, *columns]) != list(range(shape[1] or 0)):
        return None
    dims = [tables[column].shape[1] for column in columns]
    settings = {
        "cardinalities": [len(tables[k]) if k in tables else 0 for k in range(len(numbers) + len(columns))],
        "embedding_dims": dims,
    }
    arrays = {f"{index}.weight": tables[column] for index, column in enumerate(columns)}
    read.shapes[joins[0].outputs[0]] = (None, len(numbers) + sum(dims))
    return Draft(layers.EmbedColumns, settings, arrays, node=joins[0]), joins[0]


def _taken(read: Reading, node: Node) -> tuple[list[int], Node, np.ndarray | None] | None:
    """Return the columns that a Gather takes, the last node before the join, and the table of an embedding."""
    places = read.constants.get(node.inputs[1])
    if places is None or places.ndim > 1:
        return None
    if places.ndim == 1:
        return places.tolist(), node, None
    whole = read.following(node, "Cast")
    last = None if whole is None else read.following(whole, "Gather")
    if last is None or last.get("axis", 0) or read.array(last, 0).ndim != 2:
        return None
    return [int(places)], last, floats(last, read.array(last, 0))
