"""The batch-norm paper's first experiment, on the digits."""

import numpy as np

import pynn
from pynn.lecture import Band, Lines, experiment
from pynn.lecture.data import digits
from pynn.lecture.networks import gaussian, network

EVERY = 100


@experiment(
    claim="Three hidden layers of 100 sigmoid units, small Gaussian weights, batches of 60: higher accuracy with "
    "batch norm throughout.",
    source="Ioffe & Szegedy 2015, section 4.1",
    setup="The paper's network with weights N(0, 0.1²) on the digits, SGD at 0.1, validation accuracy every 100 steps.",
    bands=[
        Band("higher with batch norm", 0.95, why="'throughout': all looks but one in twenty"),
        Band("accuracy gained at the end", 0.0, why="also at the end"),
    ],
    lines=Lines("step", "validation accuracy", first=EVERY, every=EVERY),
    quick={"steps": 200},
    analogue="On 1437 small digits and 3000 steps; bn-mnist is the experiment itself.",
)
def bn_digits(seed, steps=3000):
    return compare(seed, digits(seed), steps, EVERY)


def compare(seed, data, steps, every):
    """Return the validation accuracy after each `every` steps, without and with batch norm."""
    curves = {}
    for name, batchnorm in (("plain", False), ("batch norm", True)):
        pynn.manual_seed(seed)
        model = network([data.x.shape[1], 100, 100, 100, 10], pynn.Sigmoid, gaussian(0.1), batchnorm=batchnorm)
        trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1), seed=seed)
        rng = np.random.default_rng(seed)
        curves[name] = []
        for step in range(1, steps + 1):
            rows = rng.integers(0, len(data.x), 60)
            trainer.step(data.x[rows], data.y[rows])
            if step % every == 0:
                curves[name].append(trainer.evaluate(data.xv, data.yv)["accuracy"])
    gain = np.subtract(curves["batch norm"], curves["plain"])
    return curves | {"higher with batch norm": np.mean(gain > 0), "accuracy gained at the end": gain[-1]}
