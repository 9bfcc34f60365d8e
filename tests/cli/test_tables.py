"""Tables on the command line: targets of any size, new data with gaps, labels as they were written."""

import csv
import io

import numpy as np
import pytest
from click.testing import CliRunner

import pynn
from pynn.cli import main

ROWS = "".join(f"{i * 7 % 11}.5,{i * 5 % 13}.5,{'ny'[i % 2]}\n" for i in range(40))


def predicted(result):
    return list(csv.DictReader(io.StringIO(result.stdout)))


@pytest.fixture
def trained(run, tmp_path):
    """Train on a table whose column b has a gap; return a function that predicts a table of new data."""
    (tmp_path / "t.csv").write_text(
        "a,b,c,label\n"
        + "".join(
            f"{i * 7 % 11}.5,{i * 5 % 13 if i else ''},{'red' if i % 3 else 'blue'},{'ny'[i % 2]}\n" for i in range(40)
        )
    )
    run("train", "--data", "t.csv", "--hidden", "4", "--epochs", "1", "-q")

    def predict(text, code=0):
        (tmp_path / "new.csv").write_text(text)
        return run("predict", "pynn-model.safetensors", "new.csv", code=code)

    return predict


@pytest.mark.parametrize("target", ["", "?", "NA", "y", "maybe", "None", "7"])
def test_a_target_in_new_data_is_not_looked_at(trained, target):
    assert len(predicted(trained(f"a,b,c,label\n1,2,red,{target}\n3,4,blue,\n"))) == 2


def test_gaps_are_filled_only_where_training_had_some(trained):
    assert len(predicted(trained("a,b,c\n1,,red\n1,None,red\n"))) == 2
    for text, message in [
        ("a,b,c\n1,2,red\n?,2,red\n", "new.csv, line 3: column 'a' has no value ('?')"),
        ("a,b,c\n1,2,\n", "new.csv, line 2: column 'c' has no value ('')"),
        ("a,b,c\n1e39,2,red\n", "new.csv, line 2: column 'a' has '1e39'; expected a finite number"),
    ]:
        failed = trained(text, code=1)
        assert message in failed.stderr
        assert failed.stdout == ""


def test_no_value_that_is_not_finite_is_written(run, tmp_path):
    model = pynn.Sequential(pynn.Linear(2, 1))
    pynn.Trainer(model, pynn.MSELoss(), pynn.SGD(0.1))
    model.save(tmp_path / "m.safetensors")
    np.savez(tmp_path / "x.npz", x=np.array([[1.0, 2.0], [1e300, 1.0]]))
    failed = run("predict", "m.safetensors", "x.npz", "--output", "y.csv", code=1)
    assert "in row 1" in failed.stderr
    assert not (tmp_path / "y.csv").exists()


@pytest.mark.parametrize(
    ("offset", "spread"), [(1.7e9, 900.0), (0.0, 1e-12), (-4e15, 1e3), (1e30, 1e30), (5.0, 1e-6), (0.0, 1e-30)]
)
def test_amounts_of_any_size_are_learnt(run, rng, tmp_path, offset, spread):
    x = rng.standard_normal((300, 2))
    y = offset + spread * (x @ [1.0, -0.5])
    lines = [",".join(map(repr, map(float, row))) for row in np.c_[x, y]]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,amount", *lines]))
    result = run("train", "--data", "t.csv", "--task", "regression", "--hidden", 16, "--epochs", 40, "-q")
    values = np.array([float(row["value"]) for row in predicted(run("predict", "pynn-model.safetensors", "t.csv"))])
    error = np.sqrt(np.mean(np.square((values - y) / spread)))
    assert error < 0.1
    model = pynn.load("pynn-model.safetensors")
    np.testing.assert_allclose(model.predict(x)[:, 0], values, rtol=1e-14)
    (row,) = [line.split() for line in result.stdout.splitlines() if line.startswith("test")]
    assert float(row[2]) < 0.15 * spread
    assert float(row[3]) > 0.98


def test_amounts_that_float64_cannot_tell_apart_are_refused(run, tmp_path):
    (tmp_path / "t.csv").write_text("a,y\n" + "".join(f"{i},{1e-200 * (i % 7)!r}\n" for i in range(40)))
    assert "too close for their squares to differ" in run("train", "--data", "t.csv", code=1).stderr


LABELS = {
    "uint64": (np.array([2**64 - 1, 5], np.uint64), ["5", str(2**64 - 1)]),
    "beyond 2**53": (np.array([2**53 + 1, 2**53]), [str(2**53), str(2**53 + 1)]),
    "booleans": (np.array([True, False]), ["0", "1"]),
    "whole floats": (np.array([1.0, -3.0]), ["-3", "1"]),
    "huge floats": (np.array([1e300, 2.0]), ["2", str(int(1e300))]),
    "gaps": (np.array([0, 1000000]), ["0", "1000000"]),
    "text": (np.array(["07", "7"]), ["07", "7"]),
    "bytes": (np.array(["é".encode(), b"e"]), ["e", "é"]),
    "big-endian": (np.array([1, 2], ">i4"), ["1", "2"]),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_an_archive_keep_their_names(run, rng, tmp_path, kind):
    labels, names = LABELS[kind]
    x = rng.standard_normal((60, 2))
    np.savez(tmp_path / "t.npz", x=x, y=labels[(x[:, 0] > 0).astype(int)])
    run("train", "--data", "t.npz", "--hidden", "none", "--epochs", 1, "-q")
    assert pynn.load("pynn-model.safetensors").class_names == names


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array(["a", "nan"]), "y has no label in row 1 ('nan')"),
        (np.array(["", "a"]), "y has no label in row 0 ('')"),
        (np.array([b"\xff", b"a"]), "y holds bytes that are not UTF-8 text"),
        (np.array([0.5, 1e300]), "y has 1e+300 in row 1; float32 holds up to 3.4e38"),
    ],
)
def test_targets_of_an_archive_that_are_none(run, tmp_path, labels, message):
    np.savez(tmp_path / "t.npz", x=np.zeros((60, 2)), y=np.tile(labels, 30))
    assert message in run("train", "--data", "t.npz", "-q", code=1).stderr


def test_a_target_called_by_a_number_is_that_column(run, tmp_path):
    (tmp_path / "t.csv").write_text("1,2,0\n" + ROWS)
    result = run("train", "--data", "t.csv", "--target", "0", "--hidden", "4", "--epochs", "1")
    assert "2 features, 2 classes" in result.stderr


@pytest.mark.parametrize("extra", [(), ("--schedule", "step"), ("--epochs", "1")])
def test_check_of_a_small_table_has_nothing_against_the_schedule(rng, tmp_path, extra):
    x = rng.standard_normal((150, 4))
    lines = [",".join(f"{v:.4f}" for v in row) + f",{'yn'[int(row[0] + row[1] > 0)]}" for row in x]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,c,d,label", *lines]))
    result = CliRunner().invoke(main, ["check", "--data", str(tmp_path / "t.csv"), *extra])
    assert result.exit_code in (0, 1), result.output
    assert "schedule" not in result.stdout


def test_a_model_that_cannot_be_written_is_not_lost(run, tmp_path, monkeypatch):
    save, asked = pynn.Sequential.save, []

    def refused(model, path):
        asked.append(path)
        if len(asked) == 1:
            raise OSError(28, "No space left on device")
        save(model, path)

    monkeypatch.setattr(pynn.Sequential, "save", refused)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    message = run("train", "--hidden", "4", "--epochs", 1, "-q", code=1).stderr
    assert "cannot write pynn-model.safetensors: No space left on device; the model is in" in message
    assert pynn.load(asked[1]).class_names is not None
