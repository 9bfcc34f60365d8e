"""Leaky ReLU, PReLU and ELU are not always better than ReLU."""

import pynn
from pynn.lecture import Band, experiment
from pynn.lecture.data import digits
from pynn.lecture.networks import network

KINDS = {"leaky ReLU": pynn.LeakyReLU, "PReLU": pynn.PReLU, "ELU": pynn.ELU}


@experiment(
    claim="Leaky ReLU, PReLU and ELU are not always better than ReLU.",
    source="CS231n, Neural Networks Part 1, Leaky ReLU",
    setup="Networks with two hidden layers of 50 on the digits and on the spiral, 30 epochs of SGD with momentum at "
    "0.02: in how many of the six comparisons the validation loss is below that of ReLU.",
    bands=[Band("better than ReLU", at_most=0.9, why="'not always': at least one comparison in ten is lost")],
    quick={"epochs": 1},
)
def leaky_not_always_better(seed, epochs=30):
    x, xv, y, yv = pynn.datasets.train_test_split(*pynn.datasets.spiral(300, seed=seed), seed=seed)
    problems = {"digits": digits(seed), "spiral": (x, y, xv, yv)}
    losses = {}
    for problem, (x, y, xv, yv) in problems.items():
        for name, kind in {"ReLU": pynn.ReLU, **KINDS}.items():
            pynn.manual_seed(seed)
            model = network([x.shape[1], 50, 50, 10], kind)
            trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.02, momentum=0.9), seed=seed)
            trainer.fit(x, y, epochs=epochs)
            losses[problem, name] = trainer.evaluate(xv, yv)["loss"]
    won = {key: losses[key] < losses[key[0], "ReLU"] for key in losses if key[1] != "ReLU"}
    shares = {f"{name} better": sum(won[problem, name] for problem in problems) / len(problems) for name in KINDS}
    return {"better than ReLU": sum(won.values()) / len(won)} | shares
