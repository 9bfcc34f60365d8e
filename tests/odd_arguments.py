"""Values that somebody may give for an argument by mistake, and the check that they are refused by name."""

import numpy as np
import pytest
from cases import case

ODD = (None, 3, -1.5, True, "abc", b"ab", [1], ["abc"], {"abc": 1}, {"abc"}, object(), object, np.zeros(3), len)


def among(*values):
    """Return the function that tells whether a value is one of these."""
    return lambda value: any(value is each for each in values)


def refused(call, named, *, but=None):
    """Check that `call` refuses all odd values but some, in words that match `named` and say what it expects."""
    for value in ODD:
        if but is not None and but(value):
            continue
        with case(named, repr(value)), pytest.raises((TypeError, ValueError, KeyError), match=named) as caught:
            call(value)
        with case(named, repr(value)):
            assert any(word in str(caught.value) for word in ("expected", "must be", "unknown", "there are"))
