"""Pixels of channels as blocks: every pixel is where the formula puts it, and the inverse restores it."""

import numpy as np
import pytest

from pynn import ops

pytestmark = pytest.mark.usefixtures("backend")


@pytest.mark.parametrize("shape", [(2, 36, 3, 5), (1, 36, 1, 1), (0, 36, 2, 2), (1, 36, 16, 17)])
@pytest.mark.parametrize("r", [1, 2, 3])
def test_every_pixel(shape, r, dtype, rng):
    x = rng.normal(size=shape).astype(dtype)
    y = ops.pixel_shuffle(x, r)
    n, channels, height, width = shape
    assert y.dtype == dtype and y.shape == (n, channels // r**2, height * r, width * r)
    for index in np.ndindex(*y.shape):
        n, c, h, w = index
        assert y[index] == x[n, c * r**2 + h % r * r + w % r, h // r, w // r]
    np.testing.assert_array_equal(ops.pixel_unshuffle(y, r), x)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: ops.pixel_shuffle(np.ones((2, 6, 3, 3)), 2), "x has 6 channels; expected a multiple of 4"),
        (lambda: ops.pixel_unshuffle(np.ones((2, 6, 3, 4)), 2), "x has images of 3 x 4; expected multiples of"),
        (lambda: ops.pixel_shuffle(np.ones((6, 3, 3)), 2), r"x has shape \(6, 3, 3\)"),
        (lambda: ops.pixel_shuffle(np.ones((2, 4, 3, 3)), 0), "upscale_factor is 0"),
    ],
)
def test_what_makes_no_sense_is_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call()
