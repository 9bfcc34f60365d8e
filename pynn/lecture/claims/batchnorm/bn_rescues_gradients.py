"""Batch norm rescues vanishing gradients."""

import pynn
from pynn.lecture import Band, Lines, experiment
from pynn.lecture.data import digits
from pynn.lecture.networks import gaussian, network, rms, weight_gradients


@experiment(
    claim="Batch norm lets gradients flow: it rescues networks whose gradients vanish.",
    source="CS231n, lecture on training neural networks, part 1: batch normalization",
    setup="64 and six hidden layers of 100 sigmoid units with weights N(0, 0.1²): the gradient (rms) of each weight "
    "matrix over 500 digits, and the accuracy after 20 epochs of SGD with momentum.",
    bands=[
        Band(
            "first over last, batch norm over plain", 100, why="two orders of magnitude decide whether a layer learns"
        ),
        Band("first over last, batch norm", 0.05, why="what is left should be of the order of the others"),
        Band("accuracy gained", 0.3, why="a network that learns against one that does not"),
    ],
    lines=Lines("weight matrix", "rms of the gradient", log=True),
    quick={"epochs": 1},
)
def bn_rescues_gradients(seed, epochs=20):
    data = digits(seed)
    flow, accuracy, curves = {}, {}, {}
    for name, batchnorm in (("plain", False), ("batch norm", True)):
        pynn.manual_seed(seed)
        model = network([64] + [100] * 6 + [10], pynn.Sigmoid, gaussian(0.1), batchnorm=batchnorm)
        curves[name] = [rms(gradient) for gradient in weight_gradients(model, data.x[:500], data.y[:500])]
        flow[name] = curves[name][0] / curves[name][-1]
        trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1, momentum=0.9), seed=seed)
        trainer.fit(data.x, data.y, epochs=epochs, batch_size=64)
        accuracy[name] = trainer.evaluate(data.x, data.y)["accuracy"]
    return curves | {
        "first over last, batch norm over plain": flow["batch norm"] / flow["plain"],
        "first over last, batch norm": flow["batch norm"],
        "accuracy gained": accuracy["batch norm"] - accuracy["plain"],
    }
