"""With badly chosen initial weights every sigmoid may saturate, and nothing learns."""

import numpy as np

import pynn
from pynn.lecture import Band, Lines, experiment
from pynn.lecture.data import digits
from pynn.lecture.networks import gaussian, network, outputs


@experiment(
    claim="With badly chosen initial weights every sigmoid unit may saturate, and nothing learns.",
    source="CS231n, Neural Networks Part 1, Sigmoid",
    setup="64-100-100-100-10 on the digits, 20 epochs of SGD with momentum; weights N(0, 5^2) against Xavier's.",
    bands=[
        Band("training accuracy, N(0, 5²)", at_most=0.5, why="half of the classes; a network that learns gets 0.9"),
        Band("saturated outputs, N(0, 5²)", 0.8, why="'every unit': four fifths beyond 0.01 and 0.99"),
        Band("training accuracy, Xavier", 0.9, why="the same network must be able to learn"),
    ],
    lines=Lines("epoch", "training loss", log=True),
    quick={"epochs": 2},
    remark="The hidden units saturate as claimed, but the output layer learns all the same: what they put out are "
    "random features of the digits, and these suffice. It takes a problem, or a depth, at which they do not.",
)
def sigmoid_bad_init(seed, epochs=20):
    data = digits(seed)
    figures = {}
    for name, init in (("N(0, 5²)", gaussian(5.0)), ("Xavier", "xavier_normal")):
        pynn.manual_seed(seed)
        model = network([64, 100, 100, 100, 10], pynn.Sigmoid, init)
        y = np.concatenate(outputs(model, data.x, pynn.Sigmoid), axis=1)
        figures[f"saturated outputs, {name}"] = np.mean((y < 0.01) | (y > 0.99))
        trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1, momentum=0.9), seed=seed)
        figures[name] = trainer.fit(data.x, data.y, epochs=epochs)["loss"]
        figures[f"training accuracy, {name}"] = trainer.evaluate(data.x, data.y)["accuracy"]
    return figures
