"""1e-3 to 1e-5 was the range of the lecture's example, never a rule."""

from contextlib import suppress

import pynn
from pynn.lecture import Band, experiment
from pynn.lecture.data import digits
from pynn.lecture.networks import network

OPTIMIZERS = {
    "SGD": lambda rate: pynn.SGD(rate),
    "momentum": lambda rate: pynn.SGD(rate, momentum=0.9),
    "Adam": lambda rate: pynn.Adam(rate),
}


@experiment(
    claim="Rates of 1e-3 to 1e-5 were right to search in the lecture's example; that is no rule.",
    source="CS231n, lecture on training neural networks, part 1: babysitting",
    setup="64-100-10 with ReLU on the digits, 10 epochs, rates 10^-5 to 10^1 in half decades: the best by validation "
    "loss for SGD, SGD with momentum, and Adam.",
    bands=[
        Band("best rates outside", 0.6, why="a rule would hold for most of three optimisers"),
    ],
    quick={"epochs": 1},
)
def range_is_no_rule(seed, epochs=10):
    data = digits(seed)
    best = {}
    for name, make in OPTIMIZERS.items():
        losses = {}
        for rate in [10 ** (half / 2) for half in range(-10, 3)]:
            pynn.manual_seed(seed)
            trainer = pynn.Trainer(network([64, 100, 10], pynn.ReLU), pynn.CrossEntropyLoss(), make(rate), seed=seed)
            with suppress(pynn.NonFiniteError):
                losses[rate] = trainer.fit(data.x, data.y, epochs=epochs, validation=data.validation)["val_loss"][-1]
        best[name] = min(losses, key=losses.__getitem__)
    outside = sum(not 0.99e-5 <= rate <= 1.01e-3 for rate in best.values()) / len(best)
    return {"best rates outside": outside} | {f"best rate, {name}": rate for name, rate in best.items()}
