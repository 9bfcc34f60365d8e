"""Pictures of values over time: histograms, activity of units, figures of many layers, and weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...report import pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...report.pixels import Pixels
    from ...report.text import Floats
    from ..monitor.snapshots import Histogram

#: Maximum rows and columns of a picture.
MAX_ROWS, MAX_COLUMNS = 128, 160
#: Rows of a histogram's picture.
VALUE_ROWS = 48
#: Ratio of histogram widths from which a picture has a symmetric logarithmic scale.
WIDEST_LINEAR = 30.0
#: Maximum number of units with weight pictures.
MAX_TILES = 64
#: Maximum number of filters, and of channels per filter if shown separately.
MAX_FILTERS = 16

#: Flattened images by input size: scikit-learn digits, MNIST, CIFAR.
_IMAGES = {64: (1, 8, 8), 784: (1, 28, 28), 3072: (3, 32, 32)}


@dataclass
class Map:
    """A picture with its axis labels.

    Attributes
    ----------
    image : uint8, shape (height, width) or (height, width, 3 or 4)
        Palette indices, RGB or RGBA, the top row first.
    palette : uint8, shape (256, 4), or None
    ticks : list of (float, str)
        Marks of the vertical axis: share of the height from the top, and text.
    span : (first, last)
        First and last step of the width, if it is time.
    """

    image: Pixels
    palette: Pixels | None
    ticks: list[tuple[float, str]]
    span: tuple[int, int] = (0, 0)

    def uri(self) -> str:
        """Return the picture as a data URI."""
        return pixels.data_uri(pixels.png(self.image, self.palette))


def histogram_map(steps: Sequence[int], histograms: Sequence[Histogram], span: tuple[int, int]) -> Map | None:
    """Return histograms over time, one column each, coloured by density; None if nothing can be drawn."""
    kept = [
        (step, histogram)
        for step, histogram in zip(steps, histograms, strict=True)
        if math.isfinite(histogram.low) and math.isfinite(histogram.high) and np.sum(histogram.counts) > 0
    ]
    if not kept:
        return None
    ranges = np.array([_central_range(histogram) for _, histogram in kept])
    edges, ticks = _value_axis(ranges)
    columns = []
    for _, histogram in kept:
        share = np.diff(_cumulated(histogram, edges))
        # The square root keeps thin tails visible next to the many zeros of a ReLU.
        columns.append(np.sqrt(share / max(float(share.max()), 1e-300)))
    image = pixels.to_index(np.array(columns).T[::-1], 0.0, 1.0)
    return Map(_over_time(image, [step for step, _ in kept], span), pixels.ramp(), ticks, span)


def _over_time(columns: Pixels, steps: Sequence[int], span: tuple[int, int]) -> Pixels:
    """Spread columns recorded at `steps` over the whole span: each step shows the latest column."""
    first, last = span
    if last <= first:
        return columns[:, -1:]
    at = np.linspace(first, last, MAX_COLUMNS)
    seen = np.searchsorted(np.asarray(steps), at, side="right") - 1
    return np.where(seen < 0, 0, columns[:, np.maximum(seen, 0)]).astype(np.uint8)


def _bin_edges(histogram: Histogram) -> Floats:
    low, high = histogram.low, histogram.high
    if not high > low:  # a single value: a bin around it at float32 resolution
        reach = max(abs(low) * 1e-6, 1e-30)
        low, high = low - reach, high + reach
    return np.linspace(low, high, len(histogram.counts) + 1)


def _cumulated(histogram: Histogram, at: Floats) -> Floats:
    """Return the number of values below each edge; the outermost bins include values beyond them."""
    totals = np.concatenate([[0.0], np.cumsum(histogram.counts, dtype=np.float64)])
    below = np.interp(at, _bin_edges(histogram), totals)
    below[0], below[-1] = 0.0, totals[-1]
    return below


def _central_range(histogram: Histogram) -> tuple[float, float]:
    """Return the range of the central 99% of the values."""
    if not histogram.high > histogram.low:
        return histogram.low, histogram.high
    totals = np.concatenate([[0.0], np.cumsum(histogram.counts, dtype=np.float64)])
    low, high = np.interp([0.005 * totals[-1], 0.995 * totals[-1]], totals, _bin_edges(histogram))
    return float(low), float(high)


def _value_axis(ranges: Floats) -> tuple[Floats, list[tuple[float, str]]]:
    """Return the edges of the rows from below, and the ticks."""
    low, high = float(ranges[:, 0].min()), float(ranges[:, 1].max())
    # The zeros of a ReLU belong at the edge, not a hundredth above it.
    low = 0.0 if abs(low) < 0.03 * high else low
    high = 0.0 if abs(high) < -0.03 * low else high
    reach = np.abs(ranges).max(axis=1)
    smallest = float(reach[reach > 0].min()) if (reach > 0).any() else 1.0
    logarithmic = float(reach.max()) > WIDEST_LINEAR * smallest
    scale = smallest / 2 if logarithmic else 1.0
    bottom, top = (math.asinh(low / scale), math.asinh(high / scale)) if logarithmic else (low, high)
    if not top > bottom:
        bottom, top = bottom - 0.5, top + 0.5
    grid = np.linspace(bottom, top, VALUE_ROWS + 1)
    edges = np.sinh(grid) * scale if logarithmic else grid
    ticks = [(0.0, _short(edges[-1])), (1.0, _short(edges[0]))]
    zero = top / (top - bottom)
    if 0.12 < zero < 0.88:
        ticks.insert(1, (zero, "0"))
    return edges, ticks


def _short(value: float) -> str:
    """Format a value with two digits, short enough for an axis.

    Examples
    --------
    >>> _short(1345.6), _short(-7.1e6), _short(0.0532)
    ('1300', '-7.1e6', '0.053')
    """
    return f"{float(f'{value:.2g}'):g}".replace("e+0", "e").replace("e-0", "e-")


def activity_map(steps: Sequence[int], shares: Sequence[NDArray], span: tuple[int, int]) -> Map:
    """Return the activity of units over time; the least active ones at the end are at the bottom."""
    table = np.array(shares, np.float64).T
    order = np.argsort(-np.nan_to_num(table[:, -1], nan=-1.0), kind="stable")
    table = table[order][_spread(len(order), MAX_ROWS)]
    image = pixels.to_index(np.sqrt(np.maximum(table, 0.0)), 0.0, 1.0, first=40)
    image[table == 0] = 1
    return Map(_over_time(image, steps, span), pixels.activity(), [], span)


def layer_map(steps: NDArray, columns: Sequence[Floats], low: float, high: float, palette: Pixels) -> Map:
    """Return a figure of many layers, one row each, over time; the mean of neighbouring rows of the stats."""
    pieces = np.array_split(np.arange(len(steps)), min(len(steps), MAX_COLUMNS))
    table = np.full((len(columns), len(pieces)), np.nan)
    for row, column in enumerate(columns):
        for index, piece in enumerate(pieces):
            values = column[piece]
            values = values[np.isfinite(values)]
            if len(values):
                table[row, index] = values.mean()
    return Map(pixels.to_index(table, low, high, first=1), palette, [], (int(steps[0]), int(steps[-1])))


def image_shape(fan_in: int, input_shape: Sequence[int] | None) -> tuple[int, int, int] | None:
    """Return (channels, height, width) if the network's inputs are images.

    Examples
    --------
    >>> image_shape(784, (784,)), image_shape(12, (12,)), image_shape(12, (1, 3, 4))
    ((1, 28, 28), None, (1, 3, 4))
    """
    shape = tuple(input_shape or ())
    if math.prod(shape) == fan_in:
        if len(shape) == 3 and shape[0] in (1, 3):
            return shape[0], shape[1], shape[2]
        if len(shape) == 2:
            return 1, shape[0], shape[1]
    return _IMAGES.get(fan_in)


def weight_tiles(weights: NDArray, shape: tuple[int, int, int]) -> Map:
    """Return the weights of each unit (a column) as an image, scaled individually, side by side."""
    channels, height, width = shape
    shown = _scaled(weights[:, :MAX_TILES])
    sheet, covered = _sheet(shown.reshape(-1, channels, height, width).transpose(0, 2, 3, 1), _across(len(shown)))
    return _two_sided(sheet, covered) if channels == 1 else Map(pixels.to_index(sheet, 0.0, 1.0), None, [])


def filter_tiles(weights: NDArray, shape: tuple[int, ...]) -> tuple[Map, int]:
    """Return filters (columns) of a shape (channels, ...) as individually scaled pictures, and their number.

    One or three channels give one grey or colour tile per filter; otherwise a filter is a row of its channels.
    """
    channels, height, width = shape[0], math.prod(shape[1:-1]), shape[-1]
    if channels not in (1, 3):
        tiles = _scaled(weights[:, :MAX_FILTERS]).reshape(-1, channels, height, width)[:, :MAX_FILTERS]
        return _two_sided(*_sheet(tiles.reshape(-1, height, width, 1), tiles.shape[1])), len(tiles)
    tiles = _scaled(weights[:, :MAX_TILES]).reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
    sheet, covered = _sheet(tiles, _across(len(tiles)))
    colours = np.broadcast_to(pixels.to_index(sheet, 0.0, 1.0), (*covered.shape, 3))
    return Map(np.dstack([colours, 255 * covered.astype(np.uint8)]), None, []), len(tiles)


def _scaled(weights: NDArray) -> Floats:
    """Return a row per column: zero becomes the middle, 0.5, and the largest weight an end of [0, 1]."""
    rows = weights.T.astype(np.float64)
    rows = np.where(np.isfinite(rows), rows, 0.0)
    return 0.5 + 0.5 * rows / np.maximum(np.abs(rows).max(axis=1, keepdims=True), 1e-300)


def _across(count: int) -> int:
    return min(8, count, math.ceil(math.sqrt(count * 1.6)))


def _sheet(tiles: Floats, across: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Return tiles (count, height, width, depth) side by side, one pixel apart, and a mask of their pixels."""
    count, height, width, depth = tiles.shape
    sheet = np.zeros((math.ceil(count / across) * (height + 1) - 1, across * (width + 1) - 1, depth))
    covered = np.zeros(sheet.shape[:2], bool)
    for index, tile in enumerate(tiles):
        top, left = index // across * (height + 1), index % across * (width + 1)
        place = np.s_[top : top + height, left : left + width]
        sheet[place], covered[place] = tile, True
    return sheet, covered


def _two_sided(sheet: Floats, covered: NDArray[np.bool_]) -> Map:
    image = np.where(covered, pixels.to_index(sheet[..., 0], 0.0, 1.0, first=1), 0).astype(np.uint8)
    return Map(image, pixels.two_sided(), [])


def how_filters_are_shown(channels: int) -> str:
    """Describe how `filter_tiles` shows filters with `channels` channels."""
    if channels == 3:
        return "their channels are red, green and blue, and grey is zero"
    if channels == 1:
        return "white is positive, black is negative, and grey is zero"
    which = f"each of its {channels} channels"
    if channels > MAX_FILTERS:
        which = f"each of the first {MAX_FILTERS} of its {channels} channels"
    return f"a row per filter, a column for {which}"


def weight_map(weights: NDArray) -> Map:
    """Return the weight matrix as a picture: inputs from the top, units from the left."""
    rows, columns = _spread(weights.shape[0], MAX_ROWS), _spread(weights.shape[1], MAX_COLUMNS)
    part = weights[np.ix_(rows, columns)].astype(np.float64)
    finite = np.abs(part[np.isfinite(part)])
    reach = float(np.quantile(finite, 0.995)) if len(finite) else 1.0
    return Map(pixels.to_index(part, -reach, reach, first=1), pixels.two_sided(), [])


def _spread(length: int, maximum: int) -> NDArray[np.intp]:
    """Return at most `maximum` evenly spaced indices, including the first and the last."""
    return np.unique(np.linspace(0, length - 1, min(length, maximum)).round().astype(np.intp))
