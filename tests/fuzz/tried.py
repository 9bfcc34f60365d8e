"""How much is tried: seeds from hypothesis, times `PYNN_FUZZ`, and a count of it for the end of the run."""

import os

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

#: Multiplies the number of examples; 1 is what CI does in a minute.
SCALE = float(os.environ.get("PYNN_FUZZ", "1"))

#: Tests take `amount`: once that of CI, and with ``-m slow`` sixty times as much.
amounts = pytest.mark.parametrize(
    "amount", [pytest.param(1, id="minute"), pytest.param(60, id="hour", marks=pytest.mark.slow)]
)


def each_seed(count, check):
    """Call ``check(seed)`` for `count` seeds that hypothesis draws."""

    # A smaller seed is no simpler example.
    @settings(max_examples=max(1, int(count * SCALE)), phases=[Phase.generate], report_multiple_bugs=False)
    @given(st.integers(0, 2**32 - 1))
    def example(seed):
        check(seed)

    example()
