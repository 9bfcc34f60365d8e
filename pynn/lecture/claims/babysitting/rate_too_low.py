"""The learning rate is too low: the loss barely moves, though the accuracy rises."""

import pynn
from pynn.lecture import Band, Lines, experiment
from pynn.lecture.data import digits
from pynn.lecture.networks import gaussian, network


@experiment(
    claim="If the learning rate is too low the loss barely moves; accuracy may rise all the same, since the scores "
    "move a little, but the right way.",
    source="CS231n, lecture on training neural networks, part 1: babysitting (loss 2.302, accuracy 20%)",
    setup="64-50-10 with weights N(0, 0.01²) on the digits, 10 epochs of SGD at 0.002.",
    bands=[
        Band("loss lost, relative", at_most=0.02, why="'barely': the lecture's loss falls by less than a thousandth"),
        Band("accuracy gained", 0.1, why="the lecture's rises from 10% to 20%"),
    ],
    lines=Lines("epoch", "validation accuracy", first=0),
    quick={"epochs": 5},
)
def rate_too_low(seed, epochs=10):
    data = digits(seed)
    pynn.manual_seed(seed)
    model = network([64, 50, 10], pynn.ReLU, gaussian(0.01))
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.002), seed=seed)
    first = trainer.evaluate(*data.validation)
    history = trainer.fit(data.x, data.y, epochs=epochs, validation=data.validation)
    return {
        "loss lost, relative": 1 - history["val_loss"][-1] / first["loss"],
        "accuracy gained": history["val_accuracy"][-1] - first["accuracy"],
        "accuracy": [first["accuracy"], *history["val_accuracy"]],
    }
