"""The choice of the precision of matrix products: calls, environment, trainers, checkpoints."""

import importlib
import os
import subprocess
import sys
import threading
import warnings

import click
import numpy as np
import pytest

import pynn
from pynn.backends.precision import PRODUCTS, using_matmul_precision


@pytest.fixture(autouse=True)
def restored():
    """Leave the precision as it was."""
    before = pynn.get_matmul_precision()
    yield
    pynn.set_matmul_precision(before)


def trainer(**options):
    pynn.manual_seed(0)
    model = pynn.Sequential(pynn.Linear(300, 256), pynn.ReLU(), pynn.Linear(256, 5))
    return pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(lr=0.1), **options)


def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(256, 300)).astype(np.float32), rng.integers(0, 5, 256)


@pytest.mark.parametrize("precision", PRODUCTS)
def test_it_is_what_was_set(precision):
    pynn.set_matmul_precision(precision)
    assert pynn.get_matmul_precision() == precision
    with using_matmul_precision("high"), using_matmul_precision(None):
        assert pynn.get_matmul_precision() == "high"
    assert pynn.get_matmul_precision() == precision


@pytest.mark.parametrize("wrong", ["low", "HIGH", "", None, 3])
def test_another_name_raises_and_changes_nothing(wrong):
    before = pynn.get_matmul_precision()
    with pytest.raises(ValueError, match="expected one of highest, high, medium"):
        pynn.set_matmul_precision(wrong)
    assert pynn.get_matmul_precision() == before


def test_the_environment_sets_the_first_value():
    code = "import pynn; print(pynn.get_matmul_precision()); pynn.get_backend()"
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, env=os.environ | {"PYNN_MATMUL_PRECISION": "medium"}, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("medium\n", "")
    done = subprocess.run(run, env=os.environ | {"PYNN_MATMUL_PRECISION": "low"}, capture_output=True, text=True)
    assert "ValueError: PYNN_MATMUL_PRECISION is 'low'; expected one of highest, high, medium" in done.stderr


@pytest.mark.parametrize("precision", PRODUCTS)
def test_a_trainer_has_its_own(backend, precision):
    """Its steps, recorded and not, and evaluations equal those under the process's precision, which stays as it was."""
    x, y = data()
    own, plain = trainer(matmul_precision=precision), trainer()
    pynn.set_matmul_precision("highest")
    ours = [own.step(x, y) for _ in range(4)], own.evaluate(x, y)
    assert pynn.get_matmul_precision() == "highest"
    pynn.set_matmul_precision(precision)
    assert ours == ([plain.step(x, y) for _ in range(4)], plain.evaluate(x, y))
    np.testing.assert_array_equal(own.model.flat.values, plain.model.flat.values)


def test_trainers_in_threads_keep_their_own(backend):
    x, y = data()

    def train(one):
        for step in range(30):
            one.step(x, y)
            if step % 10 == 0:
                one.evaluate(x, y)

    names = (*PRODUCTS, None)  # None follows the process's
    alone, together = ([trainer(matmul_precision=name) for name in names] for _ in range(2))
    for one in alone:
        train(one)
    threads = [threading.Thread(target=train, args=(one,)) for one in together]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one.model.flat.values, other.model.flat.values)
    assert pynn.get_matmul_precision() == "highest"


def test_a_block_is_of_its_thread():
    with using_matmul_precision("medium"):
        seen = []
        thread = threading.Thread(target=lambda: seen.append(pynn.get_matmul_precision()))
        thread.start()
        thread.join()
        pynn.set_matmul_precision("high")
        assert (seen, pynn.get_matmul_precision()) == (["highest"], "medium")
    assert pynn.get_matmul_precision() == "high"


def test_recorded_steps_follow_a_change(backend):
    x, y = data()
    changing, plain = trainer(), trainer(matmul_precision="medium")
    changing.step(x, y)
    plain.matmul_precision = "highest"
    plain.step(x, y)
    pynn.set_matmul_precision("medium")
    plain.matmul_precision = "medium"
    assert [changing.step(x, y) for _ in range(2)] == [plain.step(x, y) for _ in range(2)]


def test_a_trainer_refuses_another_name():
    with pytest.raises(ValueError, match="matmul_precision is 'low'; expected one of highest, high, medium"):
        trainer(matmul_precision="low")


def test_a_checkpoint_holds_the_trainers_own(tmp_path):
    trainer(matmul_precision="high").save(tmp_path / "own")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pynn.Trainer.resume(tmp_path / "own").matmul_precision == "high"


def test_a_checkpoint_of_another_precision_warns(tmp_path):
    trainer().save(tmp_path / "checkpoint")
    pynn.set_matmul_precision("medium")
    with pytest.warns(RuntimeWarning, match="precision highest and continues under .* precision medium"):
        assert pynn.Trainer.resume(tmp_path / "checkpoint").matmul_precision is None


def test_the_command_line_sets_it(run, monkeypatch):
    seen = []

    def stop(*_):
        seen.append(pynn.get_matmul_precision())
        raise click.ClickException("enough")

    monkeypatch.setattr(importlib.import_module("pynn.cli.train"), "load_data", stop)
    assert "enough" in run("train", "--precision", "medium", code=1).stderr
    assert seen == ["medium"]
    assert pynn.get_matmul_precision() == "highest"
    assert "'low' is not one of" in run("train", "--precision", "low", code=2).stderr
