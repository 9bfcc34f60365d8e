"""``pynn lecture``."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from pynn.cli import main
from pynn.lecture import experiments

QUICK = ("--seeds", "2", "--processes", "1", "--output", "out")


@pytest.fixture
def invoke(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYNN_DATA", raising=False)

    def run(*arguments, code=0):
        result = CliRunner().invoke(main, ["lecture", *arguments])
        assert result.exit_code == code, result.output
        return result

    return run


def test_list_shows_every_experiment_with_its_claim(invoke):
    shown = " ".join(invoke("list").output.split())
    for item in experiments().values():
        assert item.name in shown
    assert "After one large update a ReLU unit may never be active again." in shown
    assert "needs MNIST" in shown


def test_one_experiment_is_told_in_full_and_written(invoke, tmp_path):
    result = invoke("he-relu", *QUICK)
    for part in ("With He weights", "He et al. 2015", "Ten ReLU layers", "expected 0.9 to 1.1", "✓ reproduced"):
        assert part in result.stdout
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["lecture.html", "lecture.json", "pictures"]
    assert (tmp_path / "out" / "pictures" / "he-relu.png").exists()


def test_several_are_a_line_each_and_what_was_there_stays(invoke, tmp_path):
    invoke("he-relu", *QUICK)
    result = invoke("initial-loss", "bn-identity", *QUICK)
    lines = [line for line in result.stdout.splitlines() if "reproduced  " in line]
    assert [line.split()[2] for line in lines] == ["bn-identity", "initial-loss"]
    assert "2 reproduced" in result.stdout
    stored = json.loads((tmp_path / "out" / "lecture.json").read_text())["results"]
    assert {item["name"] for item in stored} == {"he-relu", "initial-loss", "bn-identity"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dead-rleu"], "did you mean dead-relu"),
        (["--seeds", "1"], "--seeds"),
        (["he-relu", "--processes", "0"], "--processes"),
        (["he-relu", "--minutes", "nan"], "not a finite number"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(invoke, arguments, message):
    result = invoke(*arguments, code=2)
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_results_of_something_else_are_left_alone(invoke, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "lecture.json").write_text("mine")
    result = invoke("he-relu", *QUICK, code=1)
    assert "lecture.json cannot be read as results of 'pynn lecture'" in result.stderr
    assert (tmp_path / "out" / "lecture.json").read_text() == "mine"


def test_an_output_that_is_a_file_is_refused(invoke, tmp_path):
    (tmp_path / "out").write_text("mine")
    assert "out" in invoke("he-relu", *QUICK, code=2).stderr


def test_what_needs_data_is_left_out_unless_it_is_all_that_was_asked_for(invoke, tmp_path, monkeypatch):
    result = invoke("bn-mnist", "bn-identity", *QUICK)
    assert "not run: bn-mnist needs MNIST in the folder that PYNN_DATA names" in result.stderr
    monkeypatch.setenv("PYNN_DATA", str(tmp_path))
    assert "looked there for train-images-idx3-ubyte" in invoke("bn-mnist", *QUICK, code=1).stderr


def test_without_optuna_it_says_what_to_install(invoke, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = invoke("sixty-trials", *QUICK, code=1)
    assert 'sixty-trials needs Optuna: pip install "pynn-kernels[search]"' in result.stderr


def test_without_matplotlib_there_is_a_page_and_a_word(invoke, tmp_path, monkeypatch):
    monkeypatch.setattr("pynn.cli.lecture.plots_available", lambda: False)
    result = invoke("bn-identity", *QUICK)
    assert 'no pictures: pip install "pynn-kernels[plot]"' in result.stderr
    assert (tmp_path / "out" / "lecture.html").exists()
    assert not (tmp_path / "out" / "pictures").exists()


def test_a_time_limit_reaches_the_experiment_that_has_one(invoke, tmp_path, small_data, monkeypatch):
    monkeypatch.setenv("PYNN_DATA", str(small_data))
    result = invoke("maxout-mnist", *QUICK, "--minutes", "0.002")
    assert "test error" in result.stdout
    [stored] = json.loads((tmp_path / "out" / "lecture.json").read_text())["results"]
    assert stored["settings"] == {"minutes": 0.002}


def test_ctrl_c_leaves_a_page_of_what_was_finished(tmp_path):
    command = [sys.executable, "-c", "from pynn.cli import main; main()", "lecture", "--processes", "1"]
    environment = {name: value for name, value in os.environ.items() if name != "PYNN_DATA"}
    running = subprocess.Popen(
        [*command, "--seeds", "2", "he-relu", "bn-any-init"],
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler), start_new_session=True,
    )  # fmt: skip
    stored = tmp_path / "pynn-lecture" / "lecture.json"
    deadline = time.monotonic() + 60
    while not stored.exists() and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGINT)
    out, error = running.communicate(timeout=60)
    assert running.returncode == 130, error
    assert "Traceback" not in error
    assert "interrupted; these are the results so far" in error
    assert "he-relu" in out
    assert json.loads(stored.read_text())["results"][0]["name"] == "he-relu"
