"""The shape of the loss curve tells the learning rate."""

import pynn
from pynn.lecture import Band, Lines, experiment
from pynn.lecture.data import digits
from pynn.lecture.networks import network

RATES = {"low": 0.0005, "good": 0.05, "high": 1.0}


@experiment(
    claim="With a low rate the loss falls slowly and steadily; with a high rate it falls fast at first and then stays "
    "too high; a good rate is between them.",
    source="CS231n, Neural Networks Part 3, Loss function",
    setup="64-100-100-10 with ReLU on the digits, 30 epochs of SGD at 0.0005, 0.05 and 1.",
    bands=[
        Band("end, high over good", 2.0, why="'stuck at worse values': at least twice the loss"),
        Band("end, low over good", 2.0, why="still far from the end"),
        Band("low: share of the fall in the last third", 0.1, why="a straight line has 1/3, one that is done 0"),
        Band("high below low after epoch 1", 1.0, why="'decays faster' at first"),
    ],
    lines=Lines("epoch", "training loss", log=True),
    quick={"epochs": 3},
    remark="All as drawn in the notes but for the high rate, which ends lowest: the digits can be learnt by heart, "
    "and where the loss can go to 0 there is no level at which a rate that does not break the network is "
    "stuck.",
)
def loss_curves(seed, epochs=30):
    data = digits(seed)
    curves = {}
    for name, rate in RATES.items():
        pynn.manual_seed(seed)
        trainer = pynn.Trainer(
            network([64, 100, 100, 10], pynn.ReLU), pynn.CrossEntropyLoss(), pynn.SGD(rate), seed=seed
        )
        curves[name] = trainer.fit(data.x, data.y, epochs=epochs)["loss"]
    low, good, high = (curves[name] for name in RATES)
    return curves | {
        "end, high over good": high[-1] / good[-1],
        "end, low over good": low[-1] / good[-1],
        "low: share of the fall in the last third": (low[2 * epochs // 3 - 1] - low[-1]) / (low[0] - low[-1]),
        "high below low after epoch 1": high[0] < low[0],
    }
