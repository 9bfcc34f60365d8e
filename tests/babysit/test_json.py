"""Results as JSON: the keys that docs/json.md promises, values that JSON holds, commands that print nothing else."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import pynn
from pynn.babysit import SYMPTOMS, Check, Finding
from pynn.babysit.findings import page_of
from pynn.cli import main
from pynn.utils.json_values import json_text, plain

PROJECT = Path(__file__).parents[2]
PAGE = PROJECT / "docs" / "json.md"
MARKS = "<!-- example: python tests/babysit/test_json.py -->\n\n```json\n", "\n```\n\n<!-- end of example -->"
FINDING = {"symptom", "layer", "step", "last_step", "end", "severity", "evidence", "advice", "page"}
MONITOR = {"format", "version", "about", "steps", "verdict", "findings", "history"}


def strict(text):
    """Read JSON as other programs do: without NaN and infinity."""

    def refuse(name):
        raise AssertionError(f"JSON has no {name}")

    return json.loads(text, parse_constant=refuse)


def watched(scale=100.0, lr=0.01, **settings):
    pynn.manual_seed(0)
    x, y = pynn.datasets.blobs(seed=0)
    model = pynn.Sequential(pynn.Linear(2, 8), pynn.ReLU(), pynn.Linear(8, 3))
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(lr), seed=0)
    monitor = pynn.Monitor(on_problem="silent", **settings)
    trainer.fit(scale * x, y, epochs=2, batch_size=64, callbacks=[monitor])
    return monitor


def example():
    told = watched().to_dict()
    told["verdict"], told["findings"] = told["verdict"][:1], told["findings"][:1]
    told["history"]["seconds"] = [0.01, 0.01]
    for name in ("loss", "accuracy"):
        told["history"][name] = [float(f"{value:.3g}") for value in told["history"][name]]
    return told


def with_example(page):
    start, end = page.index(MARKS[0]) + len(MARKS[0]), page.index(MARKS[1])
    return page[:start] + json_text(example()) + page[end:]


def test_the_page_shows_what_is_returned():
    page = PAGE.read_text()
    shown = strict(page[page.index(MARKS[0]) + len(MARKS[0]) : page.index(MARKS[1])])
    now = strict(json_text(example()))
    assert shown.keys() == now.keys() == MONITOR
    assert [finding["symptom"] for finding in shown["verdict"]] == [finding["symptom"] for finding in now["verdict"]]
    assert shown["findings"][0].keys() == now["findings"][0].keys()
    assert shown["history"].keys() == now["history"].keys()


def test_the_page_names_every_key():
    page = PAGE.read_text()
    assert set(re.findall(r"`(\w+)`", page)) >= FINDING | MONITOR | {"stats", "checks", "status", "name"}


def test_a_finding():
    finding = Finding("dead_units", "1.ReLU", 40, 90, "warning", "70% of 64", "lower the rate")
    told = finding.to_dict()
    assert told.keys() == FINDING
    assert {name: value for name, value in told.items() if name != "page"} == {
        name: getattr(finding, name) for name in FINDING - {"page"}
    }


@pytest.mark.parametrize("symptom", SYMPTOMS)
def test_a_finding_links_to_its_page(symptom):
    page = PROJECT / page_of(symptom)
    assert page.read_text().startswith("#")


def test_own_symptoms_and_sound_checks_have_no_page():
    assert Finding("mine", None, 1, 1, "info", "figures", "advice").to_dict()["page"] is None
    assert Check("input scale", "pass", None, None, "rms 1", "Nothing to do.").to_dict()["page"] is None


def test_a_monitor():
    monitor = watched()
    told = strict(json_text(monitor.to_dict(stats=True)))
    assert told.keys() == MONITOR | {"stats"}
    assert (told["format"], told["version"], told["steps"]) == ("pynn.monitor", 1, int(monitor.stats.steps[-1]))
    assert [finding["symptom"] for finding in told["verdict"]] == [finding.symptom for finding in monitor.verdict]
    assert told["history"]["loss"] == monitor.history["loss"]
    figures = told["stats"]["layers"]["1.ReLU"]
    np.testing.assert_array_equal(np.array(figures["std"], float), monitor.stats["1.ReLU"]["std"])
    assert figures["saturated_fraction"] == [None] * len(told["stats"]["steps"])


def test_a_monitor_that_saw_nothing_and_one_that_saw_infinity():
    assert strict(json_text(pynn.Monitor().to_dict(stats=True)))["steps"] == 0
    pynn.manual_seed(0)
    x, y = np.full((64, 2), 1e30), np.zeros((64, 1))
    trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(2, 1)), pynn.MSELoss(), pynn.SGD(0.1))
    monitor = pynn.Monitor(on_problem="silent")
    with pytest.raises(pynn.NonFiniteError):
        trainer.fit(x, y, epochs=1, callbacks=[monitor])
    told = strict(json_text(monitor.to_dict(stats=True)))
    assert "non_finite" in [finding["symptom"] for finding in told["verdict"]]


def test_a_report():
    x, y = pynn.datasets.blobs(seed=0)
    model = pynn.Sequential(pynn.Linear(2, 8), pynn.ReLU(), pynn.Linear(8, 3))
    report = pynn.preflight(pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1)), 100 * x, y)
    told = strict(json_text(report.to_dict()))
    assert told.keys() == {"format", "version", "status", "checks"}
    assert told["status"] == report.status
    assert [check["status"] for check in told["checks"]] == [check.status for check in report]
    assert told["checks"][0].keys() == FINDING - {"step", "last_step", "end", "severity"} | {"name", "status"}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan"), np.array(np.inf)])
def test_what_json_lacks_is_null(value):
    assert plain({"a": [value, (1, value)]}) == {"a": [None, [1, None]]}


def run(tmp_path, monkeypatch, *arguments):
    monkeypatch.chdir(tmp_path)
    return CliRunner().invoke(main, list(arguments))


def test_train_prints_json_alone(tmp_path, monkeypatch):
    result = run(tmp_path, monkeypatch, "train", "--epochs", "2", "--json", "--report", "run.html")
    assert result.exit_code == 0, result.output
    told = strict(result.stdout)
    expected = {"format", "version", "model", "curves", "report", "interrupted", "scores", "verdict", "run"}
    assert told.keys() == expected
    assert told["run"].keys() == MONITOR
    assert all(Path(told[name]).exists() for name in ("model", "curves", "report"))
    assert told["scores"]["test"]["examples"] == 359 and 0 < told["scores"]["test"]["accuracy"] <= 1
    assert "examples" in result.stderr


def test_a_training_that_fails_still_tells_its_verdict(tmp_path, monkeypatch):
    result = run(tmp_path, monkeypatch, "train", "--epochs", "3", "--lr", "1e30", "--no-batchnorm", "--json")
    assert result.exit_code == 1
    told = strict(result.stdout)
    assert told["model"] is None and told["scores"] == {}
    assert {"non_finite", "lr_too_high"} & {finding["symptom"] for finding in told["verdict"]}
    assert "nothing was saved" in result.stderr


def test_check_prints_json_alone(tmp_path, monkeypatch):
    result = run(tmp_path, monkeypatch, "check", "--lr", "1000", "--json")
    told = strict(result.stdout)
    assert result.exit_code == {"pass": 0, "warn": 1, "fail": 2}[told["status"]] > 0


def test_diagnose_prints_json_alone(tmp_path, monkeypatch):
    result = run(tmp_path, monkeypatch, "diagnose", "--epochs", "2", "--lr", "50", "--seconds", "3", "--json")
    told = strict(result.stdout)
    expected = {"format", "version", "verdict", "metric", "baseline", "trials", "best", "untried", "advice"}
    assert told.keys() == expected
    assert told["baseline"]["change"] is None
    assert result.exit_code == 2


if __name__ == "__main__":
    PAGE.write_text(with_example(PAGE.read_text()))
