"""After one large update a ReLU unit may never be active again."""

import numpy as np

import pynn
from pynn.lecture import Band, Lines, experiment
from pynn.lecture.data import digits
from pynn.lecture.networks import dead_share, network, outputs


@experiment(
    claim="After one large update a ReLU unit may never be active again.",
    source="CS231n, Neural Networks Part 1, ReLU",
    setup="64-100-10 on the digits, SGD at 0.05; one update at 200 times the rate, then 20 more epochs at 0.05.",
    bands=[
        Band("still dead 20 epochs later", 0.95, why="no gradient, no change: all but units on the edge"),
        Band("killed by the update", 0.05, why="'may': enough of the 100 units to speak of"),
        Band("dead before", at_most=0.02, why="the rate itself does no harm"),
    ],
    lines=Lines("epoch after the update", "share of dead units", first=0),
    quick={"epochs": 2},
)
def dead_for_good(seed, epochs=20):
    data = digits(seed)
    pynn.manual_seed(seed)
    model = network([64, 100, 10], pynn.ReLU)
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.05), seed=seed)
    trainer.fit(data.x, data.y, epochs=1)
    before = dead_share(model, data.x)

    trainer.optimizer.lr *= 200
    trainer.step(data.x[:32], data.y[:32])
    trainer.optimizer.lr /= 200

    killed = (outputs(model, data.x, pynn.ReLU)[0] <= 0).all(axis=0)
    shares = [killed.mean()]
    for _ in range(epochs):
        trainer.fit(data.x, data.y, epochs=1)
        shares.append(dead_share(model, data.x))
    dead = (outputs(model, data.x, pynn.ReLU)[0] <= 0).all(axis=0)
    return {
        "still dead 20 epochs later": np.mean(dead[killed]) if killed.any() else float("nan"),
        "killed by the update": killed.mean() - before,
        "dead before": before,
        "dead units": shares,
    }
