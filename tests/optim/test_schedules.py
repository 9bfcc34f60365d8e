"""Schedules over long trainings: a rate that overflows is infinite, and refused when its step comes."""

import math

import numpy as np
import pytest

import pynn

LONG = 100_000


class Growing(pynn.Schedule):
    """A schedule of the user's own, whose power raises OverflowError."""

    by = "step"

    def at(self, base, count):
        return base * 1.05**count


# Schedules by step that overflow long before step LONG, and whether `at` is pynn's own.
GROWING = {
    "ExponentialLR": (lambda: pynn.ExponentialLR(1.05, by="step"), True),
    "StepLR": (lambda: pynn.StepLR(1, 1.05, by="step"), True),
    "WarmupLR": (lambda: pynn.WarmupLR(2, then=pynn.ExponentialLR(1.05, by="step")), True),
    "WarmupLR by StepLR": (lambda: pynn.WarmupLR(2, then=pynn.StepLR(1, 1.05, by="step")), True),
    "LambdaLR": (lambda: pynn.LambdaLR(lambda count: 1.05**count, by="step"), False),
    "LambdaLR to infinity": (lambda: pynn.LambdaLR(lambda count: np.inf if count > 9 else 1.0, by="step"), False),
    "own": (Growing, False),
    "WarmupLR by own": (lambda: pynn.WarmupLR(2, then=Growing()), False),
}


def trainer(schedule, lr=1e-9):
    model = pynn.Sequential(pynn.Linear(2, 2))
    return pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(lr), schedule=schedule)


@pytest.mark.parametrize("make", [make for make, ours in GROWING.values() if ours])
@pytest.mark.parametrize(("base", "expected"), [(0.1, math.inf), (0.0, 0.0)])
def test_a_power_that_overflows_is_infinite(make, base, expected):
    assert make().rate(base, LONG, LONG) == expected


@pytest.mark.parametrize("make", [make for make, _ in GROWING.values()], ids=GROWING)
def test_a_fit_that_ends_before_the_rate_overflows_is_not_refused(make):
    class Stop(pynn.Callback):
        def on_step_end(self, trainer):
            if trainer.steps == 5:
                trainer.stop()

    trained = trainer(make())
    trained.fit(np.ones((10, 2)), np.zeros(10, int), epochs=LONG, batch_size=1, callbacks=[Stop()])
    assert trained.steps == 5


@pytest.mark.parametrize("make", [make for make, _ in GROWING.values()], ids=GROWING)
def test_an_infinite_rate_is_refused_at_its_step(make):
    trained = trainer(make())
    trained.steps = LONG
    with pytest.raises(ValueError, match=r"(the rate|factor) of .* is inf; expected a number"):
        trained.step(np.ones((1, 2)), np.zeros(1, int))
