"""The command line on images: a cnn trained, checked, searched for, used; files of images; what is refused."""

import csv
import io
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import pynn
from pynn.cli import main

SMALL = ("--model", "cnn", "--hidden", "4,8", "--epochs", 2)


@pytest.fixture
def fail(run):
    """Return a function that runs pynn, which must fail with one line, and gives that."""

    def invoke(*arguments, code=2):
        (line,) = run(*arguments, code=code).stderr.splitlines()
        return line.removeprefix("pynn: error: ")

    return invoke


def images(count=120, shape=(3, 8, 8)):
    """Return images that are bright above, below, or not at all, and what they are."""
    rng = np.random.default_rng(0)
    y = np.arange(count) % 3
    x = rng.integers(0, 100, size=(count, *shape)).astype(np.uint8)
    x[y == 0, :, : shape[1] // 2] += 120
    x[y == 1, :, shape[1] // 2 :] += 120
    return x, y


@pytest.fixture
def cifar10(tmp_path, monkeypatch, run):
    """Put images in the place of CIFAR-10."""
    for part, count in (("train", 200), ("test", 50)):
        x = images(count, (3, 32, 32))[0]
        np.savez(tmp_path / f"cifar10_{part}.npz", x=x, y=np.arange(count) % 10)
    monkeypatch.setenv("PYNN_DATA", str(tmp_path))


def test_a_cnn_learns_the_digits(run):
    result = run("train", "--model", "cnn", "--epochs", 4, "-q", "--hidden", "16,32", "--lr", 0.01)
    (row,) = [line for line in result.stdout.splitlines() if line.startswith("test")]
    assert float(row.split()[-1].rstrip("%")) > 90
    kinds = [type(layer).__name__ for layer in pynn.load("pynn-model.safetensors").leaves()]
    assert kinds == [
        *("Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d"),
        *("Conv2d", "BatchNorm2d", "ReLU", "Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d"),
        *("AdaptiveAvgPool2d", "Flatten", "Linear"),
    ]


def test_cifar10_is_cropped_and_mirrored(run, cifar10, monkeypatch):
    given = []
    original = pynn.Trainer.fit
    monkeypatch.setattr(
        pynn.Trainer, "fit", lambda self, *data, **more: given.append(more["augment"]) or original(self, *data, **more)
    )
    for augment in (None, "none", "cutout,flip"):
        run("train", "--data", "cifar10", *SMALL, "-q", *(() if augment is None else ("--augment", augment)))
    assert [repr(changes) for changes in given] == [
        "[RandomCrop(padding=4), RandomHorizontalFlip(p=0.5)]",
        "[]",
        "[Cutout(length=16), RandomHorizontalFlip(p=0.5)]",
    ]


def test_what_is_trained_is_said(run, cifar10):
    result = run("train", "--data", "cifar10", *SMALL)
    assert "cifar10: 250 examples, images of 3x32x32, 10 classes; 180 to train, 20 to validate" in result.stderr
    assert "cnn 3x32x32-4-8-10, 1,102 parameters; adamw, lr 0.003" in result.stderr
    assert "airplane" in pynn.load("pynn-model.safetensors").class_names
    assert "network 3072-8-10" in run("train", "--data", "cifar10", "--hidden", 8, "--epochs", 1).stderr


@pytest.mark.parametrize("turn", [(0, 1, 2, 3), (0, 2, 3, 1)], ids=["channels first", "channels last"])
def test_images_in_a_file_are_learnt_and_told_apart(run, turn):
    x, y = images()
    x = x.transpose(turn)
    np.savez("images.npz", x=x, y=np.array(["above", "below", "none"])[y])
    run("train", "--data", "images.npz", *SMALL[:-1], 20, "--lr", 0.01, "-q")
    np.save("new.npy", x[:30])
    rows = list(csv.DictReader(io.StringIO(run("predict", "pynn-model.safetensors", "new.npy").stdout)))
    assert np.mean(np.array([row["label"] for row in rows]) == np.array(["above", "below", "none"])[y[:30]]) > 0.9
    assert run("predict", "pynn-model.safetensors", "images.npz").stdout.count("\n") == 121


@pytest.mark.parametrize("model", ["dense", "cnn"])
def test_npy_files_with_grey_images_and_amounts(run, model):
    x, y = images(shape=(1, 8, 8))
    np.save("x.npy", x[:, 0])
    np.save("y.npy", y * 10.0 + 0.5)
    result = run("train", "--data", "x.npy", "--target", "y.npy", "--model", model, "--epochs", 1, "--hidden", "4")
    assert "regression" in result.stderr
    assert ("images of 1x8x8" if model == "cnn" else "64 features") in result.stderr
    values = run("predict", "pynn-model.safetensors", "x.npy").stdout.split()
    assert values[0] == "value"
    assert 0 < np.mean(np.array(values[1:], float)) < 21


def test_check_and_diagnose_take_a_cnn(run):
    np.savez("images.npz", x=images()[0], y=images()[1])
    report = CliRunner().invoke(main, ["check", "--data", "images.npz", "--model", "cnn", "--hidden", "4,8"])
    assert report.exit_code in (0, 1)
    assert "preflight:" in report.stdout
    options = ["--data", "images.npz", "--model", "cnn", "--hidden", "4", "--epochs", "2", "--seconds", "3", "-q"]
    diagnosis = CliRunner().invoke(main, ["diagnose", *options])
    assert diagnosis.exit_code in (0, 1, 2)
    assert diagnosis.stdout


def test_search_finds_a_cnn_and_says_how_to_train_it(run):
    np.savez("images.npz", x=images()[0], y=images()[1])
    options = ("--model", "cnn", "--layers", "1:2", "--width", 4, "--weight-decay", 0.01, "--processes", 1)
    result = run("search", "--data", "images.npz", *options, "--trials", 2, "--epochs", 2, "--stages", 1, "-q")
    (again,) = [line for line in result.stdout.splitlines() if line.startswith("again")]
    assert "--model cnn --hidden 4" in again
    run(*again.split()[2:], "-q")
    layers = pynn.load("pynn-model.safetensors").leaves()
    assert {layer.out_channels for layer in layers if isinstance(layer, pynn.Conv2d)} <= {4, 8}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--data", "table.csv", "--model", "cnn"], 2, "--model cnn is for images; table.csv is a table"),
        (["--data", "rows.npz", "--model", "cnn"], 1, "rows.npz: x has shape (40, 5); a cnn needs images"),
        (["--model", "cnn", "--hidden", "8,8,8,8"], 2, "images of 8x8 pixels can be halved 3 times; --hidden has 4"),
        (["--model", "cnn", "--activation", "maxout"], 2, "--activation maxout is for --model dense"),
        (["--model", "cnn", "--augment", "rotate"], 2, "'rotate'; expected none, or one or more of crop,flip,cutout"),
        (["--augment", "flip"], 2, "--augment is for images: --model cnn"),
        (["--data", "x.npy"], 2, "x.npy needs --target with an .npy file of targets"),
        (["--data", "x.npy", "--target", "short.npy"], 1, "x.npy has 40 examples but 39 targets"),
        (["--data", "broken.npy", "--target", "short.npy"], 1, "cannot use broken.npy"),
    ],
)
def test_what_cannot_be_trained_is_one_line(fail, tmp_path, arguments, code, message):
    x, y = np.zeros((40, 5)), np.arange(40) % 2
    np.savez(tmp_path / "rows.npz", x=x, y=y)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "short.npy", y[1:])
    (tmp_path / "broken.npy").write_bytes(b"\x93NUMPY broken")
    (tmp_path / "table.csv").write_text("a,b\n" + "1,2\n" * 40)
    assert message in fail("train", *arguments, code=code)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("grey.npy", "grey.npy has 1 channels; the model expects 3"),
        ("rows.npy", "rows.npy: x has shape (4, 192); a cnn needs images"),
        ("table.csv", "table.csv is a table; the model takes images"),
    ],
)
def test_what_a_cnn_cannot_take_is_one_line(fail, tmp_path, name, message):
    model = pynn.Sequential(pynn.Conv2d(3, 2, 3), pynn.AdaptiveAvgPool2d(1), pynn.Flatten(), pynn.Linear(2, 2))
    model.save(tmp_path / "cnn.safetensors")
    np.save(tmp_path / "grey.npy", np.zeros((4, 8, 8)))
    np.save(tmp_path / "rows.npy", np.zeros((4, 192)))
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    assert message in fail("predict", "cnn.safetensors", name, code=1)


def test_the_cifar10_script_runs(cifar10, monkeypatch, capsys):
    script = Path(__file__).parents[2] / "docs" / "cifar10.py"
    if not script.exists():
        pytest.skip("the suite runs away from the source")
    monkeypatch.setattr(sys, "argv", ["cifar10.py", "1"])
    names = runpy.run_path(str(script))
    assert "test accuracy" in capsys.readouterr().out
    assert names["trainer"].epoch == 1
    assert Path("cifar10.safetensors").exists()
