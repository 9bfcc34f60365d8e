"""``--loss``: losses by name, where they fit the target."""

import numpy as np
import pytest

import pynn
from pynn.training.named import AMOUNT_LOSSES, CLASS_LOSSES, make_loss


@pytest.fixture
def amounts(tmp_path, rng):
    """Write a table whose errors are exponential, with mean 1; return its amounts and the others' share of them."""
    x = rng.uniform(0, 10, size=400)
    y = 3 * x + rng.exponential(size=400)
    rows = [f"{a:.4f},{b:.4f}" for a, b in zip(x, y, strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(["x,y", *rows]) + "\n")
    return x, y


OPTIONS = ("train", "--data", "t.csv", "--target", "y", "--epochs", "60", "-q", "--hidden", "none", "--lr", "0.05")


@pytest.mark.parametrize("folds", ["0", "3"])
def test_a_quantile_is_learnt_and_recorded(run, amounts, tmp_path, folds):
    x, y = amounts
    run(*OPTIONS, "--folds", folds, "--loss", "quantile=0.9", "--report", "r.html")
    model = pynn.load(tmp_path / "pynn-model.safetensors")
    below = (y <= model.predict(x[:, None].astype(np.float32))[:, 0]).mean()
    assert 0.84 <= below <= 0.96
    assert model.input_schema["target"]["loss"] == "quantile=0.9"
    assert "QuantileLoss(quantile=0.9" in (tmp_path / "r.html").read_text()


@pytest.mark.parametrize("name", AMOUNT_LOSSES)
def test_losses_of_amounts(run, amounts, name):
    result = run(*OPTIONS, "--loss", name, "--folds", "2")
    r2 = float(next(line for line in result.stdout.splitlines() if line.strip().startswith("test")).split()[3])
    assert r2 > 0.95


@pytest.mark.parametrize("name", CLASS_LOSSES)
def test_losses_of_classes(run, tmp_path, name):
    result = run("train", "--epochs", "2", "--loss", name, "--hidden", "32")
    assert f"loss {name}; adamw" in result.stderr
    model = pynn.load(tmp_path / "pynn-model.safetensors")
    assert model.output_kind == make_loss(name, classes=True).output_kind
    accuracy = next(line for line in result.stdout.splitlines() if line.strip().startswith("test")).split()[-1]
    assert float(accuracy.rstrip("%")) > 75


@pytest.mark.parametrize("command", ["train", "check", "diagnose", "search"])
def test_a_loss_that_does_not_fit_is_refused(run, amounts, command):
    result = run(command, "--loss", "huber", code=2)
    assert "--loss: the loss 'huber' is not one of those for classes: cross_entropy, focal, hinge" in result.stderr
    for name in ("focal", "quantile=1", "quantile=x", "Huber"):
        result = run(command, "--data", "t.csv", "--target", "y", "--loss", name, code=2)
        assert f"--loss: the loss '{name}'" in result.stderr


def test_weights_of_classes_need_a_loss_that_takes_them(run):
    result = run("train", "--loss", "hinge", "--class-weight", "balanced", code=2)
    assert "the loss 'hinge' takes no class weights; expected cross_entropy or focal" in result.stderr
    run("train", "--loss", "focal", "--class-weight", "balanced", "--epochs", "1", "-q")


def test_a_huber_loss_is_that_of_standardized_targets():
    error, spread = np.array([[0.3], [-2.0], [5.0]]), 40.0
    standardized = make_loss("huber", classes=False)(error, np.zeros_like(error))[0]
    raw = make_loss("huber", classes=False, unit=spread)(error * spread, np.zeros_like(error))[0]
    assert raw == pytest.approx(standardized * spread**2)
