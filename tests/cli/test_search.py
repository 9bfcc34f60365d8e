"""``pynn search``: what it finds, keeps and says, and what it refuses."""

import shlex
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import pynn
from pynn.cli import main

QUICK = ("--trials", 4, "--epochs", 2, "--stages", 1, "--processes", 1, "--width", 16, "-q")


def test_a_search_saves_the_best_network_and_says_how_to_repeat_it(run, tmp_path):
    result = run("search", *QUICK, "--report", "s.html", "--plot", "s.png")
    assert "4 finished" in result.stdout
    (again,) = [line.split(maxsplit=1)[1] for line in result.stdout.splitlines() if line.startswith("again")]
    (accuracy,) = [line.split()[-1] for line in result.stdout.splitlines() if line.startswith("test")]
    model = pynn.load(tmp_path / "pynn-model.safetensors")
    assert model.predict_label(np.zeros((2, 64), np.float32)).shape == (2,)
    assert (tmp_path / "s.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")
    trained = run(*again.split()[1:], "-q")
    (row,) = [line for line in trained.stdout.splitlines() if line.startswith("test")]
    # Not the same order of random draws, but the same network, data and rates.
    assert abs(float(row.split()[-1].rstrip("%")) - float(accuracy.rstrip("%"))) < 10


def test_names_whole_numbers_and_shares_are_searched_too(run):
    result = run(
        "search", *QUICK[:-3], "-q", "--lr", 0.01, "--weight-decay", 0, "--layers", "1:3", "--width", "8:32",
        "--dropout", "0:0.5", "--batch-size", "16:64", "--optimizer", "sgd,adam", "--activation", "relu,tanh",
    )  # fmt: skip
    for name in ("layers", "width", "dropout", "batch-size", "optimizer", "activation"):
        assert f"        {name} " in result.stdout
    assert "\n        lr " not in result.stdout


def test_a_regression_gives_amounts_and_says_how_to_repeat_it(run, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 2))
    rows = "\n".join(f"{a},{b},{place},{1000 + 50 * a - 20 * b}" for place, (a, b) in enumerate(x))
    (tmp_path / "the prices.csv").write_text(f"a,b,place,unit price\n{rows}\n")
    table = ("--data", "the prices.csv", "--target", "unit price", "--drop", "place", "--task", "regression")
    result = run("search", *QUICK, *table, "--lr", "1e-3:0.1", "--batch-size", "16:32")
    assert "        batch-size " in result.stdout
    model = pynn.load(tmp_path / "pynn-model.safetensors")
    assert 500 < float(model.predict(x.astype(np.float32)).mean()) < 1500
    (again,) = [line for line in result.stdout.splitlines() if line.startswith("again")]
    run(*shlex.split(again)[2:], "-q")
    trained = pynn.load(tmp_path / "pynn-model-2.safetensors")
    assert repr(trained) == repr(model)
    assert trained.input_schema == model.input_schema


def test_another_metric_is_searched_for_and_shown(run):
    result = run("search", *QUICK, "--metric", "f1", "--report", "s.html")
    (best,) = [line for line in result.stdout.splitlines() if line.startswith("best")]
    assert "best    validation F1 0." in best
    (test,) = [line for line in result.stdout.splitlines() if line.startswith("test")]
    assert ", F1 0." in test
    assert "Best validation F1" in Path("s.html").read_text(encoding="utf-8")


def test_a_folder_keeps_the_trials_and_another_search_is_refused(run):
    first = run("search", *QUICK, "--folder", "kept")
    second = run("search", *QUICK, "--folder", "kept")
    own = ("again", "model")  # each run's own line
    lines = [[line for line in run.stdout.splitlines() if not line.startswith(own)] for run in (first, second)]
    assert lines[0] == lines[1]
    assert Path("pynn-model.safetensors").read_bytes() == Path("pynn-model-2.safetensors").read_bytes()
    refused = run("search", *QUICK, "--folder", "kept", "--lr", "1e-3:1e-2", code=1)
    assert "another search" in refused.output or "other" in refused.output
    assert "Traceback" not in refused.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--lr", "1:0.1"), "pynn: error: the range of '--lr' is reversed: from 1 to 0.1"),
        (("--lr", "0:0.1"), "0:0.1"),
        (("--lr", "fast"), "neither a number nor a range"),
        (("--lr", "1:2:3"), "neither a number nor a range"),
        (("--width", "0:8"), "is out of range; expected 1 to 100000"),
        (("--optimizer", "sgd,newton"), "'newton' is not one of"),
        (("--lr", "0.1", "--weight-decay", "0"), "nothing to search"),
        (("--data", "missing.csv"), "missing.csv"),
        (("--plot", "x.gif"), "--plot"),
        (("--metric", "r2"), "--metric: there is no metric 'r2' of a classification"),
        (("--save", "no/such/folder/m.safetensors"), "cannot write"),
    ],
)
def test_what_cannot_be_searched_is_refused_in_a_line(run, arguments, words):
    result = CliRunner().invoke(main, ["search", *map(str, QUICK), *arguments])
    assert result.exit_code in (1, 2)
    assert words in result.output
    assert "Traceback" not in result.output
    assert len(result.output.strip().splitlines()) == 1
