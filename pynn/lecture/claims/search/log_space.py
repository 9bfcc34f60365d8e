"""Sample learning rate and regularisation in log space."""

import numpy as np

from pynn import search
from pynn.lecture import Band, experiment
from pynn.lecture.claims.search.coarse_to_fine import build
from pynn.lecture.data import digits
from pynn.lecture.searching import scores, search_on


@experiment(
    claim="Learning rate and regularisation should be sampled in log space: 10**uniform(-6, ...).",
    source="CS231n, Neural Networks Part 3, Hyperparameter ranges",
    setup="30 trials of 4 epochs, 64-64-10 on the digits, rates 1e-6 to 10 and weight decays 1e-5 to 10 (the "
    "lecture's go to 10^5), in log space and evenly: the share of trials within 5 points of the best accuracy of all.",
    bands=[
        Band("good trials, log less even", 0.05, why="more than one trial in twenty"),
        Band("best accuracy, log less even", 0.0, why="and the best is no worse"),
    ],
    needs="optuna",
    quick={"trials": 4},
)
def log_space(seed, trials=30):
    data = digits(seed)
    accuracy = {}
    for name, kind in (("log", search.LogUniform), ("even", search.Uniform)):
        space = {"lr": kind(1e-6, 10.0), "weight_decay": kind(1e-5, 10.0)}
        accuracy[name] = scores(search_on(data, build, space, trials=trials, epochs=4, seed=seed))
    best = max(values.max() for values in accuracy.values())
    good = {name: np.mean(values > best - 0.05) for name, values in accuracy.items()}
    return {
        "good trials, log less even": good["log"] - good["even"],
        "best accuracy, log less even": accuracy["log"].max() - accuracy["even"].max(),
        "good trials, log": good["log"],
        "good trials, even": good["even"],
    }
