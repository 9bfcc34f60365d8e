"""What numbers in the model may be: sizes of arrays, axes, and the attributes of windows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from ....utils.validation import shortened
from ..graph import Node

#: 8 GiB of float32.
MOST_ELEMENTS = 2**31
PADDINGS = ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")


def affordable(node: Node, sizes: Iterable[int]) -> list[int]:
    """Return sizes, or raise ValueError if there are negative ones, or more elements than `MOST_ELEMENTS`."""
    shape = [int(size) for size in sizes]
    if min(shape, default=0) < 0 or math.prod(shape) > MOST_ELEMENTS:
        expected = "expected sizes of at least 0, and at most 2**31 elements"
        raise ValueError(f"{node} makes an array of shape {shortened(shape)}; {expected}")
    return shape


def dimension(node: Node, axis: int, rank: int) -> int:
    """Return which of `rank` dimensions an axis is, which counts from the end if it is negative."""
    if not -rank <= axis < rank:
        raise ValueError(f"{node} has axis {axis} of {rank} dimensions; expected {-rank} to {rank - 1}")
    return int(axis) % rank


def check_windows(node: Node, kernel: Sequence[int]) -> None:
    """Raise ValueError if the attributes of a node with windows contradict its kernel or each other."""
    given, how, pads = node.get("kernel_shape") or kernel, node.get("auto_pad", "NOTSET"), node.get("pads") or [0]
    if list(given) != list(kernel):
        raise ValueError(f"{node} has kernel_shape {list(given)} and a kernel of shape {list(kernel)}")
    for name in ("strides", "dilations"):
        if min(node.get(name) or [1]) < 1:
            raise ValueError(f"{node} has {name} {list(node.get(name))}; expected positive numbers")
    if how not in PADDINGS:
        raise ValueError(f"{node} has auto_pad {how!r}; expected one of {', '.join(PADDINGS)}")
    if how != "NOTSET" and any(pads):
        raise ValueError(f"{node} has auto_pad {how!r} and pads {list(pads)}; ONNX allows one of them")
