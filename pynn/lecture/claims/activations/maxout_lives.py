"""Maxout does not die."""

from contextlib import suppress

import pynn
from pynn.lecture import Band, experiment
from pynn.lecture.data import digits
from pynn.lecture.networks import dead_share, network, weight_gradients


@experiment(
    claim="Maxout units do not die.",
    source="CS231n, Neural Networks Part 1, Maxout",
    setup="64-100-100-10 on the digits, 10 epochs of SGD at 2, where many ReLU units die: the share of Maxout units "
    "none of whose weights gets a gradient.",
    bands=[
        Band("dead, Maxout", at_most=0.0, why="one piece is always the largest, and its slope is 1"),
        Band("dead, ReLU", 0.05, why="the rate must be one that kills, or nothing is shown"),
    ],
    quick={"epochs": 1},
)
def maxout_lives(seed, epochs=10):
    data = digits(seed)
    pynn.manual_seed(seed)
    relu = network([64, 100, 100, 10], pynn.ReLU)
    maxout = pynn.Sequential(
        pynn.Maxout(64, 100, init="lecun_normal"), pynn.Maxout(100, 100, init="lecun_normal"), pynn.Linear(100, 10)
    )
    for model in (relu, maxout):
        trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(2.0), seed=seed)
        with suppress(pynn.NonFiniteError):  # the weights are then those before that step
            trainer.fit(data.x, data.y, epochs=epochs)
    hidden = weight_gradients(maxout, data.x, data.y)[:2]
    still = [(gradient.reshape(-1, 2, 100) == 0).all(axis=(0, 1)).mean() for gradient in hidden]
    return {"dead, Maxout": sum(still) / 2, "dead, ReLU": dead_share(relu, data.x)}
