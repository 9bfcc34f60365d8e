"""``pynn diagnose``: exit codes, output, errors in one line."""

import numpy as np
import pytest
from click.testing import CliRunner

from pynn.cli.diagnose import diagnose_command
from pynn.cli.train import train

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = ("--hidden", "16", "--epochs", "3", "--optimizer", "sgd")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that runs the command in an empty folder and gives its result."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments, code):
        result = CliRunner().invoke(diagnose_command, [str(argument) for argument in arguments])
        assert result.exit_code == code, result.output
        return result

    return invoke


@pytest.fixture
def table(tmp_path, rng):
    """Write a table with three classes that a network can learn."""
    x = rng.standard_normal((500, 4))
    labels = np.array(["low", "mid", "high"])[np.digitize(x[:, 0] + x[:, 1], [-0.8, 0.8])]
    rows = ["a,b,c,d,y", *(",".join([*map(str, row), label]) for row, label in zip(x, labels, strict=True))]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    return "t.csv"


def test_a_healthy_training_exits_with_0_and_saves_nothing(run, table, tmp_path):
    result = run("--data", table, "--hidden", "16", "--epochs", "8", code=0)
    assert result.stdout.startswith("verdict: nothing wrong\n")
    assert "as it is [no symptoms]" in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_a_fault_exits_with_2_and_says_what_cures_it(run, table):
    result = run("--data", table, *SMALL, "--lr", "500", "--no-batchnorm", code=2)
    assert "error: lr_too_high" in result.stdout
    last = " ".join(result.stdout.split("\n\n")[-1].split())
    assert last.startswith("Learning rate 500 -> ")
    assert "SGD(lr=" in last and "gone: " in last


def test_trials_are_announced_on_standard_error_unless_quiet(run, table):
    arguments = ("--data", table, *SMALL, "--lr", "500", "--schedule", "none")
    lines = run(*arguments, code=2).stderr.splitlines()
    assert lines[0].startswith("target: y, 3 classes")
    assert lines[1] == "training without changes"
    assert lines[2].startswith("trying 1/") and ": learning rate" in lines[2]
    assert run(*arguments, "-q", code=2).stderr == ""


def test_regression_is_scored_by_r2(run, tmp_path, rng):
    x = rng.standard_normal((400, 4))
    y = 1e6 + 1e5 * (x[:, 0] + np.sin(x[:, 1]))
    rows = ["a,b,c,d,y", *(",".join(map(str, row)) for row in np.column_stack([x, y]))]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    options = ("--hidden", "16", "--lr", "1e-7", "--epochs", "20")
    result = run("--data", "t.csv", "--task", "regression", *options, code=2)
    last = " ".join(result.stdout.split("\n\n")[-1].split())
    assert last.startswith("Learning rate 1e-07 -> ") and "(R2 -" in last


def test_time_can_be_limited(run, table):
    result = run("--data", table, "--hidden", "64,64", "--epochs", "1000000", "--seconds", "0.5", "-q", code=0)
    assert "as it is [no symptoms]" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--data", "missing.foo"], 2, "expected digits, mnist, cifar10, a table"),
        (["--data", "missing.csv"], 1, "missing.csv"),
        (["--seconds", "0"], 2, "--seconds"),
        (["--seconds", "inf"], 2, "not a finite number"),
    ],
)
def test_an_error_is_one_line(run, arguments, code, message):
    from pynn.cli import main

    result = CliRunner().invoke(main, ["diagnose", *arguments])
    assert result.exit_code == code
    assert message in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_diagnose_takes_every_option_that_describes_a_training():
    ours, theirs = ({parameter.name for parameter in command.params} for command in (diagnose_command, train))
    left_out = {"augment", "save", "plot", "report", "folds", "early_stopping", "class_weight", "precision"}
    assert theirs - ours <= left_out
    assert ours - theirs == {"seconds"}
