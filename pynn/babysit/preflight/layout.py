"""Check that images are (channels, height, width), neither with colours last nor reshaped from that."""

from __future__ import annotations

import numpy as np

from .case import Case
from .report import Check, passed, skipped, warned

#: Numbers of colours, and the least side of an image that is no row of colours.
COLOURS, SIDE = (1, 3, 4), 8
#: Images that are looked at, and the share of the roughness that is left if another order of the axes is the right one.
#: CIFAR-10 has 0.28 in its order and 1.2 in the other; images of noise have 4 in both.
LOOKED_AT, SMOOTHER = 32, 0.5


def image_layout(case: Case) -> Check:
    """Check that images are (channels, height, width), neither with colours last nor reshaped from that."""
    name = "image layout"
    x = case.examples.x
    if x.ndim != 4:
        return skipped(name, "only for images")
    channels, height, width = x.shape[1:]
    evidence = f"{channels} channel{'s' * (channels != 1)} of {height}x{width} pixels"
    if width in COLOURS and min(channels, height) >= SIDE:
        evidence += f": rather {channels}x{height} pixels with {width} colour{'s' * (width != 1)} last"
        return warned(name, None, evidence, "Put the colours first: x.transpose(0, 3, 1, 2).")
    if channels == 1 or min(height, width) < SIDE or case.size < 2:
        return passed(name, evidence)
    images = case.take(case.rows(LOOKED_AT, stream=19)).x.astype(np.float64)
    restored = images.reshape(len(images), height, width, channels).transpose(0, 3, 1, 2)
    as_it_is, otherwise = _roughness(images), _roughness(restored)
    if otherwise < SMOOTHER * as_it_is:
        evidence += f"; neighbours differ by {as_it_is:.2g} of the variance, with the colours last by {otherwise:.2g}"
        advice = "Transpose images with the colours last, do not reshape them: x.transpose(0, 3, 1, 2)."
        return warned(name, None, evidence, advice)
    return passed(name, evidence)


def _roughness(images: np.ndarray) -> float:
    """Return the mean square of the difference of neighbours, down and across, in units of the variance."""
    differences = (np.square(np.diff(images, axis=axis)).mean() for axis in (2, 3))
    return float(sum(differences) / max(images.var(), 1e-30))
