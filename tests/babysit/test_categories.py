"""Inputs that number categories have no scale: preflight, monitor and remedies look at amounts only."""

import numpy as np
import pytest

import pynn
from pynn.babysit.monitor.input_figures import InputFigures
from pynn.babysit.preflight import preflight
from pynn.babysit.remedies import settings
from pynn.babysit.remedies.blueprint import Blueprint

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def texts():
    """Four topics, each with words of its own among 300, in texts of 12 words."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 800)
    x = np.where(rng.random((800, 12)) < 0.4, 75 * y[:, None], 0) + rng.integers(0, 75, (800, 12))
    return x, y


@pytest.fixture(scope="module")
def table():
    """Two columns of categories, whose numbers reach 4000, among two of amounts."""
    rng = np.random.default_rng(1)
    kind, place = rng.integers(0, 6, 800), rng.integers(3990, 4000, 800)
    amounts = rng.standard_normal((800, 2))
    y = rng.standard_normal(6)[kind] + 0.3 * (place - 3995) + amounts[:, 0]
    x = np.column_stack([amounts[:, 0], kind, place, amounts[:, 1]])
    return x.astype(np.float32), y[:, None].astype(np.float32)


def of_texts():
    pynn.manual_seed(0)
    model = pynn.Sequential(
        pynn.Embedding(300, 8), pynn.Flatten(), pynn.Linear(96, 32), pynn.ReLU(), pynn.Linear(32, 4)
    )
    return pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.Adam(3e-3))


def of_table():
    pynn.manual_seed(0)
    embed = pynn.EmbedColumns([0, 6, 4000, 0], 4)
    model = pynn.Sequential(embed, pynn.Linear(10, 32), pynn.ReLU(), pynn.Linear(32, 1))
    return pynn.Trainer(model, pynn.MSELoss(), pynn.Adam(5e-3))


def watched(trainer, x, y):
    monitor = pynn.Monitor(on_problem="silent")
    trainer.fit(x[:600], y[:600], epochs=8, batch_size=32, validation=(x[600:], y[600:]), callbacks=[monitor])
    return monitor


@pytest.mark.parametrize("dtype", [np.int64, np.float32])
def test_words_for_an_embedding_are_not_taken_for_amounts(texts, dtype):
    x, y = texts[0].astype(dtype), texts[1]
    report = preflight(of_texts(), x[:600], y[:600], validation=(x[600:], y[600:]))
    assert report.status == "pass", str(report)
    assert {report[name].status for name in ("input scale", "input centring", "validation scale")} == {"skip"}
    trainer = of_texts()
    assert not watched(trainer, x, y).verdict
    assert trainer.evaluate(x[600:], y[600:])["accuracy"] > 0.9


def test_numbers_of_categories_in_a_table_are_not_taken_for_amounts(table):
    x, y = table
    report = preflight(of_table(), x[:600], y[:600], validation=(x[600:], y[600:]))
    assert report.status == "pass", str(report)
    assert not watched(of_table(), x, y).verdict


def test_amounts_beside_categories_are_judged_by_their_scale(table):
    x, y = table
    raw = x * np.array([200, 1, 1, 200], np.float32)
    assert preflight(of_table(), raw, y)["input scale"].status == "fail"
    assert "input_not_normalised" in {finding.symptom for finding in watched(of_table(), raw, y).verdict}


def test_figures_are_those_of_the_amounts(table):
    x, _ = table
    found = InputFigures.of(x, of_table().model)
    assert found.rms == pytest.approx(np.sqrt(np.mean(x[:, [0, 3]] ** 2)), rel=1e-5)
    assert InputFigures.of(x, of_texts().model) is None
    assert InputFigures.of(x).largest == 3999


@pytest.mark.parametrize("make", [of_texts, of_table])
def test_categories_are_never_standardised(make, table):
    blueprint = Blueprint.of(make(), epochs=1, batch_size=32, shuffle=True, callbacks=())
    assert not list(settings.standardize(blueprint, table[0]))
