"""Batch norm regularises a little."""

import pynn
from pynn.lecture import Band, experiment
from pynn.lecture.data import digits
from pynn.lecture.networks import network


@experiment(
    claim="Batch norm regularises a little: an example's output depends on what else is in its batch.",
    source="Ioffe & Szegedy 2015, section 3.4; CS231n, lecture on training neural networks, part 1",
    setup="64-200-200-10 with ReLU on 300 digits, 60 epochs of SGD at 0.05 in batches of 16, with and without batch "
    "norm: both learn the 300 by heart; accuracy on the 360 validation digits.",
    bands=[
        Band(
            "validation accuracy gained",
            0.002,
            0.05,
            why="more than nothing (one example in 360 is 0.003), but 'a little'",
        ),
        Band("training accuracy, plain", 0.99, why="both must fit, or it is another comparison"),
        Band("training accuracy, batch norm", 0.99, why="both must fit, or it is another comparison"),
    ],
    quick={"epochs": 2},
)
def bn_regularises(seed, epochs=60):
    data = digits(seed)
    x, y = data.x[:300], data.y[:300]
    figures = {}
    for name, batchnorm in (("plain", False), ("batch norm", True)):
        pynn.manual_seed(seed)
        model = network([64, 200, 200, 10], pynn.ReLU, batchnorm=batchnorm)
        trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.05), seed=seed)
        trainer.fit(x, y, epochs=epochs, batch_size=16)
        figures[f"training accuracy, {name}"] = trainer.evaluate(x, y)["accuracy"]
        figures[f"validation accuracy, {name}"] = trainer.evaluate(data.xv, data.yv)["accuracy"]
    gained = figures["validation accuracy, batch norm"] - figures["validation accuracy, plain"]
    return figures | {"validation accuracy gained": gained}
