"""Every op on random arguments, on every backend: against float64, and against arguments that make no sense."""

import numpy as np
import pytest
from fuzz.cases import Want, complaint
from fuzz.driver import CASES, call_many
from fuzz.hostile import call_hostile
from fuzz.tried import amounts, each_seed

import pynn
from pynn import ops

#: Calls per example: hypothesis takes a millisecond for each.
BATCH = 64
#: Examples; Numba's first calls compile.
EXAMPLES = {"cython": 100, "numpy": 60, "numba": 20}


def test_every_op_has_a_case():
    assert set(CASES) == {name for name in ops.__all__ if callable(getattr(ops, name))}


@pytest.mark.parametrize(
    ("got", "value", "accepted"),
    [(-np.inf, -4.2e38, True), (np.inf, 3.4028e38, True), (np.inf, -4.2e38, False), (np.inf, 3.3e38, False),
     (3.4e38, 4.2e38, False), (np.nan, 4.2e38, False)],
)  # fmt: skip
def test_a_number_beyond_float32_is_an_infinity_in_it(got, value, accepted):
    with np.errstate(all="ignore"):
        wrong = complaint(np.full(1, got, np.float32), Want(np.full(1, value), np.full(1, 1e34)))
    assert (wrong is None) == accepted


@amounts
def test_results_are_those_of_float64(backend, amount, record_property):
    tried = 0

    def check(seed):
        nonlocal tried
        call_many(CASES, seed, BATCH)
        tried += BATCH

    try:
        each_seed(EXAMPLES[backend] * amount, check)
    finally:
        record_property("tried: calls of ops", tried)


@amounts
def test_a_team_of_threads_gives_the_same(amount, record_property):
    tried, before = 0, pynn.get_num_threads()

    def check(seed):
        nonlocal tried
        call_many(CASES, seed, BATCH)
        tried += BATCH

    try:
        pynn.set_num_threads(3)
        with pynn.use_backend("cython"):
            each_seed(20 * amount, check)
    finally:
        pynn.set_num_threads(before)
        record_property("tried: calls of ops", tried)


@amounts
def test_arguments_that_make_no_sense_are_refused(backend, amount, record_property):
    tried = 0

    def check(seed):
        nonlocal tried
        with np.errstate(all="ignore"):
            for index in range(BATCH):
                call_hostile([seed, index])
        tried += BATCH

    try:
        each_seed(EXAMPLES[backend] // 3 * amount, check)
    finally:
        record_property("tried: calls of ops that make no sense", tried)
