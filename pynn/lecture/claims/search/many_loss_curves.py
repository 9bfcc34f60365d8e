"""Watch many loss curves side by side: they tell early which runs are good."""

import numpy as np

import pynn
from pynn.lecture import Band, Lines, experiment
from pynn.lecture.data import digits
from pynn.lecture.networks import network


@experiment(
    claim="Many loss curves side by side show early which runs are worth going on with.",
    source="CS231n, lecture on training neural networks, part 1: monitor and visualize the loss curve",
    setup="24 runs of 20 epochs, 64-64-10 on the digits, SGD with momentum at rates from 1e-5 to 1 and weight decays "
    "from 1e-6 to 1e-1; the order of the runs by training loss after 2 epochs and at the end.",
    bands=[
        Band("rank correlation, 2 and 20 epochs", 0.5, why="half-way between chance and certainty"),
        Band("best run among the better half after 2", 1.0, why="it must not be given up"),
    ],
    lines=Lines("epoch", "training loss", log=True),
    quick={"runs": 4},
)
def many_loss_curves(seed, runs=24):
    data = digits(seed)
    rng = np.random.default_rng(seed)
    curves = []
    for _ in range(runs):
        pynn.manual_seed(seed)
        optimizer = pynn.SGD(10 ** rng.uniform(-5, 0), momentum=0.9, weight_decay=10 ** rng.uniform(-6, -1))
        trainer = pynn.Trainer(network([64, 64, 10], pynn.ReLU), pynn.CrossEntropyLoss(), optimizer, seed=seed)
        try:
            curves.append(trainer.fit(data.x, data.y, epochs=20)["loss"])
        except pynn.NonFiniteError:
            curves.append([10.0] * 20)
    curves = np.array(curves)
    early, late = (np.argsort(np.argsort(curves[:, epoch])) for epoch in (1, -1))
    ordered = curves[np.argsort(late)]
    return {
        "rank correlation, 2 and 20 epochs": np.corrcoef(early, late)[0, 1],
        "best run among the better half after 2": early[late.argmin()] < runs / 2,
        "best": ordered[0],
        "better quarter": ordered[runs // 4],
        "middle": ordered[runs // 2],
        "worse quarter": ordered[3 * runs // 4],
    }
