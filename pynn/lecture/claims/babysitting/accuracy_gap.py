"""A gap between training and validation accuracy means overfitting; without a gap, enlarge the model."""

import pynn
from pynn.lecture import Band, Lines, experiment
from pynn.lecture.data import digits
from pynn.lecture.networks import network


@experiment(
    claim="A gap between training and validation accuracy means overfitting, which more data cures; no gap means that "
    "the model should be enlarged.",
    source="CS231n, Neural Networks Part 3, Train/val accuracy",
    setup="Digits, 60 epochs of SGD with momentum: 64-200-10 on 100 examples and on all 1437, and a network with 2 "
    "hidden units on all.",
    bands=[
        Band("gap, large network on 100", 0.1, why="one validation digit in ten is read worse than the training ones"),
        Band("gap, large network on all", at_most=0.05, why="with more data the gap closes"),
        Band("gap, 2 hidden units", at_most=0.05, why="no gap to speak of, though it is not good"),
        Band("validation accuracy gained by enlarging", 0.1, why="what the missing gap promises"),
    ],
    lines=Lines("epoch", "validation accuracy"),
    quick={"epochs": 3},
    remark="The gap is there for every seed and closes with more data, but for some seeds it is less than a tenth.",
)
def accuracy_gap(seed, epochs=60):
    data = digits(seed)
    gaps, curves = {}, {}
    for name, units, count in (
        ("large network on 100", 200, 100),
        ("large network on all", 200, len(data.x)),
        ("2 hidden units", 2, len(data.x)),
    ):
        pynn.manual_seed(seed)
        x, y = data.x[:count], data.y[:count]
        trainer = pynn.Trainer(
            network([64, units, 10], pynn.ReLU), pynn.CrossEntropyLoss(), pynn.SGD(0.02, momentum=0.9), seed=seed
        )
        curves[name] = trainer.fit(x, y, epochs=epochs, validation=data.validation)["val_accuracy"]
        gaps[f"gap, {name}"] = trainer.evaluate(x, y)["accuracy"] - curves[name][-1]
    gained = curves["large network on all"][-1] - curves["2 hidden units"][-1]
    return gaps | curves | {"validation accuracy gained by enlarging": gained}
