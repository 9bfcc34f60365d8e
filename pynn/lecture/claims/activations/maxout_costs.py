"""Maxout doubles parameters and work per unit; with k pieces it is k times."""

import time

import pynn
from pynn.lecture import Band, experiment
from pynn.lecture.data import digits


def network(hidden):
    """Return a network with two hidden layers."""
    return pynn.Sequential(hidden(64, 256), pynn.ReLU(), hidden(256, 256), pynn.ReLU(), pynn.Linear(256, 10))


@experiment(
    claim="Maxout doubles parameters and work per unit; with k pieces it is k times.",
    source="CS231n, Neural Networks Part 1, Maxout",
    setup="Two hidden layers of 256 units, batches of 64 digits, one thread: parameters of the hidden layers, and the "
    "least time of many training steps in turn, against linear layers.",
    bands=[
        Band("parameters, 2 pieces", 2.0, 2.0, why="exactly"),
        Band("parameters, 5 pieces", 5.0, 5.0, why="exactly"),
        Band("time of a step, 2 pieces", 1.5, 2.5, why="double, but for the share of the last layer and of the loss"),
        Band("time of a step, 5 pieces", 3.5, 6.5, why="fivefold, but for the same"),
    ],
    quick={"rounds": 3},
    remark="Two pieces take more than twice the time: besides the products there is the largest piece to find.",
)
def maxout_costs(seed, rounds=60):
    data = digits(seed)
    x, y = data.x[:64], data.y[:64]
    kinds = {1: pynn.Linear, 2: pynn.Maxout, 5: lambda *widths: pynn.Maxout(*widths, pieces=5)}
    pynn.manual_seed(seed)
    models = {pieces: network(kind) for pieces, kind in kinds.items()}
    size = {k: sum(p.size for layer in (m[0], m[2]) for p in layer.parameters()) for k, m in models.items()}
    trainers = {k: pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.01)) for k, model in models.items()}
    times = {k: [] for k in kinds}
    for _ in range(rounds):
        for k, trainer in trainers.items():
            began = time.perf_counter()
            trainer.step(x, y)
            times[k].append(time.perf_counter() - began)
    figures = {}
    for k in (2, 5):
        figures[f"parameters, {k} pieces"] = size[k] / size[1]
        figures[f"time of a step, {k} pieces"] = min(times[k]) / min(times[1])
    return figures
