"""The compiled look at all arguments of an op at once."""

import numpy as np
import pytest

from pynn import ops

arguments = pytest.importorskip("pynn.kernels.cython.arguments", reason="needs compiled kernels")
fits = arguments.fits

MEMORY = np.zeros(100, np.float32)


def array(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


def read_only(x):
    x.flags.writeable = False
    return x


@pytest.mark.parametrize(
    ("signature", "arrays"),
    [
        ("mk,kn,n?->mn,mn?", (array(2, 3), array(3, 4), None, array(2, 4), None)),
        ("mk,kn,n?->mn,mn?", (array(2, 3), array(3, 4), array(4), array(2, 4), array(2, 4))),
        ("km,nk->mn", (array(3, 2, dtype=float), array(4, 3, dtype=float), array(2, 4, dtype=float))),
        ("nn", (array(2, 2),)),
        ("*,*->*", (array(2, 3, 4),) * 3),  # elementwise, in place
        ("*->*", (array(), array())),
        ("*->*?", (read_only(array(5)), None)),
        ("n->n", (array(0), array(0))),
        ("n->n", (MEMORY[:8], MEMORY[8:16])),
    ],
)
def test_plain_arrays_of_the_right_shapes_fit(signature, arrays):
    assert fits(signature, *arrays) is True


@pytest.mark.parametrize(
    ("signature", "arrays"),
    [
        ("mk,kn->mn", (array(2, 3), array(4, 4), array(2, 4))),
        ("mk,kn->mn", (array(2, 3), array(3, 4), array(4, 2))),
        ("nn", (array(2, 3),)),
        ("n", (array(2, 3),)),
        ("mn", (array(2),)),
        ("*->*", (array(2, 3), array(3, 2))),
        ("*->*", (array(2, 3), array(6))),
        ("n->n", (array(3), None)),
        ("n?->n?", (None, None)),
        ("n", ([1.0, 2.0],)),
        ("n->n", (array(3), array(3, dtype=float))),
        ("n->n", (array(3), read_only(array(3)))),
        ("n", (array(3, dtype=int),)),
        ("n", (array(3, dtype=np.float16),)),
        ("n", (array(3, dtype=np.longdouble),)),
        ("n", (array(3, dtype=np.dtype(np.float32).newbyteorder()),)),
        ("n", (array(6)[::2],)),
        ("mn", (array(4, 3).T,)),
        ("n", (np.zeros(13, np.uint8)[1:].view(np.float32),)),
        ("mn", (np.ma.masked_array(array(2, 2)),)),
        ("n->n", (MEMORY[:8], MEMORY[:8])),  # not elementwise
        ("*->*", (MEMORY[:8], MEMORY[7:15])),
        ("*->*,*", (array(8), MEMORY[:8], MEMORY[:8])),
        ("*,n->*", (array(8), MEMORY[:8], MEMORY[:8])),
        ("n,m->n", (array(8), MEMORY[7:9], MEMORY[:8])),
    ],
)
def test_everything_else_does_not(signature, arrays):
    assert fits(signature, *arrays) is False


def test_a_signature_for_another_number_of_arrays_is_an_error():
    with pytest.raises(TypeError, match="2 arrays were given for the signature n,n->n"):
        fits("n,n->n", array(2), array(2))
    with pytest.raises(TypeError, match="3 arrays were given for the signature n->n"):
        fits("n->n", array(2), array(2), array())
    with pytest.raises(TypeError, match="17 arrays; expected at most 16"):
        fits("n", *[array(2)] * 17)


def test_an_activation_may_write_onto_its_input_but_not_beside_it():
    line = np.linspace(-1, 1, 9)
    want = ops.relu(line)
    assert ops.relu(line, out=line) is line
    np.testing.assert_array_equal(line, want)
    with pytest.raises(ValueError, match="overlaps"):
        ops.relu(line[:8], out=line[1:])


def test_segments_that_fit():
    for bounds in ([[0, 3], [3, 8]], [[2, 2], [4, 10]], np.empty((0, 2))):
        assert arguments.segments_fit(np.array(bounds, np.int64), 10) is True


def test_segments_that_need_a_full_check():
    good = np.array([[0, 3], [4, 8]], np.int64)
    segments = {
        "not ascending": good[::-1].copy(),
        "ends before it starts": np.array([[3, 2]], np.int64),
        "negative": np.array([[-1, 2]], np.int64),
        "beyond the buffer": np.array([[0, 11]], np.int64),
        "view of other memory": np.arange(4)[:].reshape(2, 2),
        "strided": np.zeros((4, 4), np.int64)[::2, ::2],
        "read-only": read_only(good.copy()),
        "three columns": np.zeros((2, 3), np.int64),
        "one dimension": np.zeros(2, np.int64),
        "float": good.astype(float),
        "list": good.tolist(),
        "masked": np.ma.masked_array(good),
    }
    for name, bounds in segments.items():
        assert arguments.segments_fit(bounds, 10) is False, name
