"""The tables of the vectorised activations are those that their script makes."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "kernels" / "cython" / "activations" / "make_tables.py"
NUMBER = re.compile(r"-?\d+\.\d+(?:e[-+]\d+)?(?=f)|-?\d+e[-+]\d+(?=f)")

pytestmark = pytest.mark.skipif(not SCRIPT.is_file(), reason="the script is in the source tree")


def test_the_header_is_what_the_script_writes():
    made = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=True).stdout
    kept = SCRIPT.with_name("elementwise_tables.h").read_text()
    assert NUMBER.sub("", made).split() == NUMBER.sub("", kept).split()
    made, kept = (np.array(NUMBER.findall(text), dtype=np.float64) for text in (made, kept))
    assert len(kept) == 2 * 7 * 32 + 16
    # Another LAPACK may round a coefficient otherwise; the least of them hardly count.
    np.testing.assert_allclose(made, kept, rtol=1e-5, atol=1e-9)
