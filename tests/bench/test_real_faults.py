"""The published cases: each can be built, and what was said is scored against the sets of right answers."""

import warnings

import numpy as np
import pytest
from cases import case as named_case

from bench.faults.data import Split
from bench.real_faults import (
    accepted,
    corpus,
    data,
    healthy,
    plain_training,
    remedies,
    run_classics,
    unseen_data,
    unseen_networks,
)
from bench.real_faults.changes import CHANGES
from bench.real_faults.classics import PROGRAMS
from bench.real_faults.plain import PLAIN
from bench.real_faults.score import AS_GOOD, Outcome, Said, figures, in_order
from bench.real_faults.unseen import UNSEEN
from bench.real_faults.unseen_later import LATER

CASES = corpus.cases()
ALL_PROGRAMS = PROGRAMS | UNSEEN | LATER | PLAIN
#: Modules that add their programs when they are loaded.
LOADED = plain_training, unseen_data, unseen_networks


def outcome(*said, tags=("lr_too_high",), healthy=False, score=0.5):
    return Outcome("a", "tune", list(tags), healthy, score, 0.9, "finished", 10, list(said), 0.0)


RATE = Said("monitor", "lr_too_high", "error", "lr_too_high", "")
INPUT = Said("preflight", "input scale", "fail", "input_not_normalised", "")


def test_answers_exist_and_every_fault_has_some():
    assert not accepted.unknown()
    for case in CASES.values():
        assert corpus.healthy(case) or accepted.answers_to(case["fault_tags"]) != accepted.Answers((), ())


def test_changes_belong_to_cases_and_halves_are_halves():
    assert set(CHANGES) <= set(CASES)
    assert [corpus.part(case) for case in CASES.values()].count("tune") == len(CASES) // 2


def noise(name, shape):
    """Return images of noise in the form of MNIST and CIFAR-10, to build networks without those."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 255, (2, 200, *shape)).astype(np.float32)
    y = rng.integers(0, 10, (2, 200))
    return Split(x[0], y[0], x[1], y[1])


@pytest.mark.parametrize("name", CASES)
def test_a_case_can_be_built(name, monkeypatch):
    case = CASES[name]
    monkeypatch.setattr(data, "_images", noise)
    with np.errstate(all="ignore"):  # deep stacks of exponentials overflow at once, as published
        run = corpus.build(case)
        outputs = run.trainer.model.infer(run.x[:4])
        loss, gradient = run.trainer.loss(outputs, run.y[:4])
    assert outputs.shape == gradient.shape == (4, case["layers"][-1]["units"])
    assert np.isfinite(loss) or "exponential" in str(case["documented_faults"])
    assert corpus.healthy(corpus.twin_of(case))


@pytest.mark.parametrize("control", healthy.CONTROLS, ids=lambda control: control.name)
def test_a_healthy_network_can_be_built_and_takes_a_step(control, monkeypatch):
    monkeypatch.setattr(data, "_images", noise)
    run = control.build(0)
    assert np.isfinite(run.trainer.step(run.x[:8], run.y[:8]))
    assert 0 < control.least <= 1


@pytest.mark.parametrize("name", ALL_PROGRAMS)
def test_a_program_can_be_built_with_a_healthy_twin_that_takes_a_step(name, monkeypatch):
    monkeypatch.setattr(data, "_images", noise)
    program = ALL_PROGRAMS[name]
    assert program.about and accepted.answers_to(list(program.tags)) != accepted.Answers((), ())
    sick, twin = program.build(True), program.build(False)
    assert sick.epochs and np.isfinite(twin.trainer.step(twin.x[:8], twin.y[:8]))
    with np.errstate(all="ignore"):
        assert np.isfinite(run_classics.scored(program, twin))


def test_a_loop_can_be_built_with_a_healthy_twin_and_both_train():
    pytest.importorskip("torch")
    from bench.real_faults.plain_torch import PLAIN_LOOPS
    from bench.real_faults.unseen_torch import LOOPS
    from bench.real_faults.unseen_torch_later import LATER_LOOPS

    for name, loop in (LOOPS | LATER_LOOPS | PLAIN_LOOPS).items():
        with named_case(name):
            assert loop.about and accepted.answers_to(list(loop.tags)) != accepted.Answers((), ())
            sick, twin = loop.build(True), loop.build(False)
            for each in (sick, twin):
                each.split = each.split._replace(x=each.split.x[:64], y=each.split.y[:64])
                each.epochs = 1
            assert twin.train() == "finished" and np.isfinite(twin.score())
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # PyTorch's, of the broadcast that is the fault
                sick.train()


def test_what_is_said_is_scored_against_the_tags():
    assert outcome(RATE).named_first
    assert outcome(INPUT, RATE).named
    assert not outcome(INPUT, RATE).named_first
    assert not outcome(INPUT).named
    assert outcome(INPUT).detected
    assert not outcome().detected


def test_causes_come_before_consequences():
    consequence = Said("preflight", "beats the baseline", "fail", "not_learning", "")
    assert in_order([consequence, INPUT], [RATE]) == [INPUT, RATE, consequence]


def test_only_what_stands_claims_a_fault():
    past = Said("monitor", "not_learning", "error", "not_learning", "", stands=False)
    assert not outcome(past, healthy=True).claims
    assert figures([outcome(past, healthy=True)])["healthy: the monitor claims a fault"].value == 0


def test_a_fault_without_harm_does_not_count_as_missed():
    rows = figures([outcome(score=0.89), outcome(RATE)])
    assert (rows["cause named"].value, rows["cause named"].of) == (1, 1)
    assert rows["cause named (harmless ones too)"].of == 2


def repair(case, repaired):
    return remedies.Repair(case, "tune", ["lr_too_high"], 0.9, 0.5, repaired, "a change", [], 3, 0, 1.0)


def test_repaired_is_what_comes_as_near_to_the_healthy_program_as_a_harmless_fault():
    assert repair("a", 0.9 - AS_GOOD).succeeded and not repair("a", 0.9 - AS_GOOD - 0.001).succeeded
    assert not outcome(score=0.9 - AS_GOOD).harmed and outcome(score=0.9 - AS_GOOD - 0.001).harmed


def test_faults_that_no_setting_repairs_count_in_one_of_the_two_shares():
    lost = next(iter(remedies.BEYOND))
    assert set(remedies.BEYOND) <= set(CASES)
    rows = remedies.table([repair("a", 0.9), repair(lost, 0.5)]).splitlines()
    assert "0.500" in rows[2] and rows[2].endswith("of 2 |")
    assert "1.000" in rows[3] and rows[3].endswith("of 1 |")
    assert f"no: {remedies.BEYOND[lost]}" in rows[-1]


def test_outcomes_survive_json():
    assert Outcome.from_dict(outcome(RATE, INPUT).as_dict()) == outcome(RATE, INPUT)
