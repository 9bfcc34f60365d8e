"""The choice of the precision of matrix products: calls and environment."""

import os
import subprocess
import sys

import pytest

import pynn
from pynn.backends.precision import PRODUCTS, using_matmul_precision


@pytest.fixture(autouse=True)
def restored():
    """Leave the precision as it was."""
    with using_matmul_precision(pynn.get_matmul_precision()):
        yield


@pytest.mark.parametrize("precision", PRODUCTS)
def test_it_is_what_was_set(precision):
    pynn.set_matmul_precision(precision)
    assert pynn.get_matmul_precision() == precision
    with using_matmul_precision("high"), using_matmul_precision(None):
        assert pynn.get_matmul_precision() == "high"
    assert pynn.get_matmul_precision() == precision


@pytest.mark.parametrize("wrong", ["low", "HIGH", "", None, 3])
def test_another_name_raises_and_changes_nothing(wrong):
    before = pynn.get_matmul_precision()
    with pytest.raises(ValueError, match="expected one of highest, high, medium"):
        pynn.set_matmul_precision(wrong)
    assert pynn.get_matmul_precision() == before


def test_the_environment_sets_the_first_value():
    code = "import pynn; print(pynn.get_matmul_precision()); pynn.get_backend()"
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, env=os.environ | {"PYNN_MATMUL_PRECISION": "medium"}, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("medium\n", "")
    done = subprocess.run(run, env=os.environ | {"PYNN_MATMUL_PRECISION": "low"}, capture_output=True, text=True)
    assert "ValueError: PYNN_MATMUL_PRECISION is 'low'; expected one of highest, high, medium" in done.stderr
