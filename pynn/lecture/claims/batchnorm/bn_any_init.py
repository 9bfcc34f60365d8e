"""With batch norm, training depends less on the initialisation."""

import pynn
from pynn.lecture import Band, Lines, experiment
from pynn.lecture.data import digits
from pynn.lecture.networks import gaussian, network

SPREADS = (0.001, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)


@experiment(
    claim="With batch norm, training depends less on the initialisation.",
    source="Ioffe & Szegedy 2015, section 3.3; CS231n, Neural Networks Part 2, Batch Normalization",
    setup="64-100-100-100-100-10 with ReLU on the digits, 10 epochs of SGD with momentum at 0.01, weights N(0, s²) "
    "with s from 0.001 to 3: how many of the seven get 90% of the training examples right.",
    bands=[
        Band("initialisations that work, gained", 2, why="of seven; one could be chance"),
        Band("that work with batch norm", 5, why="most of them, over three orders of magnitude"),
    ],
    lines=Lines("spread", "training accuracy", at=SPREADS),
    quick={"epochs": 1},
)
def bn_any_init(seed, epochs=10):
    data = digits(seed)
    curves = {}
    for name, batchnorm in (("plain", False), ("batch norm", True)):
        curves[name] = []
        for spread in SPREADS:
            pynn.manual_seed(seed)
            model = network([64, 100, 100, 100, 100, 10], pynn.ReLU, gaussian(spread), batchnorm=batchnorm)
            trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.01, momentum=0.9), seed=seed)
            try:
                trainer.fit(data.x, data.y, epochs=epochs, batch_size=64)
                curves[name].append(trainer.evaluate(data.x, data.y)["accuracy"])
            except pynn.NonFiniteError:
                curves[name].append(0.1)
    working = {name: sum(accuracy >= 0.9 for accuracy in curve) for name, curve in curves.items()}
    return curves | {
        "initialisations that work, gained": working["batch norm"] - working["plain"],
        "that work with batch norm": working["batch norm"],
        "that work without": working["plain"],
    }
