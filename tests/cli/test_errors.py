"""Failures: one line, an exit code, and no half-written file."""

import errno
import json
import os
import warnings

import numpy as np
import pytest
from click.testing import CliRunner

import pynn
from pynn.cli import info, main, predict, train


@pytest.fixture
def fail(tmp_path, monkeypatch):
    """Return a function that runs pynn in its folder, checks that it fails in one line, and returns that line."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYNN_DEBUG", raising=False)

    def invoke(*arguments, code=1):
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        assert result.exit_code == code, result.output
        assert result.stdout == ""
        last = result.stderr.splitlines()[-1]
        assert last.startswith("pynn: error: ")
        assert "Traceback" not in result.stderr
        return last.removeprefix("pynn: error: ")

    return invoke


@pytest.fixture
def model(tmp_path):
    """Write a model of four features and three classes."""
    network = pynn.Sequential(pynn.Linear(4, 3))
    pynn.Trainer(network, pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    network.save(tmp_path / "m.safetensors")
    return "m.safetensors"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["frain"], "No such command 'frain'"),
        (["train", "--foo"], "No such option '--foo'"),
        (["train", "extra"], "unexpected extra argument"),
        (["train", "--hidden", "3,x"], "'3,x' is neither a list of widths"),
        (["train", "--hidden", "64,0"], "'64,0' is neither a list of widths"),
        (["train", "--hidden", ""], "'' is neither a list of widths"),
        (["train", "--lr", "nan"], "'nan' is not a finite number"),
        (["train", "--lr", "0"], "0.0 is not in the range x>0"),
        (["train", "--weight-decay", "inf"], "'inf' is not a finite number"),
        (["train", "--dropout", "1"], "1.0 is not in the range 0<=x<1"),
        (["train", "--epochs", "0"], "0 is not in the range x>=1"),
        (["train", "--epochs", "ten"], "'ten' is not a valid whole number"),
        (["train", "--lr", "fast"], "'fast' is not a valid number"),
        (["train", "--batch-size", "0"], "0 is not in the range x>=1"),
        (["train", "--seed", "-1"], "-1 is not in the range x>=0"),
        (["train", "--activation", "rely"], "'rely' is not one of 'relu'"),
        (["train", "--backend", "cuda"], "'cuda' is not one of 'auto'"),
        (
            ["train", "--data", "x.foo"],
            "--data is 'x.foo'; expected digits, mnist, cifar10, a table (.csv, .tsv, .txt, .csv.gz, .parquet, .xlsx,",
        ),
        (["train", "--target", "y"], "--target is for tables"),
        (["train", "--data", "d.csv", "--folds", "1"], "--folds is 1; expected at least 2, or 0"),
        (["train", "--task", "regression"], "--task is for files"),
        (["train", "--plot", "curves.gif"], "curves.gif has no supported file extension"),
        (["train", "--plot", "a.png", "--save", "a.png"], "--save and --plot name the same file, a.png"),
        (["train", "--report", "a.st", "--save", "./a.st"], "--save and --report name the same file, a.st"),
        (["train", "--report", "a.svg", "--plot", "a.svg"], "--plot and --report name the same file, a.svg"),
        (["train", "--data", "d.csv", "--save", "d.csv"], "--data and --save name the same file, d.csv"),
        (["train", "--data", "d.npy", "--target", "y.npy", "--report", "y.npy"], "--target and --report name the same"),
        (["search", "--data", "d.csv", "--report", "d.csv"], "--data and --report name the same file, d.csv"),
        (["search", "--save", "a.png", "--plot", "a.png"], "--save and --plot name the same file, a.png"),
        (["check", "--data", "d.csv", "--report", "d.csv"], "--data and --report name the same file, d.csv"),
        (["predict", "m.safetensors", "d.csv", "--output", "d.csv"], "DATA and --output name the same file, d.csv"),
        (["predict", "m.safetensors", "d.csv", "--output", "m.safetensors"], "MODEL and --output name the same file"),
        (["export", "m.safetensors", "m.safetensors"], "MODEL and FILE name the same file, m.safetensors"),
        *(
            ([*command, option, "run.txt"], f"run.txt is the name of a .txt file, and a {kind} file would be written")
            for command, option, kind in [
                (["train"], "--report", ".html"),
                (["train"], "--save", ".safetensors"),
                (["search"], "--report", ".html"),
                (["search"], "--save", ".safetensors"),
                (["check"], "--report", ".html"),
            ]
        ),
        (["train", "--save", "model.onnx"], "a .safetensors file would be written; name it model.safetensors"),
        (["predict", "m.safetensors", "x.csv", "--output", "y.xlsx"], "y.xlsx is the name of a .xlsx file, and a .csv"),
        (["export", "m.safetensors", "m.html"], "m.html is the name of a .html file, and a .onnx file would be"),
        *(
            ([*command, ""], "the name is empty")
            for command in [
                *(["train", option] for option in ("--save", "--plot", "--report")),
                *(["search", option] for option in ("--save", "--plot", "--report", "--folder")),
                ["check", "--report"],
                ["predict", "m.safetensors", "d.csv", "--output"],
                ["predict", "m.safetensors"],
                ["predict"],
                ["export", "m.safetensors"],
                ["bench", "--output"],
                ["lecture", "--output"],
            ]
        ),
        (["predict"], "Missing argument 'MODEL'"),
        (
            ["predict", "m.safetensors", "x.foo"],
            "DATA is x.foo; expected a table such as .csv, .parquet or .xlsx, or .npz or .npy",
        ),
    ],
)
def test_wrong_usage(fail, model, arguments, message):
    line = fail(*arguments, code=2)
    assert message in line
    assert line.endswith("--help)")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "d.csv is empty"),
        ("a,b\n", "d.csv has a header but no rows"),
        (b"a,b\n1,\x81\n", "d.csv is not UTF-8"),
        ("a,b\n1,2,3\n", "d.csv, line 2: 3 cells; expected 2"),
        ("a,b\n" + "1,0\n2,1\n" * 4, "d.csv has 8 examples; expected at least 10"),
        ("a,b\n" + "1,0\n2,0\n" * 9, "target 'b' has one class only (0)"),
        ("a,b\n" + "1,0.5\n2,0.5\n" * 9, "target 'b' has one value only (0.5)"),
        ("a,b\n" + "1,\n" * 20, "target 'b' has no values"),
        ("a,b\n" + "1,0\n2,1\n" * 9 + "inf,1\n", "line 20: column 'a' has 'inf'; expected a finite number"),
        ("a,b\n" + "\n".join(f"{i % 3},v{i}" for i in range(50)), "if the target is a quantity, use --task regression"),
    ],
)
def test_bad_tables(fail, tmp_path, content, message):
    (tmp_path / "d.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert message in fail("train", "--data", "d.csv", "--target", "b")


def test_augmentation_of_a_table_is_refused(fail, tmp_path):
    """A small table is cross-fitted, where nothing read the option."""
    (tmp_path / "d.csv").write_text("a,b\n" + "1,0\n2,1\n" * 20)
    for folds in ((), ("--folds", "0")):
        assert "--augment is for images" in fail(
            "train", "--data", "d.csv", "--target", "b", "--augment", "crop", *folds, code=2
        )


def with_nan(shape, row):
    x = np.zeros(shape)
    x[row, -1] = np.nan
    return x


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": with_nan((30, 3), 17), "y": np.arange(30) % 2}, "d.npz: x has a NaN in row 17, column 2"),
        ({"x": np.zeros((30, 3)), "y": with_nan((30, 1), 4)}, "d.npz: y has a NaN in row 4"),
        ({"x": np.zeros(30), "y": np.arange(30) % 2}, "x has shape (30,); expected one example per row"),
        ({"x": np.zeros((30, 2)), "y": np.zeros((30, 2))}, "y has shape (30, 2); expected one target per example"),
        ({"x": np.full((30, 2), "a"), "y": np.arange(30) % 2}, "x holds <U1; expected numbers"),
        ({"x": np.zeros((30, 2)), "y": np.zeros(30, complex)}, "y holds complex128; expected numbers or text"),
        ({"x": np.zeros((30, 2)), "y": np.zeros(30, int)}, "y has one class only (0)"),
        ({"x": np.zeros((5, 2)), "y": np.arange(5)}, "d.npz has 5 examples; expected at least 10"),
        ({"x": np.zeros((0, 2)), "y": np.zeros(0)}, "d.npz: y has one class only (none)"),
        ({"a": np.zeros(3)}, "expected x and y"),
    ],
)
def test_bad_archives(fail, tmp_path, arrays, message):
    np.savez(tmp_path / "d.npz", **arrays)
    assert message in fail("train", "--data", "d.npz")


@pytest.mark.parametrize(
    ("y", "task", "message"),
    [
        (np.arange(30) / 7, "classification", "y holds fractions, which cannot be class labels"),
        (np.array(["a", "b"] * 15), "regression", "y holds text; regression needs numbers"),
    ],
)
def test_a_task_that_the_target_cannot_serve(fail, tmp_path, y, task, message):
    np.savez(tmp_path / "d.npz", x=np.zeros((30, 2)), y=y)
    assert message in fail("train", "--data", "d.npz", "--task", task)


def test_files_that_are_not_there(fail, model, tmp_path):
    (tmp_path / "folder.csv").mkdir()
    for command in (["train", "--data"], ["predict", model]):
        assert fail(*command, "nosuch.csv") == "nosuch.csv: No such file or directory"
        assert fail(*command, "nosuch.npz") == "nosuch.npz: No such file or directory"
        assert fail(*command, "folder.csv").startswith("folder.csv: ")
    assert fail("predict", "nosuch", "x.csv") == "nosuch: No such file or directory"


def test_models_that_cannot_be_read(fail, model, tmp_path):
    whole = (tmp_path / model).read_bytes()
    for content, message in [
        (b"", "is not a safetensors file"),
        (b"a,b\n1,2\n", "is not a safetensors file"),
        (whole[:-5], "is truncated"),
        (whole[:-5] + b"12345", "was altered after it was written"),
    ]:
        (tmp_path / "broken").write_bytes(content)
        assert message in fail("predict", "broken", "x.csv")


@pytest.mark.parametrize("columns", [3, 6])
def test_a_wrong_number_of_features_is_told_with_both(fail, model, tmp_path, columns):
    np.savez(tmp_path / "x.npz", x=np.zeros((5, columns)))
    assert fail("predict", model, "x.npz") == f"x.npz has {columns} features; the model expects 4"
    (tmp_path / "x.csv").write_text(",".join("1" * columns) + "\n")
    assert fail("predict", model, "x.csv") == f"x.csv has {columns} columns; the model expects 4 features"


def test_data_that_a_model_cannot_use(fail, model, tmp_path):
    np.savez(tmp_path / "nan.npz", x=with_nan((9, 4), 3))
    assert fail("predict", model, "nan.npz") == "nan.npz: x has a NaN in row 3, column 3"
    (tmp_path / "gap.csv").write_text("1,2,3,4\n1,,3,4\n")
    assert fail("predict", model, "gap.csv").startswith("gap.csv, line 2: column 'column_1' has no value ('')")
    np.savez(tmp_path / "y.npz", y=np.zeros(3))
    assert "expected one named x" in fail("predict", model, "y.npz")
    (tmp_path / "text.npz").write_text("no archive")
    assert fail("predict", model, "text.npz").startswith("cannot use text.npz: ")


@pytest.mark.parametrize("option", ["--save", "--plot"])
def test_an_unwritable_result_is_noticed_before_the_training(fail, tmp_path, monkeypatch, option):
    monkeypatch.setattr(train, "load_data", None)  # must not come so far
    (tmp_path / "folder.png").mkdir()
    os.symlink(os.devnull, tmp_path / "device.png")
    assert fail("train", option, "nowhere/a.png") == "cannot write nowhere/a.png: No such file or directory"
    assert fail("train", option, "folder.png") == "cannot write folder.png: it is a folder"
    assert fail("train", option, "device.png") == "cannot write device.png: it is not a regular file"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["device.png", "folder.png"]


def test_a_loss_that_explodes_saves_nothing(fail, tmp_path):
    line = fail("train", "--optimizer", "sgd", "--lr", "1e30", "--no-batchnorm", "--epochs", 2)
    assert line.startswith("the loss is ")
    assert line.endswith("nothing was saved")
    assert not list(tmp_path.iterdir())


def test_a_cross_fitted_table_whose_loss_explodes_is_told_in_json_and_on_a_page(run, tmp_path):
    rows = "".join(f"{i % 7},{i % 5},{'ab'[i % 2]}\n" for i in range(60))
    (tmp_path / "t.csv").write_text(f"a,b,kind\n{rows}")
    options = ("--data", "t.csv", "--target", "kind", "--hidden", 8, "--lr", "1e30", "--json", "--report", "page.html")
    told = json.loads(run("train", *options, code=1).stdout)
    assert told["model"] is None and told["report"] == "page.html"
    assert "non_finite" in [finding["symptom"] for finding in told["verdict"]]
    assert "not finite" in (tmp_path / "page.html").read_text()


def test_a_full_disk_leaves_the_old_model(fail, tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "pynn-model.safetensors").write_text("old")
    monkeypatch.setattr("pynn.utils.files.write_atomically", full)
    message = "cannot write pynn-model.safetensors: No space left on device"
    assert fail("train", "--epochs", 1, "--save", "pynn-model.safetensors") == message
    assert (tmp_path / "pynn-model.safetensors").read_text() == "old"


def test_predict_cannot_write(fail, model, tmp_path):
    (tmp_path / "x.csv").write_text("1,2,3,4\n")
    assert fail("predict", model, "x.csv", "--output", "no/y.csv") == (
        "cannot write no/y.csv: the folder no does not exist; make it first"
    )
    assert fail("predict", model, "x.csv", "--output", ".") == "cannot write .: it is a folder"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "not enough memory"),
        (MemoryError("Unable to allocate 9 TiB"), "not enough memory: Unable to allocate 9 TiB"),
        (KeyError("x"), "unexpected KeyError: 'x'; PYNN_DEBUG=1 shows the traceback, please report it"),
        (ValueError("two\n   lines"), "two lines"),
        (PermissionError(errno.EACCES, "Permission denied", "d.csv"), "d.csv: Permission denied"),
        (OSError("no details"), "no details"),
        (pynn.BackendError("the numba backend is not available"), "the numba backend is not available"),
    ],
)
def test_whatever_goes_wrong_is_one_line(fail, monkeypatch, error, message):
    def broken(*arguments):
        raise error

    monkeypatch.setattr(train, "load_data", broken)
    assert fail("train") == message


def test_debug_shows_the_traceback(tmp_path, monkeypatch):
    monkeypatch.setenv("PYNN_DEBUG", "1")
    result = CliRunner().invoke(main, ["predict", str(tmp_path / "nosuch"), "x.csv"])
    assert result.exit_code == 1
    assert result.stderr.startswith("Traceback")
    assert "\npynn: error: " in result.stderr


def test_a_warning_is_one_line(tmp_path, monkeypatch):
    def warn(*arguments):
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("two\nlines", RuntimeWarning, stacklevel=1)
        return {"problem": None}

    monkeypatch.setattr(info, "collect", warn)
    result = CliRunner().invoke(main, ["info", "--json"])
    assert result.exit_code == 0
    assert result.stderr == "pynn: warning: two lines\n"


def test_ctrl_c_outside_the_training_ends_the_program(fail, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(predict, "load", interrupted)
    assert fail("predict", "m", "x.csv", code=130) == "interrupted"
