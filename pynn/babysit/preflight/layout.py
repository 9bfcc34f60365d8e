"""Check that images are (channels, height, width), that those of validation lie as those of training; and sequences."""

from __future__ import annotations

import numpy as np

from .case import Case
from .report import Check, failed, passed, skipped, warned

#: Numbers of colours, and the least side of an image that is no row of colours.
COLOURS, SIDE = (1, 3, 4), 8
#: Least length of a sequence, in units of the number of its channels, to tell the two apart.
FEW_CHANNELS = 4
#: Images that are looked at, and the share of the roughness that is left if another order of the axes is the right one.
#: CIFAR-10 has 0.28 in its order and 1.2 in the other; images of noise have 4 in both, give or take 5 / sqrt(values).
LOOKED_AT, SMOOTHER, CHANCE = 32, 0.9, 5.0
#: Pixels, and images at most, of training and of validation that are compared.
PIXELS, COMPARED = 4_000_000, 2000
#: Means of pixels differ for sure from this many standard errors on. Images were turned if turning them back leaves
#: less than this share of the difference.
SURE, ALIKE = 2.0, 0.3


def image_layout(case: Case) -> Check:
    """Check that images are (channels, height, width), sequences (channels, time), and validation images lie alike."""
    name = "image layout"
    x = case.examples.x
    if x.ndim == 3:
        evidence = f"{x.shape[1]} channels of {x.shape[2]} values"
        few = FEW_CHANNELS * x.shape[1] <= x.shape[2]  # else they may be the rows of an image
        return _order(case, evidence, "channels") if few else passed(name, evidence)
    if x.ndim != 4:
        return skipped(name, "only for images and sequences")
    channels, height, width = x.shape[1:]
    evidence = f"{channels} channel{'s' * (channels != 1)} of {height}x{width} pixels"
    if width in COLOURS and min(channels, height) >= SIDE:
        evidence += f": rather {channels}x{height} pixels with {width} colour{'s' * (width != 1)} last"
        return warned(name, None, evidence, "Put the colours first: x.transpose(0, 3, 1, 2).")
    if (turn := _turn_of_validation(case)) is not None:
        evidence += f"; the mean and the spread of each pixel in validation are those of training once {turn}"
        return failed(name, None, evidence, "Read the images of training and of validation in one way.")
    return _order(case, evidence, "colours")


def _order(case: Case, evidence: str, channels: str) -> Check:
    """Check that values lie more smoothly along the axes of height and width, or of time, than in another order."""
    name, shape = "image layout", case.examples.x.shape[1:]
    if shape[0] == 1 or min(shape[1:]) < SIDE or case.size < 2:
        return passed(name, evidence)
    x = case.take(case.rows(LOOKED_AT, stream=19)).x.astype(np.float64)
    restored = np.moveaxis(x.reshape(len(x), *shape[1:], shape[0]), -1, 1)
    as_it_is, otherwise = _roughness(x), _roughness(restored)
    if otherwise < min(SMOOTHER, 1 - CHANCE / np.sqrt(x.size)) * as_it_is:
        evidence += (
            f"; neighbours differ by {as_it_is:.2g} of the variance, with the {channels} last by {otherwise:.2g}"
        )
        axes = (0, x.ndim - 1, *range(1, x.ndim - 1))
        advice = f"Transpose arrays with the {channels} last, do not reshape them: x.transpose{axes}."
        return warned(name, None, evidence, advice)
    return passed(name, evidence)


def _turn_of_validation(case: Case) -> str | None:
    """Return what makes the validation images look like the training images, if they do not as they are."""
    if case.validation is None or case.validation.x.shape[1:] != case.examples.x.shape[1:]:
        return None
    few = min(COMPARED, max(50, PIXELS // case.examples.x[0].size))
    asked = case.generator(29).permutation(len(case.validation.x))[:few]
    rows = case.take(case.rows(few, stream=19)).x, case.validation.x[asked]
    train, held_out = (x.astype(np.float64) for x in rows)
    (mean, spread), (other_mean, other_spread) = ((x.mean(axis=0), x.std(axis=0)) for x in (train, held_out))
    by_chance = np.square(spread).mean() * (1 / len(train) + 1 / len(held_out))
    as_it_is = np.square(mean - other_mean).mean() + np.square(spread - other_spread).mean()
    if not as_it_is > SURE**2 * by_chance > 0:
        return None
    turns = {
        "mirrored": lambda image: image[:, :, ::-1],
        "turned upside down": lambda image: image[:, ::-1],
        "rows and columns change places": lambda image: image.transpose(0, 2, 1),
        "the order of the channels is reversed": lambda image: image[::-1],
    }
    for words, turn in turns.items():
        if turn(mean).shape == mean.shape:
            left = np.square(mean - turn(other_mean)).mean() + np.square(spread - turn(other_spread)).mean()
            if left < ALIKE * as_it_is:
                return words
    return None


def _roughness(x: np.ndarray) -> float:
    """Return the mean square of the difference of neighbours, down and across, in units of the variance."""
    differences = (np.square(np.diff(x, axis=axis)).mean() for axis in range(2, x.ndim))
    return float(sum(differences) / max(x.var(), 1e-30))
