"""How operators call `pynn.ops`, which take float32 and float64."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import UnsupportedError
from ..graph import Node


def computed(node: Node, *arrays: np.ndarray | None) -> list[Any]:
    """Return the arrays in the dtype to compute in: their own, or float32 for float16."""
    first = next(array for array in arrays if array is not None)
    if first.dtype.kind != "f":
        raise UnsupportedError(f"{node} has inputs of {first.dtype}; expected float16, float32 or float64")
    dtype = np.float32 if first.dtype == np.float16 else first.dtype
    return [None if array is None else np.ascontiguousarray(array, dtype) for array in arrays]
