"""A plateau followed by a sudden drop points to bad initialisation."""

import numpy as np

import pynn
from pynn.lecture import Band, Lines, experiment
from pynn.lecture.data import digits
from pynn.lecture.networks import gaussian, network

EVERY = 10


@experiment(
    claim="A plateau followed by a sudden drop of the loss points to bad initialisation.",
    source="CS231n, lecture on training neural networks, part 1: babysitting, loss curves",
    setup="64-100-100-100-10 with tanh on the digits, 1000 steps of 64 with SGD and momentum at 0.02, weights N(0, "
    "0.01²) and Xavier's. Plateau: steps until the loss has fallen by 5%; drop: steps from there until it has halved.",
    bands=[
        Band("plateau over drop", 2.0, why="'sudden': at most half as long as the plateau before"),
        Band("plateau, steps", 50, why="two epochs in which nothing seems to happen"),
        Band("plateau with Xavier, steps", at_most=20, why="with a good start there is none"),
    ],
    lines=Lines("step", "training loss", first=0, every=EVERY),
    quick={"steps": 400},
)
def plateau(seed, steps=1000):
    data = digits(seed)
    curves, lengths = {}, {}
    for name, init in (("N(0, 0.01²)", gaussian(0.01)), ("Xavier", "lecun_normal")):
        pynn.manual_seed(seed)
        model = network([64, 100, 100, 100, 10], pynn.Tanh, init)
        trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.02, momentum=0.9))
        rng = np.random.default_rng(seed)
        losses = []
        for step in range(steps):
            if step % EVERY == 0:
                losses.append(trainer.evaluate(data.x, data.y)["loss"])
            rows = rng.integers(0, len(data.x), 64)
            trainer.step(data.x[rows], data.y[rows])
        curves[name] = losses
        fallen = np.array(losses) / losses[0]
        lengths[name] = [
            EVERY * int(np.argmax(fallen < share)) if fallen[-1] < share else steps for share in (0.95, 0.5)
        ]
    flat, halved = lengths["N(0, 0.01²)"]
    return curves | {
        "plateau over drop": flat / max(halved - flat, EVERY),
        "plateau, steps": flat,
        "plateau with Xavier, steps": lengths["Xavier"][0],
    }
