"""Tables on the command line: targets of any size, new data with gaps, labels as they were written."""

import csv
import io
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from cases import case
from click.testing import CliRunner
from sklearn import datasets

import pynn
from pynn.cli import main
from pynn.cli.data import split
from pynn.cli.tables import DataOptions

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

    def predict(text, *options, code=0, encoding="utf-8"):
        (tmp_path / "new.csv").write_text(text, encoding=encoding)
        return run("predict", "pynn-model.safetensors", "new.csv", *options, code=code)

    return predict


@pytest.mark.parametrize("target", ["", "?", "NA", "y", "maybe", "None", "7"])
def test_a_target_in_new_data_is_not_looked_at(trained, target):
    assert len(predicted(trained(f"a,b,c,label\n1,2,red,{target}\n3,4,blue,\n"))) == 2


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("1,,red\n1,None,red\n", "b 2"),
        ("1,2,red\n?,2,red\n", "a 1"),
        ("1,2,\n1,2,red\n", "c 1"),
        ("1,2,red\n3,4,blue\n", ""),
    ],
)
def test_gaps_are_filled_and_told(trained, rows, told):
    result = trained(f"a,b,c\n{rows}")
    assert len(predicted(result)) == 2
    message = f"new.csv lacks values (numbers get the mean of the training data): {told}\n"
    assert (message in result.stderr) == bool(told)


def test_a_category_that_was_not_there_is_told(trained):
    result = trained("a,b,c\n1,2,green\n1,2,red\n")
    assert len(predicted(result)) == 2
    assert "new.csv, line 2: column 'c' has 'green', none of the known categories blue, red" in result.stderr


def test_a_number_that_is_none_is_refused(trained):
    failed = trained("a,b,c\n1e39,2,red\n", code=1)
    assert "new.csv, line 2: column 'a' has '1e39'; expected a finite number" in failed.stderr
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
    result = run("train", "--data", "t.csv", "--target", "amount", "--hidden", 16, "--epochs", 40, "-q")
    values = np.array([float(row["value"]) for row in predicted(run("predict", "pynn-model.safetensors", "t.csv"))])
    error = np.sqrt(np.mean(np.square((values - y) / spread)))
    assert error < 0.1
    model = pynn.load("pynn-model.safetensors")
    np.testing.assert_allclose(model.predict(x)[:, 0], values, rtol=1e-15, atol=1e-4 * spread)
    (row,) = [line.split() for line in result.stdout.splitlines() if line.startswith("test")]
    assert float(row[2]) < 0.15 * spread
    assert float(row[3]) > 0.98


def test_prices_are_written_without_an_exponent(run, tmp_path):
    rows = "".join(f"{i * 7 % 11},{100_000 + 12_345 * (i * 7 % 11)}\n" for i in range(60))
    (tmp_path / "t.csv").write_text("rooms,price\n" + rows)
    result = run("train", "--data", "t.csv", "--target", "price", "--folds", 0, "--epochs", 1)
    assert "target: price, regression, 100000 to 223450" in result.stderr
    (row,) = [line for line in result.stdout.splitlines() if line.startswith("test")]
    assert "e+" not in row
    assert "e+" not in run("predict", "pynn-model.safetensors", "t.csv").stdout


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


@pytest.mark.parametrize(
    ("extra", "examples", "parameters"),
    [
        ((), 120, (4 + 1) * 64 + (64 + 1) * 64 + (64 + 1) * 2),  # the deep network
        (("--hidden", "8"), 120, (4 + 1) * 8 + (8 + 1) * 2),
        (("--folds", "3", "--hidden", "8"), 100, (4 + 1) * 8 + (8 + 1) * 2),
        (("--folds", "0", "--hidden", "8"), 105, (4 + 1) * 8 + 2 * 8 + (8 + 1) * 2),  # with batch norm
    ],
)
def test_check_of_a_small_table_looks_at_a_network_that_train_would_train(rng, tmp_path, extra, examples, parameters):
    x = rng.standard_normal((150, 4))
    lines = [",".join(f"{v:.4f}" for v in row) + f",{'yn'[int(row[0] + row[1] > 0)]}" for row in x]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,c,d,label", *lines]))
    result = CliRunner().invoke(main, ["check", "--data", str(tmp_path / "t.csv"), *extra])
    assert f"{examples} examples of shape (4,)" in result.stdout
    assert f"; {parameters:,} parameters to train" in result.stdout.replace("\n", " ")


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


PENGUINS = "species,island,mass,year\n" + "".join(
    f"{('Adelie', 'Gentoo')[i % 2]},{('Dream', 'Biscoe')[i // 2 % 2]},{3000 + 37 * i % 800},{2007 + i % 3}\n"
    for i in range(60)
)


def test_a_target_that_is_not_evident_is_asked_for(run, tmp_path):
    (tmp_path / "t.csv").write_text(PENGUINS)
    message = run("train", "--data", "t.csv", code=2).stderr
    assert "which column of t.csv is the target? Name it with --target" in message
    assert "species (text), island (text), mass (whole numbers), year (few whole numbers)" in message


def test_of_many_columns_the_question_names_the_last_which_often_is_the_target(run, tmp_path):
    names = ",".join([*(f"skill_{i}" for i in range(40)), "salary"])
    (tmp_path / "t.csv").write_text(f"{names}\n" + f"{'1,0,' * 20}70000\n{'0,1,' * 20}80000\n" * 20)
    message = run("train", "--data", "t.csv", code=2).stderr
    assert "skill_28 (few whole numbers), 11 more, salary (few whole numbers) (see" in message


@pytest.mark.parametrize("command", ["check", "diagnose --seconds 1", "search --trials 1 --epochs 1 --processes 1"])
def test_every_command_tells_what_was_made_of_the_columns(tmp_path, monkeypatch, command):
    (tmp_path / "t.csv").write_text("id,a,b,label\n" + "".join(f"x{i},{i * 7 % 11}%,{i},{i % 2}\n" for i in range(60)))
    monkeypatch.chdir(tmp_path)
    arguments = [*command.split(), "--data", "t.csv"]
    told = CliRunner().invoke(main, arguments).stderr
    assert "target: label, 2 classes" in told
    assert "dropped: id (60 different texts in 60 rows" in told
    assert "target" not in CliRunner().invoke(main, [*arguments, "-q"]).stderr


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("label,a,b\n" + "x,1,2.5\ny,2,3.5\n" * 20, "label, 2 classes: x 50%, y 50%"),
        ("a,b,kind\n" + "1,2.5,x\n2,3.5,y\n" * 20, "kind, 2 classes: x 50%, y 50%"),
        ("a,label\n" + "1,no\n2,no\n" * 200 + "3,yes\n", "label, 2 classes: no 99.8%, yes 0.249%"),
        ("a,b,ill\n" + "1.5,2.5,1\n2.5,3.5,0\n2.6,3.1,0\n" * 20, "ill, 2 classes: 0 67%, 1 33%"),
        ("Y,a,b\n" + "".join(f"{i}.5,{i % 7},2\n" for i in range(40)), "Y, regression, 0.5 to 39.5"),
    ],
)
def test_an_evident_target_is_told(run, tmp_path, text, target):
    (tmp_path / "t.csv").write_text(text)
    result = run("train", "--data", "t.csv", "--hidden", "4", "--epochs", 1)
    assert result.stderr.startswith(f"target: {target}\n")


def test_a_bar_of_networks_leaves_no_blank_lines_in_a_log(run, tmp_path):
    (tmp_path / "t.csv").write_text("a,b,label\n" + ROWS)
    told = run("train", "--data", "t.csv", "--hidden", "4", "--epochs", 1).stderr
    assert "" not in told.splitlines()


def test_what_was_decided_is_told(run, tmp_path):
    rows = [f"{i},name {i},{'red' if i % 2 else ''},${i % 5},{('no', 'yes', '')[i % 3]}\n" for i in range(60)]
    (tmp_path / "t.csv").write_text("id,name,colour,price,label\n" + "".join(rows))
    told = run("train", "--data", "t.csv", "--hidden", "4", "--epochs", 1).stderr.splitlines()
    assert told[0] == "target: label, 2 classes: no 50%, yes 50%"
    assert told[1] == "left out: 20 rows without a target"
    assert told[2].startswith("dropped: id (row numbers), name (60 different texts in 60 rows")
    assert told[3].startswith("read: price ($1 is 1)")
    assert told[4] == "missing (numbers get the mean): colour 20"


def test_options_overrule_what_a_table_looks_like(run, tmp_path):
    rows = [f"{i % 3:02},{i % 4},1.{i % 9},unknown,{'ab'[i % 2]}\n" for i in range(60)]
    (tmp_path / "t.csv").write_text("zip,code,c,d,label\n" + "".join(rows))
    run("train", "--data", "t.csv", "--numeric", "zip", "--categorical", "code", "--drop", "d,c", "--epochs", 1, "-q")
    columns = pynn.load("pynn-model.safetensors").input_schema["columns"]
    assert [(column["name"], column["kind"]) for column in columns] == [("zip", "number"), ("code", "category")]
    message = run("train", "--data", "t.csv", "--drop", "e", code=1).stderr
    assert "drop names 'e', but t.csv has zip, code, c, d, label" in message
    assert "--decimal is for tables" in run("train", "--decimal", ",", "--epochs", 1, code=2).stderr


def test_a_feature_of_any_size_is_learnt(run, rng, tmp_path):
    moments = 1.7e12 + np.round(1e6 * rng.standard_normal(300))  # milliseconds: float32 tells every 131,072nd
    lines = [f"{moment:.0f},{(moment - 1.7e12) / 1e6:.6f}" for moment in moments]
    (tmp_path / "t.csv").write_text("\n".join(["when,y", *lines]))
    result = run("train", "--data", "t.csv", "--hidden", 16, "--epochs", 40, "-q")
    (row,) = [line.split() for line in result.stdout.splitlines() if line.startswith("test")]
    assert float(row[3]) > 0.98
    values = [row["value"] for row in predicted(run("predict", "pynn-model.safetensors", "t.csv"))]
    assert max(map(len, values)) <= len("-1.23456")


def test_the_probability_of_every_class(run, trained, tmp_path):
    assert len(predicted(trained("a,b,c\n1,2,red\n3,4,blue\n"))) == 2
    rows = predicted(run("predict", "pynn-model.safetensors", "new.csv", "--proba"))
    model = pynn.load("pynn-model.safetensors")
    expected = model.predict_proba(pynn.datasets.read_table("new.csv", schema=model.input_schema).x)
    assert list(rows[0]) == ["label", "probability n", "probability y"]
    found = [[float(row["probability n"]), float(row["probability y"])] for row in rows]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_epoch_whose_weights_are_restored_is_named(run):
    x, y = datasets.load_iris(return_X_y=True)
    Path("iris.csv").write_text(
        "".join(f"{','.join(map(str, row))},{label}\n" for row, label in zip(x, y, strict=True))
    )
    shown = run("train", "--data", "iris.csv", "--folds", 0, "--lr", 0.03, "--schedule", "none")
    losses = [float(value) for value in re.findall(r"val_loss (\S+)", shown.stderr)]
    (named,) = re.findall(r"restored epoch (\d+), which had the lowest validation loss", shown.stdout)
    assert 0 < int(named) < len(losses) and losses[int(named) - 1] == min(losses)
    (kept,) = re.findall(r"^validation +\d+ +(\S+)", shown.stdout, re.MULTILINE)
    assert float(kept) == pytest.approx(min(losses), abs=2e-4)
    assert "restored" not in run("train", "--data", "iris.csv", "--folds", 0, "--no-early-stopping").stdout


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_column_whose_numbers_are_in_no_training_row_is_named_with_its_file(run, tmp_path, suffix):
    rows = 60
    e = [None] * rows
    e[split("t", np.arange(rows) % 2)[1][0]] = 1.5
    frame = pl.DataFrame({"e": e, "a": [index / 7 for index in range(rows)], "y": ["u", "v"] * (rows // 2)})
    getattr(frame, f"write_{suffix}")(tmp_path / f"t.{suffix}")
    result = run("train", "--data", str(tmp_path / f"t.{suffix}"), "--folds", "0", code=1)
    assert re.search(rf"t\.{suffix}: column 'e' has no number in the training rows .*--drop e", result.stderr)


@pytest.mark.parametrize("encoding", ["cp1251", "utf-16-le", "shift-jis"])
def test_predict_is_told_the_encoding_of_its_file(trained, encoding):
    result = trained("a,b,c,д\n1,2,red,д\n", "--encoding", encoding, encoding=encoding)
    assert len(predicted(result)) == 1


def test_predict_is_told_whether_its_file_has_names(trained):
    text = "a,b,c\n1,2,red\n"
    assert len(predicted(trained(text, "--header"))) == 1
    assert len(predicted(trained("1,2,red\n3,4,blue\n", "--no-header"))) == 2
    failed = trained(text, "--no-header", code=1)
    assert "new.csv, line 1: column 'a' has 'a'; expected a number, as in the training data" in failed.stderr
    assert "lacks column a, b, c; it has 1, 2, red" in trained("1,2,red\n3,4,blue\n", "--header", code=1).stderr


@pytest.mark.parametrize("option", [("--no-header",), ("--encoding", "cp1251")])
def test_predict_reads_arrays_without_options_for_tables(run, trained, tmp_path, option):
    np.save(tmp_path / "x.npy", np.ones((3, 4)))
    result = run("predict", "pynn-model.safetensors", "x.npy", *option, code=2)
    assert "is for tables; x.npy is none" in result.stderr


@pytest.mark.parametrize("command", ["train", "check", "diagnose", "search"])
def test_the_help_lists_all_options_of_a_table_together(run, command):
    data = run(command, "--help").stdout.partition("Data options:")[2].partition("\n\n")[0]
    for option in DataOptions._fields[1:]:
        with case(option):
            assert f"--{option}" in data
