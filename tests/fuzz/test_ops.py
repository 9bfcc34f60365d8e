"""Every op on random arguments, on every backend: against float64, and against arguments that make no sense."""

import numpy as np
import pytest
from fuzz.driver import CASES, call_many
from fuzz.hostile import call_hostile
from fuzz.tried import amounts, each_seed

import pynn
from pynn import ops

#: Calls per example: hypothesis takes a millisecond for each.
BATCH = 64


def test_every_op_has_a_case():
    assert set(CASES) == {name for name in ops.__all__ if callable(getattr(ops, name))}


@amounts
def test_results_are_those_of_float64(backend, amount, record_property):
    tried = 0

    def check(seed):
        nonlocal tried
        call_many(CASES, seed, BATCH)
        tried += BATCH

    try:
        each_seed(100 * amount, check)
    finally:
        record_property("tried: calls of ops", tried)


@pytest.mark.parametrize("threads", [3])
@amounts
def test_a_team_of_threads_gives_the_same(amount, threads, record_property):
    before = pynn.get_num_threads()
    names = [name for name in CASES if not name.endswith("pool2d")]
    try:
        pynn.set_num_threads(threads)
        with pynn.use_backend("cython"):
            each_seed(20 * amount, lambda seed: call_many(names, seed, BATCH))
    finally:
        pynn.set_num_threads(before)
        record_property("tried: calls of ops", int(20 * amount * BATCH))


@amounts
def test_arguments_that_make_no_sense_are_refused(backend, amount, record_property):
    def check(seed):
        with np.errstate(all="ignore"):
            for index in range(BATCH):
                call_hostile([seed, index])

    each_seed(40 * amount, check)
    record_property("tried: calls of ops that make no sense", int(40 * amount * BATCH))
