"""How large an array may be whose sizes are numbers in the model, not those of its inputs."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ....utils.validation import shortened
from ..graph import Node

#: 8 GiB of float32.
MOST_ELEMENTS = 2**31


def affordable(node: Node, sizes: Iterable[int]) -> list[int]:
    """Return sizes, or raise ValueError if there are negative ones, or more elements than `MOST_ELEMENTS`."""
    shape = [int(size) for size in sizes]
    if min(shape, default=0) < 0 or math.prod(shape) > MOST_ELEMENTS:
        expected = "expected sizes of at least 0, and at most 2**31 elements"
        raise ValueError(f"{node} makes an array of shape {shortened(shape)}; {expected}")
    return shape
