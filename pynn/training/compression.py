"""Gradients that ranks send each other in bfloat16, half the bytes of float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..utils.validation import choice

#: What gradients are compressed to.
COMPRESSIONS = ("bfloat16",)


def check_compression(compression: str | None, dtype: np.dtype, comm: Any) -> None:
    """Raise an error if gradients of this dtype cannot be compressed so, or if there are no ranks to send them to."""
    if compression is None:
        return
    choice(compression, "compression", COMPRESSIONS)
    if dtype != np.float32:
        raise TypeError(f"compression is {compression!r}, of float32; the model is {dtype}")
    if comm is None:
        raise ValueError(
            f"compression is {compression!r}, of what ranks send each other; pass their communicator, comm="
        )


def sum_compressed(comm: Any, grads: np.ndarray) -> None:
    """Replace gradients by their sum: each rank receives its part of all, sums it in float32 and sends the sum."""
    width = -(-len(grads) // comm.size)
    sent = np.zeros((comm.size, width), np.uint16)
    sent.reshape(-1)[: len(grads)] = as_bfloat16(grads)
    received = np.empty_like(sent)
    comm.Alltoall(sent, received)
    total = from_bfloat16(received[0])
    for part in received[1:]:
        total += from_bfloat16(part)
    comm.Allgather(as_bfloat16(total), sent)
    grads[...] = from_bfloat16(sent.reshape(-1)[: len(grads)])


def as_bfloat16(values: np.ndarray) -> np.ndarray:
    """Return float32 values rounded to bfloat16, to even, as uint16; NaN stays NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from_bfloat16(as_bfloat16(np.array([1.0, 3.14159, 0.1], np.float32)))
    array([1.        , 3.140625  , 0.10009766], dtype=float32)
    """
    bits = values.view(np.uint32)
    rounded = bits >> 16
    rounded &= 1
    rounded += 0x7FFF
    rounded += bits
    rounded >>= 16
    found = rounded.astype(np.uint16)
    found[np.isnan(values)] = 0x7FC0
    return found


def from_bfloat16(values: np.ndarray) -> np.ndarray:
    """Return the values of `as_bfloat16` as float32."""
    return (values.astype(np.uint32) << 16).view(np.float32)
