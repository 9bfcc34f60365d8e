"""A network of 30 layers trains with He weights; with Xavier's it stalls."""

import pynn
from pynn.lecture import Band, Lines, experiment
from pynn.lecture.data import digits
from pynn.lecture.networks import network


@experiment(
    claim="A 30-layer network trains with He weights, and stalls with Xavier's.",
    source="He et al. 2015, figure 3",
    setup="30 linear layers (29 of 64 ReLU units) on the digits, 20 epochs of SGD with momentum at 0.005.",
    bands=[
        Band("accuracy, He less Xavier", 0.5, why="one trains, the other does not"),
        Band("accuracy, He", 0.9, why="'trains'"),
        Band("accuracy, Xavier", at_most=0.2, why="'stalls': near one of ten classes"),
    ],
    lines=Lines("epoch", "training loss"),
    quick={"epochs": 1},
    analogue="He's network has convolutions, 64 to 512 channels, and learns ImageNet.",
    remark="With Xavier's weights it stalls, with He's it trains, but not within 20 epochs to 90% for most seeds.",
)
def he_deep(seed, epochs=20):
    return compare(seed, epochs, depth=30)


def compare(seed, epochs, depth):
    """Return training and validation figures with both initialisations."""
    data = digits(seed)
    figures = {}
    for name, init in (("He", "he_normal"), ("Xavier", "lecun_normal")):
        pynn.manual_seed(seed)
        model = network([64] * depth + [10], pynn.ReLU, init)
        trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.005, momentum=0.9), seed=seed)
        history = trainer.fit(data.x, data.y, epochs=epochs, validation=data.validation)
        figures[name] = history["loss"]
        figures[f"accuracy, {name}"] = trainer.evaluate(data.x, data.y)["accuracy"]
        figures[f"validation accuracy, {name}"] = history["val_accuracy"][-1]
    return figures | {"accuracy, He less Xavier": figures["accuracy, He"] - figures["accuracy, Xavier"]}
