"""What all ops promise about the outputs handed in: they are filled, and refused where they do not fit."""

import numpy as np
import pytest
from op_contracts import OUTPUTS, ROWS, UNITS, expected_output

from pynn import ops

pytestmark = pytest.mark.usefixtures("backend")


@pytest.mark.parametrize(("name", "keyword"), OUTPUTS)
def test_output_handed_in_is_filled(name, keyword, dtype, rng):
    op, arrays, want = expected_output(name, keyword, dtype, rng)
    out = np.full_like(want, np.nan)
    op.call(*arrays, **{keyword: out})
    np.testing.assert_array_equal(out, want)


@pytest.mark.parametrize(("name", "keyword"), OUTPUTS)
def test_output_that_cannot_be_written_raises(name, keyword, dtype, rng):
    op, arrays, want = expected_output(name, keyword, dtype, rng)
    read_only = np.empty_like(want)
    read_only.flags.writeable = False
    for unusable in (np.empty((*want.shape[:-1], 2 * want.shape[-1]), dtype)[..., ::2], read_only):
        with pytest.raises(ValueError, match=f"{keyword} must be writeable, aligned and C-contiguous"):
            op.call(*arrays, **{keyword: unusable})
    other = np.dtype(np.float32 if dtype == np.float64 else np.float64)
    for wrong in (other, dtype.newbyteorder(), np.dtype(int)):
        with pytest.raises(TypeError, match=f"{keyword} has dtype {wrong}; expected {dtype}"):
            op.call(*arrays, **{keyword: np.empty(want.shape, wrong)})
    with pytest.raises(TypeError, match=f"{keyword} is a list"):
        op.call(*arrays, **{keyword: want.tolist()})
    longer = np.empty((want.shape[0] + 1, *want.shape[1:]), dtype)
    with pytest.raises(ValueError, match=f"{keyword} has shape") as caught:
        op.call(*arrays, **{keyword: longer})
    assert str(longer.shape) in str(caught.value) and f"expected {want.shape}" in str(caught.value)


@pytest.mark.parametrize(
    "wrong", [np.zeros((4, UNITS), np.float32), np.zeros((3, UNITS)), np.zeros((4, 2 * UNITS))[:, ::2]]
)
def test_statistics_need_four_contiguous_float64_rows(wrong):
    with pytest.raises((TypeError, ValueError), match=r"stats (has .*; expected|must be .* C-contiguous)"):
        ops.unit_stats(np.ones((ROWS, UNITS)), wrong)


def test_a_masked_array_is_no_output(backend):
    masked = np.ma.masked_array(np.ones(3), mask=[0, 1, 0])
    for call in (lambda: ops.relu(np.ones(3), out=masked), lambda: ops.gradient_norm(masked)):
        with pytest.raises(TypeError, match="is a MaskedArray; expected a NumPy array to write to"):
            call()
    np.testing.assert_array_equal(masked.data, 1)
