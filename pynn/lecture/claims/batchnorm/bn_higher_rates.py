"""Batch norm allows higher learning rates."""

import numpy as np

import pynn
from pynn.lecture import Band, Lines, experiment
from pynn.lecture.data import digits
from pynn.lecture.networks import network

RATES = tuple(0.02 * 2.0**i for i in range(12))


@experiment(
    claim="Batch norm allows higher learning rates.",
    source="Ioffe & Szegedy 2015, section 3.3",
    setup="64-100-100-100-10 with ReLU on the digits, 8 epochs of SGD at rates from 0.02, doubling eleven times: the "
    "largest one at which 90% of the training examples are right, with batch norm over without.",
    bands=[Band("largest rate, batch norm over plain", 4.0, why="two doublings; the paper raises it 5 and 30 times")],
    lines=Lines("rate", "training accuracy", at=RATES),
    quick={"epochs": 1},
    remark="It is so for every seed, but not for every seed by two doublings: with He weights a network of this "
    "depth bears high rates without batch norm.",
)
def bn_higher_rates(seed, epochs=8):
    data = digits(seed)
    curves, largest = {}, {}
    for name, batchnorm in (("plain", False), ("batch norm", True)):
        curves[name] = []
        for rate in RATES:
            pynn.manual_seed(seed)
            model = network([64, 100, 100, 100, 10], pynn.ReLU, batchnorm=batchnorm)
            trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(rate), seed=seed)
            try:
                trainer.fit(data.x, data.y, epochs=epochs, batch_size=64)
                curves[name].append(trainer.evaluate(data.x, data.y)["accuracy"])
            except pynn.NonFiniteError:
                curves[name].append(0.1)
        largest[name] = max(np.array(RATES)[np.array(curves[name]) >= 0.9], default=RATES[0])
    return curves | {
        "largest rate, batch norm over plain": largest["batch norm"] / largest["plain"],
        "largest rate, plain": largest["plain"],
        "largest rate, batch norm": largest["batch norm"],
    }
