"""``pynn check``: exit codes, output, errors in one line."""

import numpy as np
import pytest
from click.testing import CliRunner

from pynn.cli.check import check
from pynn.cli.train import train


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that runs the command in an empty folder and gives its result."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments, code):
        result = CliRunner().invoke(check, [str(argument) for argument in arguments])
        assert result.exit_code == code, result.output
        return result

    return invoke


def write_table(path, x, y):
    rows = [",".join(["a", "b", "c", "d", "e", "y"])]
    rows += [",".join([*(f"{value:.6f}" for value in row), str(label)]) for row, label in zip(x, y, strict=True)]
    path.write_text("\n".join(rows))


@pytest.fixture
def table(tmp_path, rng):
    """Write a table with three classes that a network can learn."""
    x = rng.standard_normal((400, 5))
    write_table(tmp_path / "t.csv", x, np.array(["low", "mid", "high"])[np.digitize(x[:, 0] * x[:, 1], [-0.3, 0.3])])
    return x


def test_check_without_arguments_passes_on_the_digits(run, tmp_path):
    result = run(code=0)
    assert result.stdout.splitlines()[-1].startswith("preflight: ")
    assert "failed" not in result.stdout
    assert "1258 examples of shape (64,)" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_table_passes(run, table):
    run("--data", "t.csv", code=0)


def test_warnings_exit_with_1_and_say_what_to_do(run, table, tmp_path, rng):
    labels = np.where(np.arange(400) % 40 == 0, "rare", "usual")
    write_table(tmp_path / "t.csv", table, labels)
    result = run("--data", "t.csv", "--hidden", "16", code=1)
    assert "warn  label balance" in result.stdout
    assert "-> Weight the rare classes" in result.stdout


def test_failures_exit_with_2_and_quiet_shows_them_alone(run):
    result = run("--optimizer", "sgd", "--lr", "1000", "-q", code=2)
    assert result.stdout.startswith("fail  learning rate")
    assert "pass " not in result.stdout


def test_regression_takes_the_target_as_train_scales_it(run, tmp_path, rng):
    x = rng.standard_normal((400, 5))
    write_table(tmp_path / "t.csv", x, 1e6 + 1e5 * (x[:, 0] + np.sin(x[:, 1])))
    run("--data", "t.csv", "--task", "regression", code=0)


def test_the_page_is_written_beside_the_table(run, table, tmp_path):
    run("--data", "t.csv", "--report", "report.html", "-q", code=0)
    assert "learning rate" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--data", "missing.foo"], 2, "expected digits, mnist, cifar10, a table"),
        (["--lr", "nan"], 2, "not a finite number"),
        (["--html", "."], 1, "it is a folder"),
        (["--report", "none/report.html", "--hidden", "16"], 1, "cannot write none/report.html"),
    ],
)
def test_an_error_is_one_line(run, arguments, code, message):
    result = run(*arguments, code=code)
    assert message in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_check_takes_every_option_that_describes_a_training():
    ours, theirs = ({parameter.name for parameter in command.params} for command in (check, train))
    assert theirs - ours == {"augment", "save", "plot", "early_stopping", "precision"}
    assert ours <= theirs
