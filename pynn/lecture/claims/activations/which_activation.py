"""Advice: ReLU; try leaky ReLU, Maxout, ELU; tanh rarely; sigmoid not."""

import pynn
from pynn.lecture import Band, experiment
from pynn.lecture.data import digits
from pynn.lecture.networks import network

KINDS = {
    "ReLU": (pynn.ReLU, "he_normal"),
    "leaky ReLU": (pynn.LeakyReLU, "he_normal"),
    "ELU": (pynn.ELU, "he_normal"),
    "Maxout": (None, "lecun_normal"),
    "tanh": (pynn.Tanh, "lecun_normal"),
    "sigmoid": (pynn.Sigmoid, "xavier_normal"),
}
RATES = (0.003, 0.01, 0.03, 0.1)


@experiment(
    claim="Use ReLU; try leaky ReLU, Maxout and ELU; expect tanh to do worse, and do not use sigmoid.",
    source="CS231n, Neural Networks Part 1, TLDR",
    setup="Three hidden layers of 64 on the digits, 8 epochs of SGD with momentum, each at the best of four rates: "
    "places 1 to 6 by validation loss.",
    bands=[
        Band("place of sigmoid", 6, why="last of six"),
        Band("place of tanh", 4, why="behind at least three of the four that are advised"),
        Band("place of ReLU", at_most=3, why="in the better half"),
    ],
    quick={"epochs": 1},
    remark="Sigmoid is last and Maxout mostly first; of the others, each at its own best rate, none is clearly ahead "
    "on the digits.",
)
def which_activation(seed, epochs=8):
    data = digits(seed)
    losses = {}
    for name, (activation, init) in KINDS.items():
        losses[name] = min(validation_loss(data, activation, init, rate, epochs, seed) for rate in RATES)
    order = sorted(losses, key=losses.__getitem__)
    return {f"place of {name}": order.index(name) + 1 for name in KINDS}


def validation_loss(data, activation, init, rate, epochs, seed):
    """Return the loss after training at a rate."""
    pynn.manual_seed(seed)
    if activation is None:
        hidden = [pynn.Maxout(width, 64, init=init) for width in (64, 64, 64)]
        model = pynn.Sequential(*hidden, pynn.Linear(64, 10, init=init))
    else:
        model = network([64, 64, 64, 64, 10], activation, init)
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(rate, momentum=0.9), seed=seed)
    try:
        return trainer.fit(data.x, data.y, epochs=epochs, validation=data.validation)["val_loss"][-1]
    except pynn.NonFiniteError:
        return float("inf")
