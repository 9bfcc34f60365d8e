"""A tiny part of the data can be learnt by heart."""

import pynn
from pynn.lecture import Band, Lines, experiment
from pynn.lecture.data import digits
from pynn.lecture.networks import network


@experiment(
    claim="20 examples, without regularisation, can be overfitted to 100% accuracy and a loss near 0.",
    source="CS231n, Neural Networks Part 3, Before learning: sanity checks",
    setup="64-50-10 with ReLU on 20 digits, 200 epochs of SGD with momentum.",
    bands=[
        Band("training accuracy", 1.0, why="all 20"),
        Band("training loss", at_most=0.01, why="a probability of 99% for each"),
    ],
    lines=Lines("epoch", "training loss", log=True),
    quick={"epochs": 100},
)
def overfit_20(seed, epochs=200):
    data = digits(seed)
    x, y = data.x[:20], data.y[:20]
    pynn.manual_seed(seed)
    trainer = pynn.Trainer(
        network([64, 50, 10], pynn.ReLU), pynn.CrossEntropyLoss(), pynn.SGD(0.02, momentum=0.9), seed=seed
    )
    losses = trainer.fit(x, y, epochs=epochs)["loss"]
    end = trainer.evaluate(x, y)
    return {"loss": losses, "training accuracy": end["accuracy"], "training loss": end["loss"]}
