"""After one large update a ReLU unit may never be active again."""

from contextlib import suppress

import numpy as np

import pynn
from pynn.lecture import Band, Lines, experiment
from pynn.lecture.data import digits
from pynn.lecture.networks import dead_share, network, outputs


def dead_units(model, x):
    """Return which of the ReLU units are zero for every example."""
    return np.concatenate([(y <= 0).all(axis=0) for y in outputs(model, x, pynn.ReLU)])


@experiment(
    claim="After one large update a ReLU unit may never be active again.",
    source="CS231n, Neural Networks Part 1, ReLU",
    setup="64-100-100-10 on the digits, SGD at 0.05; one update at the smallest of 10, 20, 40 ... times the rate "
    "that kills a tenth of the units; then 20 more epochs at 0.05.",
    bands=[
        Band(
            "still dead 20 epochs later",
            0.95,
            why="no gradient, no change, unless the layer before changes: all but one in twenty; 'may': a tenth",
            partly=(0.1, 1.0),
        ),
        Band("killed by the update", 0.1, why="or there was no such update"),
        Band("dead before", at_most=0.02, why="the rate itself does no harm"),
    ],
    lines=Lines("epoch after the update", "share of dead units", first=0),
    quick={"epochs": 2},
    remark="Some come back: the layer before them goes on learning and moves their inputs. Units of a single hidden "
    "layer could not. The band for 'partly' was added after a first look.",
)
def dead_for_good(seed, epochs=20):
    data = digits(seed)
    pynn.manual_seed(seed)
    model = network([64, 100, 100, 10], pynn.ReLU)
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.05), seed=seed)
    trainer.fit(data.x, data.y, epochs=1)
    before = dead_share(model, data.x)

    state, factor = model.state_dict(), 10.0
    killed = np.zeros(200, bool)
    while killed.mean() < 0.1 and factor < 1e6:
        model.load_state_dict(state)
        trainer.optimizer.lr = 0.05 * factor
        trainer.step(data.x[:32], data.y[:32])
        killed = dead_units(model, data.x)
        factor *= 2
    trainer.optimizer.lr = 0.05

    shares = [killed.mean()]
    for _ in range(epochs):
        with suppress(pynn.NonFiniteError):  # some runs do not survive such an update
            trainer.fit(data.x, data.y, epochs=1)
        shares.append(dead_share(model, data.x))
    dead = dead_units(model, data.x)
    return {
        "still dead 20 epochs later": np.mean(dead[killed]) if killed.any() else float("nan"),
        "killed by the update": killed.mean() - before,
        "dead before": before,
        "dead units": shares,
    }
