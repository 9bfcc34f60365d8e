"""No op writes to memory that it still reads: every pair of arrays of every op, wholly and partly over each other."""

import numpy as np
import pytest
from every_op import CALLS

from pynn import ops

pytestmark = pytest.mark.usefixtures("backend")

#: Ops that write no array of the caller's.
READ_ONLY = {"count_correct", "gradient_norm"}


def test_the_table_has_every_op():
    assert set(CALLS) | READ_ONLY == {name for name in ops.__all__ if name != "ACTIVATIONS"}


def over_each_other(call, arrays, first, second, shift, dtype):
    """Return the arrays with two of them in one piece of memory, the second one `shift` bytes after the first."""
    memory = np.zeros(64 + arrays[first].nbytes + arrays[second].nbytes, np.uint8)
    moved = dict(arrays)
    for name, at in ((first, 0), (second, shift)):
        shape, kind = call.layout(name, dtype)
        moved[name] = memory[at : at + arrays[name].nbytes].view(kind).reshape(shape)
        moved[name][...] = arrays[name]
    return moved


def pairs(call):
    """Return every written array with every other one."""
    names = list(call.writes)
    read = [(written, other) for written in names for other in call.reads]
    return read + [(one, other) for at, one in enumerate(names) for other in names[:at]]


@pytest.mark.parametrize("name", CALLS)
def test_arrays_that_overlap_what_is_written_raise(name, dtype, rng):
    call = CALLS[name]
    arrays = call.arrays(dtype, rng)
    call({key: array.copy() for key, array in arrays.items()})
    for written, other in pairs(call):
        last = arrays[written].nbytes - 8
        for first, second, shift in ((written, other, 0), (written, other, max(0, last)), (other, written, 8)):
            if shift >= arrays[first].nbytes:
                continue
            moved = over_each_other(call, arrays, first, second, shift, dtype)
            if shift == 0 and (written, other) in call.onto:
                continue
            with pytest.raises(ValueError, match="overlaps"):
                call(moved)
                pytest.fail(f"{written} over {other}, {shift} bytes apart, was accepted")


@pytest.mark.parametrize("name", [name for name, call in CALLS.items() if call.onto])
def test_where_an_op_may_write_onto_its_input_the_result_is_the_same(name, dtype, rng):
    call = CALLS[name]
    arrays = call.arrays(dtype, rng)
    apart = {key: array.copy() for key, array in arrays.items()}
    call(apart)
    for written, other in call.onto:
        one_object, one_place = ({key: array.copy() for key, array in arrays.items()} for _ in range(2))
        one_object[written] = one_object[other]
        for given in (one_object, over_each_other(call, one_place, written, other, 0, dtype)):
            call(given)
            for result in call.writes:
                np.testing.assert_array_equal(given[result], apart[result], err_msg=f"{result}, {written} over {other}")
