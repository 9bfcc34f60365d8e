"""Parameters: their settings are checked when they are assigned, so a checkpoint that holds them can be resumed."""

import math

import numpy as np
import pytest

import pynn


def trainer():
    return pynn.Trainer(pynn.Sequential(pynn.Linear(2, 3)), pynn.CrossEntropyLoss(), pynn.SGD(0.1))


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, -1, -1e-9, "2", None, True, [1.0], 10**400, 1j])
def test_a_rate_s_factor_that_is_no_finite_number_of_at_least_0_is_refused(value):
    weight = trainer().model[0].weight
    weight.lr_factor = 0.5
    with pytest.raises(ValueError, match=r"lr_factor is .*; expected a number of at least 0"):
        weight.lr_factor = value
    assert weight.lr_factor == 0.5


@pytest.mark.parametrize("value", [0, 2, 0.25, np.float32(0.5), np.int64(3), 1e300])
def test_a_rate_s_factor_that_is_accepted_is_resumed(value, tmp_path):
    saved = trainer()
    saved.model[0].weight.lr_factor = value
    saved.save(tmp_path / "run.ckpt")
    assert pynn.Trainer.resume(tmp_path / "run.ckpt").model[0].weight.lr_factor == value
