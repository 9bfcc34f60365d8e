"""With too high a learning rate a large part of a network's ReLU units dies."""

from contextlib import suppress

import pynn
from pynn.lecture import Band, Lines, experiment
from pynn.lecture.data import digits
from pynn.lecture.networks import dead_share, network

RATES = (0.03, 0.1, 0.3, 1.0, 2.0, 3.0)


@experiment(
    claim="With too high a learning rate up to 40% of the ReLU units are dead: active for no training example.",
    source="CS231n, Neural Networks Part 1, ReLU",
    setup="64-100-100-10 on the digits, 10 epochs of SGD at rates from 0.03 to 3: the largest share of dead units at "
    "any rate, and at one at which the network still learns (training accuracy at least 80%).",
    bands=[
        Band("largest share dead", 0.2, 0.6, why="40%, give or take a half", partly=(0.05, 1.0)),
        Band("share dead at 0.03", at_most=0.05, why="at a proper rate they live"),
    ],
    lines=Lines("rate", "share of dead units", at=RATES),
    quick={"epochs": 1},
    remark="That the network still learns at that rate was a condition at first, and was dropped after a look: the "
    "notes do not have it.",
)
def dead_relu(seed, epochs=10):
    data = digits(seed)
    shares, useful = [], []
    for rate in RATES:
        pynn.manual_seed(seed)
        model = network([64, 100, 100, 10], pynn.ReLU)
        trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(rate), seed=seed)
        with suppress(pynn.NonFiniteError):  # the weights are then those before that step
            trainer.fit(data.x, data.y, epochs=epochs)
        shares.append(dead_share(model, data.x))
        if trainer.evaluate(data.x, data.y)["accuracy"] >= 0.8:
            useful.append(shares[-1])
    return {
        "largest share dead": max(shares),
        "share dead at 0.03": shares[0],
        "largest share dead where it learns": max(useful, default=0.0),
        "dead units": shares,
    }
