"""PNG encoder from the standard library, and palettes for light and dark pages."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

# Blue and vermilion of Okabe and Ito (2008), slightly lighter, to be visible on white and near-black.
BLUE, VERMILION = (31, 135, 200), (226, 98, 20)


def ramp(colour: tuple[int, int, int] = BLUE) -> Pixels:
    """Return a palette, (256, 4) as RGBA, from transparent to the colour, for any background."""
    return np.array([(*colour, alpha) for alpha in range(256)], np.uint8)


def two_sided() -> Pixels:
    """Return a palette from blue (1) over transparent (128; also 0, missing) to vermilion (255)."""
    below = [(*BLUE, 2 * (128 - index)) for index in range(1, 128)]
    above = [(*VERMILION, min(2 * (index - 128), 255)) for index in range(128, 256)]
    return np.array([(0, 0, 0, 0), *below, *above], np.uint8)


def activity() -> Pixels:
    """Return a palette: transparent for missing (0), vermilion for never (1), then blue of increasing strength."""
    return np.array([(0, 0, 0, 0), (*VERMILION, 255), *((*BLUE, alpha) for alpha in range(2, 256))], np.uint8)


def to_index(values: NDArray, low: float, high: float, *, first: int = 0) -> Pixels:
    """Return values in [low, high] as palette indices from `first` to 255; NaN becomes 0."""
    span = high - low if high > low else 1.0
    with np.errstate(invalid="ignore", over="ignore"):
        share = np.clip((values.astype(np.float64) - low) / span, 0.0, 1.0)
        return np.where(np.isnan(share), 0, first + np.rint(np.nan_to_num(share) * (255 - first))).astype(np.uint8)


def png(pixels: Pixels, palette: Pixels | None = None) -> bytes:
    r"""Return a PNG file.

    Parameters
    ----------
    pixels : uint8, shape (height, width) or (height, width, 3 or 4)
        Indices into the palette, RGB or RGBA.
    palette : uint8, shape (256, 4), optional
        RGBA.

    Examples
    --------
    >>> png(np.zeros((2, 3), np.uint8), ramp())[:4]
    b'\x89PNG'
    """
    height, width = pixels.shape[:2]
    kind = 3 if palette is not None else 2 if pixels.shape[2] == 3 else 6
    rows = pixels.reshape(height, -1)
    # Each row begins with its filter type, 0 for none.
    data = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1).tobytes()
    chunks = [(b"IHDR", struct.pack(">2I5B", width, height, 8, kind, 0, 0, 0))]
    if palette is not None:
        chunks += [(b"PLTE", palette[:, :3].tobytes()), (b"tRNS", palette[:, 3].tobytes())]
    chunks += [(b"IDAT", zlib.compress(data, 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )


def data_uri(content: bytes) -> str:
    """Return a PNG file as a data URI."""
    return "data:image/png;base64," + base64.b64encode(content).decode("ascii")
