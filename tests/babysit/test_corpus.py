"""The fault corpus: every case trains as it says, every symptom has one, and the figures are computed rightly."""

import dataclasses
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

import pynn
from pynn.babysit.findings import SYMPTOMS

ROOT = Path(__file__).parents[2]
if not (ROOT / "bench" / "faults").is_dir():
    pytest.skip("the fault corpus is not part of the wheel", allow_module_level=True)
sys.path.insert(0, str(ROOT))
try:
    from bench.faults import run, score, training, version
    from bench.faults.cases import EPOCH_LEVEL, Control, Corpus, Fault, Run, part
    from bench.faults.corpus import CASES, CONTROLS, FAULTS
    from bench.faults.data import available
    from bench.faults.report import details
finally:
    sys.path.remove(str(ROOT))

pytestmark = pytest.mark.usefixtures("one_thread")


def build(case, sick=True):
    return case.build(0, sick) if isinstance(case, Fault) else case.build(0)


@pytest.mark.parametrize("name", CASES)
def test_every_case_takes_three_steps(name):
    case = CASES[name]
    if not available(case.data):
        pytest.skip(f"PYNN_DATA names no folder with {case.data}")
    for sick in (True, False) if isinstance(case, Fault) else (True,):
        run = build(case, sick)
        assert len(run.x) == len(run.y) >= run.batch_size
        with np.errstate(all="ignore"):
            for step in range(3):
                rows = slice(step * run.batch_size % len(run.x), None)
                x, y = run.x[rows][: run.batch_size], run.y[rows][: run.batch_size]
                try:
                    run.trainer.step(x, y)
                except pynn.NonFiniteError:
                    assert sick
                    break
        assert run.trainer.steps == 3 or sick


def test_every_symptom_is_the_foremost_cause_of_a_fault():
    assert {fault.causes[0] for fault in FAULTS if fault.causes} == set(SYMPTOMS)


def test_there_are_enough_faults_and_controls():
    assert len(FAULTS) >= 25
    assert len(CONTROLS) >= 15
    assert len(CASES) == len(FAULTS) + len(CONTROLS)  # no name twice


def test_some_faults_begin_in_the_middle_of_a_run_and_some_can_be_seen_before():
    assert sum(fault.onset > 1 for fault in FAULTS) >= 5
    assert sum(fault.visible_before for fault in FAULTS) >= 10


def test_a_fault_that_watching_cannot_show_can_be_seen_before_training():
    for fault in FAULTS:
        assert fault.visible_before if not fault.visible_during else fault.causes


def test_causes_are_few_and_no_consequences():
    for fault in FAULTS:
        assert len(fault.causes) <= 5
        assert not set(fault.causes) & set(fault.consequences)


def test_a_fault_with_an_unknown_symptom_is_refused():
    with pytest.raises(ValueError, match=r"typo.*are not symptoms"):
        Corpus().fault("digits", "typo")(lambda seed, sick: None)


def test_part_keeps_seeds_and_data_sets_apart():
    assert part("digits", 0) == "tune"
    assert part("digits", 5) == "report"
    assert part("mnist", 0) == part("cifar", 3) == "report"


@pytest.mark.parametrize("name", ["rate_100x", "all_zero", "bottleneck_of_one", "nan_in_a_batch", "ordinary"])
def test_a_run_is_as_sick_or_healthy_as_it_claims(name):
    outcome = training.measure(CASES[name], 0, watch=False, before=False)
    if isinstance(CASES[name], Fault):
        assert outcome.sick
        assert outcome.twin_score > 0.9
    else:
        assert outcome.score >= CASES[name].least


def test_a_nan_in_a_loop_by_hand_ends_the_run_where_it_was_put():
    case = CASES["nan_in_a_batch"]
    outcome = training.measure(case, 0, watch=False, before=False)
    assert (outcome.ended, outcome.steps + 1) == ("not finite", case.onset)


def test_monitor_and_notebook_are_asked():
    outcome = training.measure(CASES["all_zero"], 0, before=False)
    assert outcome.verdict[0] == "symmetric_units"
    assert outcome.hit
    assert outcome.latency() < 50


def test_scores_are_accuracy_mean_recall_and_explained_variance():
    model = pynn.Sequential(pynn.Linear(1, 2, init="zeros"))
    model[0].bias[...] = [1, 0]  # always class 0
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    x, y = np.zeros((4, 1), np.float32), np.array([0, 0, 0, 1])
    run = Run(trainer, x, y, (x, y))
    assert training.score(run) == 0.75
    assert training.score(dataclasses.replace(run, metric="balanced")) == 0.5
    model = pynn.Sequential(pynn.Linear(1, 1, init="zeros"))
    values = np.array([[1.0], [3.0]], np.float32)
    model[0].bias[...] = 2
    trainer = pynn.Trainer(model, pynn.MSELoss(), pynn.SGD(0.1))
    run = Run(trainer, x[:2], values, (x[:2], values), metric="r2")
    assert training.score(run) == 0
    model[0].bias[...] = np.nan
    assert training.score(run) == 0


def seen(symptom, severity="warning", step=10, evaluation=1):
    return score.Seen(symptom, None, step, step, severity, "figures", step, evaluation)


def outcome(kind="fault", verdict=(), findings=(), **changes):
    values = {
        "case": "rate_100x" if kind == "fault" else "ordinary",
        "part": "tune",
        "seed": 0,
        "steps": 100,
        "score": 0.1,
        "twin_score": 0.9 if kind == "fault" else None,
        "twin_val_loss": None,
        "ended": "finished",
        "loss": [2.0, 1.0],
        "val_loss": [2.0, 1.0],
        "causes": ["lr_too_high", "diverging"] if kind == "fault" else [],
        "consequences": ["dead_units"] if kind == "fault" else [],
    }
    return score.Outcome(kind=kind, verdict=list(verdict), findings=list(findings), **values | changes)


def test_a_hit_is_a_first_finding_that_names_the_cause():
    assert outcome(verdict=["diverging", "dead_units"]).hit
    assert not outcome(verdict=["dead_units", "diverging"]).hit
    assert not outcome().hit


def test_infos_are_no_alarms():
    found = [seen("zigzag", "info"), seen("dead_units"), seen("overfitting", "error")]
    one = outcome(findings=found)
    assert [finding.symptom for finding in one.alarms] == ["dead_units", "overfitting"]
    assert [finding.symptom for finding in one.true_alarms] == ["dead_units"]


def test_latency_counts_from_the_onset_to_the_first_finding_that_names_the_cause():
    found = [seen("dead_units", step=3), seen("diverging", "info", step=5), seen("diverging", step=12)]
    assert outcome(findings=found, onset=10).latency() == 2
    assert outcome(findings=found[:2]).latency() is None
    assert outcome(findings=found, onset=40).latency() == 0


def test_latency_of_epoch_level_symptoms_counts_evaluations():
    assert CASES["rate_drops_to_nothing"].level == "evaluation"
    assert "plateau" in EPOCH_LEVEL
    found = [seen("plateau", evaluation=7)]
    one = outcome(findings=found, causes=["plateau"], level="evaluation", onset=61, steps_per_evaluation=23)
    assert one.onset_evaluation() == 3
    assert one.latency() == 4


def test_overfitting_begins_after_the_smallest_validation_loss():
    one = outcome(causes=["overfitting"], level="evaluation", val_loss=[3.0, 1.0, 1.5, 2.0])
    assert one.onset_evaluation() == 3


def test_underfitting_begins_where_the_training_loss_has_come_to_rest():
    one = outcome(causes=["underfitting"], level="evaluation", loss=[3.0, 1.5, 1.04, 1.01, 1.0])
    assert one.onset_evaluation() == 3


def test_a_run_is_sick_if_it_scores_or_fits_worse_than_its_twin_or_breaks_off():
    assert outcome().sick
    assert not outcome(score=0.89).sick
    assert outcome(score=0.89, ended="not finite").sick
    assert outcome(score=0.9, val_loss=[0.5, 0.4], twin_val_loss=0.1).sick
    assert not outcome("control").sick


def test_checks_before_training_count_if_they_name_the_cause():
    def check(status, symptom):
        return score.Check("a check", status, symptom, "text")

    assert outcome(checks=[check("fail", "lr_too_high")]).found_before
    assert not outcome(checks=[check("pass", "lr_too_high"), check("warn", "zigzag")]).found_before
    named = outcome(checks=[check("warn", None)], exact_checks=["a check"])
    assert named.found_before
    assert not dataclasses.replace(named, exact_checks=["another"]).found_before
    assert not outcome(checks=None).found_before


def test_wilson_interval_agrees_with_scipy():
    from scipy.stats import binomtest

    for hits, total in ((0, 150), (9, 10), (95, 100)):
        expected = binomtest(hits, total).proportion_ci(method="wilson")
        found = score.share(hits, total)
        np.testing.assert_allclose((found.low, found.high), (expected.low, expected.high), atol=1e-9)
    assert math.isnan(score.share(0, 0).value)


def test_interval_of_the_median_covers_it_at_least_95_times_in_100():
    rng = np.random.default_rng(0)
    for count in (6, 25, 100):
        figures = [score.median(rng.exponential(size=count).tolist()) for _ in range(2000)]
        covered = np.mean([figure.low <= math.log(2) <= figure.high for figure in figures])
        assert covered > 0.94
    assert score.median([3.0, 1.0, 2.0, 10.0]).value == 2.5


def test_summary_of_outcomes_made_by_hand():
    alarm = seen("lr_too_high", step=4)
    outcomes = [
        outcome(verdict=["lr_too_high"], findings=[alarm]),
        outcome(verdict=["overfitting"], findings=[seen("overfitting"), seen("diverging", step=31)]),
        outcome(visible_during=False, causes=[]),
        outcome("control"),
        outcome("control", verdict=["zigzag"], findings=[seen("zigzag")]),
    ]
    summary = score.summarize(outcomes)
    assert (summary.hits.value, summary.hits.of) == (0.5, 2)
    assert (summary.primary_anywhere.value, summary.primary_anywhere.of) == (0.5, 2)
    assert (summary.precision.value, summary.precision.of) == (0.5, 4)
    assert (summary.false_alarms.value, summary.false_alarms.of) == (0.5, 2)
    assert summary.latency_steps.value == 16.5
    assert summary.missed_latency == 0
    assert score.by_symptom(outcomes)["lr_too_high"].value == 0.5
    precision = score.precision_by_symptom(outcomes)
    assert (precision["diverging"].value, precision["overfitting"].value) == (1.0, 0.0)
    assert precision["dead_units"].of == 0


def test_an_outcome_survives_being_stored():
    one = outcome(findings=[seen("diverging")], checks=[score.Check("rates", "warn", "lr_too_high", "text")])
    assert score.Outcome.from_dict(one.as_dict()) == one


def test_a_run_that_was_cut_off_goes_on_with_what_its_journal_lacks(tmp_path, monkeypatch):
    journal = tmp_path / "runs.jsonl"
    tasks = [("rate_100x", 0), ("rate_100x", 1), ("ordinary", 0)]
    kept = outcome(score=0.25, rules=version.rules())  # no run scores this: it shows where the outcome is from
    older = outcome(seed=1, rules="earlier")
    lines = [json.dumps(each.as_dict()) + "\n" for each in (kept, older)]
    journal.write_text("".join(lines) + lines[0][:30])  # cut off while writing
    monkeypatch.syspath_prepend(Path(run.__file__).parents[2])  # processes look for `bench` where this one looks first
    found = run.run(tasks, 1, watch=False, before=False, journal=journal)
    assert [(each.case, each.seed) for each in found] == tasks
    assert found[0] == kept
    assert found[1] != older
    assert run.stored(journal) == dict(zip(tasks, found, strict=True))


def test_rules_are_those_of_monitor_and_checks_and_remedies_only_if_wanted(tmp_path, monkeypatch):
    def digests():
        version.rules.cache_clear()
        return version.rules(), version.rules(remedies=True)

    for name in ("monitor/rules.py", "remedies/trials.py", "views/page.py"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("1")
    monkeypatch.setattr(version.pynn.babysit, "__file__", str(tmp_path / "__init__.py"))
    at_first = digests()
    (tmp_path / "views/page.py").write_text("2")
    assert digests() == at_first
    (tmp_path / "remedies/trials.py").write_text("2")
    assert digests()[0] == at_first[0] and digests()[1] != at_first[1]
    (tmp_path / "monitor/rules.py").write_text("2")
    assert digests()[0] != at_first[0]
    version.rules.cache_clear()


def test_details_name_what_went_wrong_and_pass_over_what_went_well():
    wrong = [outcome(verdict=["overfitting"], findings=[seen("overfitting")])]
    text = details(wrong, CASES)
    assert "expected lr_too_high or diverging or non_finite; got {'overfitting': 1}" in text
    assert "untrue: overfitting" in text
    right = [outcome(verdict=["lr_too_high"], findings=[seen("lr_too_high")])]
    assert details(right, CASES) == "nothing wrong"
    healthy = [outcome("control", score=0.99), outcome("control", score=0.99, findings=[seen("zigzag")], seed=3)]
    assert "seed 3 false alarm" in details(healthy, CASES)
    assert isinstance(CASES["ordinary"], Control)
