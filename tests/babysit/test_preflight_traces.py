"""Preflight leaves trainer, data and all random numbers as they were, and the same seed gives the same report."""

import random

import numpy as np
import pytest
from preflight_networks import OwnDropout, network, trainer_of

import pynn
from pynn.babysit.preflight import preflight

pytestmark = pytest.mark.usefixtures("seeded")


def messy_trainer():
    """A trainer of which as much as possible could change: batch norm, dropout, moments, layers with random numbers."""
    model = pynn.Sequential(
        pynn.Linear(12, 24), pynn.BatchNorm1d(24), pynn.ReLU(), pynn.Dropout(0.3), OwnDropout(), pynn.Linear(24, 3)
    )
    model.preprocessing = pynn.preprocessing.Standardize()
    return pynn.Trainer(
        model,
        pynn.CrossEntropyLoss(),
        pynn.Adam(1e-2, weight_decay=1e-3),
        regularizers=[pynn.L2(1e-3)],
        schedule=pynn.CosineAnnealingLR(5),
        clip_norm=1.0,
        seed=4,
    )


def all_of(trainer):
    state = trainer.model.state_dict() | {f"optimizer.{name}": array for name, array in trainer.optimizer.state.items()}
    return {name: array.tobytes() for name, array in state.items()}, repr(trainer.progress_state())


@pytest.mark.parametrize("epochs", [0, 2])
def test_the_trainer_and_all_random_numbers_are_left_as_they_were(epochs, classes):
    x, y = classes
    runs = []
    for looks in (False, True):
        pynn.manual_seed(1)
        np.random.seed(5)  # noqa: NPY002
        random.seed(6)
        trainer = messy_trainer()
        trainer.fit(x[:300], y[:300], epochs=epochs)
        before = all_of(trainer), trainer.model.preprocessing.is_fitted, trainer.model.flat.grads.tobytes()
        if looks:
            preflight(trainer, x, y, validation=(x[:50], y[:50]))
        after = all_of(trainer), trainer.model.preprocessing.is_fitted, trainer.model.flat.grads.tobytes()
        assert before == after
        trainer.fit(x, y, epochs=2)
        drawn = pynn.Linear(3, 3).weight[...].tobytes(), np.random.random(), random.random()  # noqa: NPY002
        runs.append((all_of(trainer)[0], trainer.history["loss"], drawn))
    assert runs[0] == runs[1]


def test_the_data_are_left_as_they_were_and_may_be_read_only(classes):
    x, y = (array.copy() for array in classes)
    x.flags.writeable = y.flags.writeable = False
    assert preflight(trainer_of(network(12, [24], 3)), x, y).ok
    assert x.tobytes() == classes[0].tobytes()


def test_the_same_seed_gives_the_same_report(classes):
    trainer = trainer_of(network(12, [24], 3, dropout=0.2))
    assert str(preflight(trainer, *classes, seed=3)) == str(preflight(trainer, *classes, seed=3))
