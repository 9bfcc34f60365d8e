"""The norm of the update over that of the weights should be about 1e-3."""

import numpy as np

import pynn
from pynn.lecture import Band, Lines, experiment
from pynn.lecture.data import digits
from pynn.lecture.networks import network

RATES = tuple(10 ** (-4 + i / 2) for i in range(9))


@experiment(
    claim="The ratio of the update's norm to the weights' norm, per weight matrix, should be about 1e-3.",
    source="CS231n, Neural Networks Part 3, Ratio of weights:updates",
    setup="64-100-100-10 with ReLU on the digits, 15 epochs of plain SGD at nine rates from 1e-4 to 1: the median "
    "ratio of all matrices and steps at the rate with the best validation loss.",
    bands=[
        Band(
            "ratio at the best rate", 10**-3.5, 10**-2.5, why="1e-3 to half an order of magnitude", partly=(1e-4, 1e-2)
        ),
        Band("ratio at the lowest rate", at_most=1e-4, why="lower: the rate is too low"),
        Band("ratio at the highest rate", 10**-2.5, why="higher: the rate is too high"),
    ],
    lines=Lines("rate", "update over weight", log=True, at=RATES),
    quick={"epochs": 1},
    remark="At the best rate it is as said. At the highest one it is no larger: there the digits are soon learnt by "
    "heart, and the gradients fade with the loss. Look at the ratio early in a run.",
)
def update_ratio(seed, epochs=15):
    data = digits(seed)
    ratios, losses = [], []
    for rate in RATES:
        pynn.manual_seed(seed)
        model = network([64, 100, 100, 10], pynn.ReLU)
        trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(rate), seed=seed)
        monitor = pynn.Monitor(on_problem="silent")
        history = trainer.fit(data.x, data.y, epochs=epochs, validation=data.validation, callbacks=[monitor])
        layers = [monitor.stats[name]["update_ratio"] for name in ("0.Linear", "2.Linear", "4.Linear")]
        ratios.append(float(np.nanmedian(layers)))
        losses.append(history["val_loss"][-1])
    best = int(np.argmin(losses))
    return {
        "ratio": ratios,
        "ratio at the best rate": ratios[best],
        "ratio at the lowest rate": ratios[0],
        "ratio at the highest rate": ratios[-1],
        "best rate": RATES[best],
    }
