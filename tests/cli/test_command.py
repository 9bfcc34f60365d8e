"""What the commands do when all goes well; `test_errors.py` has what they do when it does not."""

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from sklearn import datasets as peers

import pynn
from pynn.cli import COMMANDS
from pynn.cli.train import train
from pynn.report import figures
from pynn.training.named import ACTIVATIONS, OPTIMIZERS


def read_rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def accuracy_of(result, part):
    (row,) = [line for line in result.stdout.splitlines() if line.startswith(part)]
    return float(row.split()[-1].rstrip("%")) / 100


@pytest.fixture
def iris(tmp_path):
    """Write a table with text, missing cells and named classes; return its path."""
    data = peers.load_iris()
    lines = ["length,width,petal length,petal width,colour,species"]
    for index, (x, y) in enumerate(zip(data.data, data.target, strict=True)):
        length = "" if index % 11 == 0 else f"{x[0]}"
        lines.append(f"{length},{x[1]},{x[2]},{x[3]},{'red' if index % 2 else 'blue'},{data.target_names[y]}")
    path = tmp_path / "iris.csv"
    path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize("seed", [0, 1] if pynn.get_backend() == "cython" else [0])  # the others take a minute each
def test_train_without_arguments_reads_digits(run, tmp_path, seed):
    result = run("train", "--seed", seed)
    assert accuracy_of(result, "test") >= 0.97
    assert result.stderr.count("val_accuracy") == 40
    assert "1258 to train, 180 to validate, 359 to test" in result.stderr
    assert "network 64-256-128-10, 51,594 parameters; adamw, lr 0.003" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pynn-curves.png", "pynn-model.safetensors"]
    model = pynn.load("pynn-model.safetensors")
    x, y = pynn.datasets.load_digits()
    assert np.mean(model.predict_label(x) == y.astype(str)) > 0.99


def test_the_same_seed_gives_the_same_model_and_another_one_another(run):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        run("train", "--epochs", 1, "--seed", seed, "-q", "--save", f"{name}.safetensors")
    a, b, c = (pynn.load(f"{name}.safetensors").state_dict()["1.weight"] for name in "abc")
    assert (a == b).all()
    assert not (a == c).all()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_learns(run, name):
    result = run("train", "--activation", name, "--epochs", 6, "--hidden", "64", "--dropout", 0, "-q")
    assert accuracy_of(result, "test") > 0.9


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("extra", [(), ("--no-batchnorm", "--schedule", "step")])
def test_every_optimizer_learns(run, name, extra):
    result = run("train", "--optimizer", name, "--epochs", 6, "--hidden", "64", "--dropout", 0, "-q", *extra)
    assert accuracy_of(result, "test") > 0.9


def test_options_reach_the_trainer(run):
    arguments = ["--hidden", "none", "--lr", 0.5, "--input-dropout", 0, "--optimizer", "sgd", "--schedule", "none"]
    result = run("train", "--epochs", 2, "--batch-size", 200, "--backend", "numpy", *arguments)
    assert [type(layer) for layer in pynn.load("pynn-model.safetensors")] == [pynn.Linear]
    assert "network 64-10, 650 parameters; sgd, lr 0.5; numpy" in result.stderr
    assert result.stderr.count("lr 0.5  ") == 2


def test_quiet_train_prints_the_result_only(run):
    result = run("train", "--epochs", 1, "-q")
    assert result.stderr == ""
    words = [line.split()[:1] for line in result.stdout.splitlines() if line]
    assert [word[0] for word in words][-4:] == ["time", "verdict", "model", "curves"]
    assert "\x1b" not in result.output


def test_train_on_a_table_keeps_how_to_read_it(run, iris, tmp_path):
    result = run("train", "--data", iris, "--target", "species", "--save", "m.safetensors", "--epochs", 60)
    assert accuracy_of(result, "test") > 0.85
    model = pynn.load("m.safetensors")
    assert model.class_names == ["setosa", "versicolor", "virginica"]
    assert model.input_schema["columns"][0]["fill"] is not None
    rows = read_rows(run("predict", "m.safetensors", iris).stdout)
    table = pynn.datasets.read_csv(iris, schema=model.input_schema)
    assert [row["label"] for row in rows] == list(model.predict_label(table.x))
    probability = model.predict_proba(table.x).max(axis=1)
    np.testing.assert_allclose([float(row["probability"]) for row in rows], probability, atol=1e-6)
    shuffled = tmp_path / "new.csv"
    shuffled.write_text("colour,petal width,petal length,width,length,extra\nred,0.2,1.4,3.5,,9\n")
    assert read_rows(run("predict", "m.safetensors", shuffled).stdout)[0]["label"] == "setosa"


def test_the_fill_comes_from_training_rows_only(run, tmp_path):
    values = np.arange(100.0)
    text = ["a,b,label"] + [f"{'' if i == 50 else values[i]},{i % 7},{i % 2}" for i in range(100)]
    (tmp_path / "t.csv").write_text("\n".join(text))
    run("train", "--data", "t.csv", "--folds", 0, "--epochs", 1, "-q")
    model = pynn.load("pynn-model.safetensors")
    fill = model.input_schema["columns"][0]["fill"]
    # The network's own statistics were taken of the same rows, with the fill in place of what is missing.
    assert model.preprocessing.n_samples_seen_ == 70
    np.testing.assert_allclose(model.preprocessing.mean_[0], fill)
    assert fill != np.delete(values, 50).mean()


def test_a_small_table_is_cross_fitted_and_all_of_it_is_used(run, rng, tmp_path):
    x = rng.normal(size=(90, 2))
    lines = [f"{a:.4f},{b:.4f},{'no' if a + b > 0 else 'yes'}" for a, b in x]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,label", *lines]))
    result = run("train", "--data", "t.csv", "--folds", 3, "--report", "r.html")
    assert "in 3 folds" in result.stderr
    assert "15 networks" in result.stderr
    model = pynn.load("pynn-model.safetensors")
    assert model.preprocessing.n_samples_seen_ == 90
    assert accuracy_of(result, "test") > 0.85
    lines = result.stdout.splitlines()
    (heads,) = [line.split() for line in lines if line.startswith("part")]
    assert heads == ["part", "examples", "loss", "ROC", "AUC", "F1", "accuracy"]
    (scores,) = [line.split() for line in lines if line.startswith("test")]
    (no,) = [line.split() for line in lines if line.startswith("no ")]
    assert int(no[1]) == int((x.sum(axis=1) > 0).sum())
    page = (tmp_path / "r.html").read_text()
    for told in ("t.csv: 90 examples", "AdamW", scores[3], no[4], "as yes"):
        assert told in page


@pytest.mark.parametrize(("weights", "code"), [("balanced", 0), ("yes=9", 0), ("maybe=2", 2), ("yes=-1", 2)])
def test_class_weights(run, rng, tmp_path, weights, code):
    x = rng.normal(size=(120, 1))
    lines = [f"{a[0]:.4f},{'yes' if a[0] + rng.normal() > 1.5 else 'no'}" for a in x]
    (tmp_path / "t.csv").write_text("\n".join(["a,label", *lines]))
    options = "train", "--data", "t.csv", "--folds", 3, "--epochs", 5
    result = run(*options, "--class-weight", weights, "--save", "w.safetensors", code=code)
    if code:
        assert "--class-weight" in result.stderr or "class weight" in result.stderr
        return
    run(*options, "--save", "m.safetensors")
    share = [(pynn.load(f"{name}.safetensors").predict_label(x) == "yes").mean() for name in "wm"]
    assert share[0] > share[1]


@pytest.mark.parametrize("offset", [0, 1e5])
def test_regression_predicts_in_the_units_of_the_target(run, rng, tmp_path, offset):
    x = rng.standard_normal((400, 3))
    y = offset + 1000 * (x @ [1.0, -2.0, 0.5]) + 0.25
    np.savetxt(tmp_path / "r.csv", np.c_[x, y], delimiter=",", fmt="%.8g", header="a,b,c,price", comments="")
    result = run("train", "--data", "r.csv", "--target", "price", "--hidden", 32, "--epochs", 60)
    assert f"target: price, regression, {y.min():.6g} to {y.max():.6g}" in result.stderr
    (row,) = [line.split() for line in result.stdout.splitlines() if line.startswith("test")]
    rmse, r2 = float(row[2]), float(row[3])
    assert "RMSE" in result.stdout
    assert "regression" in result.stderr
    assert r2 > 0.97
    values = [float(row["value"]) for row in read_rows(run("predict", "pynn-model.safetensors", "r.csv").stdout)]
    assert np.sqrt(np.mean((np.array(values) - y) ** 2)) < 2 * rmse


def test_whole_numbers_can_be_amounts(run, tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n" + "\n".join(f"{i % 9},{i}" for i in range(50)))
    options = "train", "--data", "t.csv", "--target", "b", "--epochs", 1
    assert "--task regression" in run(*options, "--task", "classification", code=1).stderr
    assert "RMSE" in run(*options, "-q").stdout


@pytest.mark.parametrize("target", ["0", "-3", "label"])
def test_the_target_column_by_number_or_name(run, tmp_path, target):
    (tmp_path / "t.csv").write_text("label,a,b\n" + "\n".join(f"{'xy'[i % 2]},{i % 2},{i}" for i in range(40)))
    run("train", "--data", "t.csv", "--target", target, "--epochs", 1, "-q")
    assert pynn.load("pynn-model.safetensors").class_names == ["x", "y"]


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ([3, 7], ["3", "7"]),
        ([3.0, 7.0], ["3", "7"]),
        ([False, True], ["0", "1"]),
        (["no", "yes"], ["no", "yes"]),
        ([b"no", b"yes"], ["no", "yes"]),
    ],
)
def test_classes_in_an_archive(run, rng, labels, names):
    y = np.array(labels)[np.arange(60) % 2]
    np.savez("d.npz", x=rng.standard_normal((60, 2, 3)) + (np.arange(60) % 2)[:, None, None] * 6, y=y)
    run("train", "--data", "d.npz", "--epochs", 20, "-q")
    model = pynn.load("pynn-model.safetensors")
    assert model.class_names == names
    np.savez("new.npz", x=np.load("d.npz")["x"])
    rows = read_rows(run("predict", "pynn-model.safetensors", "new.npz", "--batch-size", 7).stdout)
    assert np.mean([row["label"] == names[i % 2] for i, row in enumerate(rows)]) > 0.95


def test_mnist_has_its_own_test_part(run, rng, tmp_path, monkeypatch):
    for part, count in (("train", 100), ("test", 30)):
        y = np.arange(count) % 10
        x = rng.integers(0, 50, (count, 28, 28)) + 20 * y[:, None, None]
        np.savez(tmp_path / f"mnist_{part}.npz", x=x.astype(np.uint8), y=y)
    monkeypatch.setenv("PYNN_DATA", str(tmp_path))
    result = run("train", "--data", "mnist", "--epochs", 2)
    assert "mnist: 130 examples, 784 features, 10 classes; 90 to train, 10 to validate, 30 to test" in result.stderr


@pytest.fixture
def digits_model(run):
    run("train", "--epochs", 3, "-q")
    return "pynn-model.safetensors"


def test_predict_gives_the_same_for_tables_and_archives(run, digits_model, tmp_path):
    x, y = pynn.datasets.load_digits()
    np.savez("d.npz", x=x.reshape(-1, 8, 8), y=y)
    np.savetxt("x.csv", x, delimiter=",", fmt="%g")
    np.savetxt("xy.csv", np.c_[x, y], delimiter=";", fmt="%g", header=";".join(f"p{i}" for i in range(65)), comments="")
    labels = [[row["label"] for row in read_rows(run("predict", digits_model, f).stdout)] for f in ("x.csv", "xy.csv")]
    run("predict", digits_model, "d.npz", "--output", "out.csv")
    assert run("predict", digits_model, "d.npz", "--output", "-").stdout == (tmp_path / "out.csv").read_text()
    rows = read_rows((tmp_path / "out.csv").read_text())
    assert labels[0] == labels[1] == [row["label"] for row in rows]
    assert np.mean(np.array(labels[0]) == y.astype(str)) > 0.9
    assert all(0.1 <= float(row["probability"]) <= 1 for row in rows)


@pytest.mark.parametrize(
    ("loss", "outputs", "heading"),
    [
        (pynn.HingeLoss(), 3, ["label", "score"]),
        (pynn.BCEWithLogitsLoss(), 1, ["label", "probability"]),
        (pynn.MSELoss(), 2, ["value_0", "value_1"]),
    ],
)
def test_predict_with_models_made_in_python(run, rng, loss, outputs, heading):
    model = pynn.Sequential(pynn.Flatten(), pynn.Linear(4, outputs))
    pynn.Trainer(model, loss, pynn.SGD(0.1))
    model.save("m.safetensors")
    x = rng.standard_normal((5, 2, 2))
    np.savez("x.npz", x=x)
    rows = read_rows(run("predict", "m.safetensors", "x.npz").stdout)
    assert list(rows[0]) == heading
    output = model.predict(x)
    if heading[0] == "label":
        assert [int(row["label"]) for row in rows] == list(model.predict_label(x).ravel())
    else:
        np.testing.assert_allclose([float(row["value_1"]) for row in rows], output[:, 1], rtol=1e-6)
    if heading[1] == "probability":
        p = model.predict_proba(x).ravel()
        np.testing.assert_allclose([float(row["probability"]) for row in rows], np.maximum(p, 1 - p), atol=1e-6)


def test_info(run, monkeypatch):
    monkeypatch.setenv("PYNN_SOMETHING", "7")
    facts = json.loads(run("info", "--json").stdout)
    assert facts["pynn"] == pynn.__version__
    assert facts["numpy"] == np.__version__
    assert facts["backend"] == pynn.get_backend()
    assert [name for name, reason in facts["backends"].items() if reason is None] == list(pynn.available_backends())
    assert facts["threads"] == pynn.get_num_threads()
    assert facts["matmul_precision"] == pynn.get_matmul_precision()
    assert facts["environment"]["PYNN_SOMETHING"] == "7"
    text = run("info").stdout
    assert f"pynn          {pynn.__version__}" in text
    assert "PYNN_SOMETHING=7" in text


def test_info_says_why_a_backend_is_missing(run, monkeypatch):
    monkeypatch.setattr(pynn.kernels.cython, "BUILT", False)
    text = run("info").stdout
    assert "reinstall with a working C compiler" in text
    with pynn.use_backend("numpy"):
        assert "numpy, 2 to 30 times slower than cython" in run("info").stdout
    assert "beware" not in text


def test_info_tells_of_the_other_pynn(run, monkeypatch, tmp_path):
    folder = tmp_path / "PyNN-0.13.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: PyNN\nVersion: 0.13.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "beware        PyNN 0.13.0 is installed, too (pip install pynn): another project" in run("info").stdout


def test_help_and_version(run):
    assert run("--version").stdout == f"pynn {pynn.__version__}\n"
    assert run().stdout == run("--help").stdout == run("-h").stdout
    for command in ("train", "predict", "info"):
        assert run(command, "-h").stdout == run(command, "--help").stdout
    assert "\b" not in run("train", "-h").stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_a_terminal_of_80_columns(run, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "80")
    assert [line for line in run(command, "--help").stdout.splitlines() if len(line) > 80] == []


def test_help_lists_many_options_in_sections(run):
    headings = re.findall(r"^(\w+) options:$", run("search", "--help").stdout, re.MULTILINE)
    assert headings == ["Data", "Network", "Training", "Search", "Output", "Other"]
    (training,) = re.findall(r"^Training options:\n(.*?)\n\n", run("train", "--help").stdout, re.MULTILINE | re.DOTALL)
    assert "--lr RATE" in training
    assert "--data" not in training
    names = [option for parameter in train.params for option in parameter.opts]
    shown = re.findall(r"^  (?:-\w, )?(--[\w-]+)", run("train", "--help").stdout, re.MULTILINE)
    assert sorted(shown) == sorted({name for name in names if name.startswith("--")} | {"--help"})


def test_python_m_pynn_is_the_command():
    done = subprocess.run([sys.executable, "-m", "pynn", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"pynn {pynn.__version__}\n"


def test_without_matplotlib_the_curves_are_an_svg(run, monkeypatch, tmp_path):
    monkeypatch.setattr(figures, "plots_available", lambda: False)
    result = run("train", "--epochs", 2)
    assert result.stdout.splitlines()[-1] == "curves  pynn-curves.svg"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pynn-curves.svg", "pynn-model.safetensors"]
    svg = ElementTree.parse("pynn-curves.svg").getroot()
    assert svg.tag == "{http://www.w3.org/2000/svg}svg"
    assert {"Loss", "Accuracy", "training", "validation", "epoch"} <= set(svg.itertext())
    run("train", "--epochs", 1, "--plot", "c.svg")
    assert ElementTree.parse("c.svg").getroot().tag == svg.tag
    failed = run("train", "--plot", "c.png", code=1)
    hint = 'pip install "pynn-kernels[plot]"'
    assert failed.stderr == f"pynn: error: --plot c.png needs matplotlib: {hint}; .svg does not\n"


def test_a_run_overwrites_no_other_run_unless_told_to(run, tmp_path):
    def files():
        return sorted(path.name for path in tmp_path.iterdir())

    first = run("train", "--epochs", 1, "-q")
    kept = Path("pynn-model.safetensors").read_bytes()
    assert first.stdout.splitlines()[-2:] == ["model   pynn-model.safetensors", "curves  pynn-curves.png"]
    Path("pynn-curves-2.png").touch()
    third = run("train", "--epochs", 1, "-q", "--seed", 1)
    assert third.stdout.splitlines()[-2:] == ["model   pynn-model-3.safetensors", "curves  pynn-curves-3.png"]
    assert Path("pynn-model.safetensors").read_bytes() == kept != Path("pynn-model-3.safetensors").read_bytes()
    named = run("train", "--epochs", 1, "-q", "--save", "pynn-model.safetensors")
    assert named.stdout.splitlines()[-2:] == ["model   pynn-model.safetensors", "curves  pynn-curves-4.png"]
    drawn = run("train", "--epochs", 1, "-q", "--plot", "pynn-curves.png")
    assert drawn.stdout.splitlines()[-2:] == ["model   pynn-model-2.safetensors", "curves  pynn-curves.png"]
    assert len(files()) == 7
