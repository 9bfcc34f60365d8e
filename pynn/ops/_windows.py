"""Geometry of windows that slide over images: sizes, strides, padding, and the number of windows."""

from __future__ import annotations

from typing import Any

from ..utils.validation import count

#: Rows and columns.
Pair = tuple[int, int]

#: Maximum number of elements of padded images, a window and a stride: kernels count them, and the bytes of float64, in
#: signed 64-bit integers.
MAX_ELEMENTS = 2**58


def pair(value: Any, name: str, *, minimum: int = 1) -> Pair:
    """Return a number, or a pair of numbers for rows and columns, as a pair."""
    if type(value) is int and minimum <= value < MAX_ELEMENTS:
        return value, value  # the usual case, in a tenth of the time
    values = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(values) != 2:
        raise ValueError(f"{name} is {value!r}; expected a number or a pair (rows, columns)")
    rows, columns = (count(number, name, minimum=minimum) for number in values)
    if max(rows, columns) >= MAX_ELEMENTS:
        raise ValueError(f"{name} is {value!r}, more than can be addressed; expected less than 2**58")
    return rows, columns


def image_shape(shape: Any) -> tuple[int, int, int, int]:
    """Return the shape of images, or raise ValueError unless it has four dimensions."""
    if not isinstance(shape, tuple | list) or len(shape) != 4:
        raise ValueError(f"shape is {shape!r}; expected that of images, (n, channels, height, width)")
    n, channels, height, width = shape
    return n, channels, height, width


def reach(kernel: Pair, dilation: Pair) -> Pair:
    """Return the number of rows and columns that a window spans."""
    return (kernel[0] - 1) * dilation[0] + 1, (kernel[1] - 1) * dilation[1] + 1


def borders(padding: Any, kernel: Pair, stride: Pair, dilation: Pair) -> tuple[Pair, Pair]:
    """Return the padding before and after, as pairs, for a number, a pair, "valid" or "same".

    "same" keeps the size; if the total padding is odd, the larger part is after.
    """
    if not isinstance(padding, str):
        both = pair(padding, "padding", minimum=0)
        return both, both
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding != "same":
        raise ValueError(f'padding is {padding!r}; expected a number, a pair, "same" or "valid"')
    if stride != (1, 1):
        raise ValueError(f'padding "same" needs a stride of 1; got stride {stride}')
    rows, columns = reach(kernel, dilation)
    before = (rows - 1) // 2, (columns - 1) // 2
    return before, (rows - 1 - before[0], columns - 1 - before[1])


def windows(
    shape: tuple[int, ...],
    kernel: Pair,
    stride: Pair,
    before: Pair,
    after: Pair,
    dilation: Pair,
    *,
    ceil: bool = False,
) -> Pair:
    """Return the number of windows in images (n, channels, height, width), or raise ValueError if none fits.

    With `ceil` a last window may extend beyond the padding, if it begins within the image or the padding before it
    (PyTorch's ``ceil_mode``).
    """
    size = shape[2:]
    counts, elements = [], max(1, shape[0]) * max(1, shape[1])
    for axis, name in enumerate(("height", "width")):
        length = size[axis] + before[axis] + after[axis]
        width = (kernel[axis] - 1) * dilation[axis] + 1
        if length < width:
            raise ValueError(
                f"a window of {name} {width} (kernel {kernel[axis]}, dilation {dilation[axis]}) does not fit into an "
                f"image of {name} {size[axis]} with padding {before[axis]} and {after[axis]}"
            )
        steps = length - width
        number = (-(-steps // stride[axis]) if ceil else steps // stride[axis]) + 1
        if ceil and (number - 1) * stride[axis] >= size[axis] + before[axis]:
            number -= 1
        counts.append(number)
        elements *= length + width + stride[axis]
    if elements > MAX_ELEMENTS:
        raise ValueError(
            f"padding {before}, stride {stride}, dilation {dilation} and a kernel of {kernel} over images of shape "
            f"{shape} span {elements} elements, more than can be addressed; expected at most {MAX_ELEMENTS}"
        )
    return counts[0], counts[1]


def pooling_window(kernel: Any, stride: Any, padding: Any, dilation: Any = 1) -> tuple[Pair, Pair, Pair, Pair]:
    """Return the arguments of a pooling as pairs, or raise ValueError if a window could miss the image."""
    size, spread, border = pair(kernel, "kernel_size"), pair(dilation, "dilation"), pair(padding, "padding", minimum=0)
    step = size if stride is None else pair(stride, "stride")
    for axis, width in enumerate(reach(size, spread)):
        if 2 * border[axis] > width:
            raise ValueError(f"padding {border} is more than half of a window of {reach(size, spread)}")
    return size, step, border, spread


def pooled_shape(
    shape: tuple[int, ...], kernel: Pair, stride: Pair, padding: Pair, dilation: Pair = (1, 1), ceil: bool = False
) -> tuple[int, ...]:
    """Return the shape of the pooled images."""
    return (*shape[:2], *windows(shape, kernel, stride, padding, padding, dilation, ceil=ceil))


def adaptive_shape(shape: tuple[int, ...], grid: Pair) -> tuple[int, ...]:
    """Return the shape of images pooled to a grid of windows, or raise ValueError if that is impossible."""
    if 0 in shape[2:]:
        raise ValueError(f"x has shape {shape}; expected images with at least one row and column")
    if max(grid) * max(shape[2:]) > MAX_ELEMENTS:
        raise ValueError(f"{grid} windows over images of shape {shape} exceed the 64-bit range")
    return (*shape[:2], *grid)
