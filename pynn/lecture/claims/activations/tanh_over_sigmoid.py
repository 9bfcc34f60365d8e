"""tanh is preferred to sigmoid: it saturates as well, but it is zero-centred."""

import pynn
from pynn.lecture import Band, experiment
from pynn.lecture.data import digits
from pynn.lecture.networks import network, outputs, steps_until


@experiment(
    claim="tanh saturates as well but is zero-centred, and is always preferred to the sigmoid.",
    source="CS231n, Neural Networks Part 1, Tanh",
    setup="64-100-100-10 on the digits, SGD with momentum, each at the best of five rates: steps of 64 examples until "
    "95% of the training examples are right; mean outputs of the fresh network.",
    bands=[
        Band("steps, sigmoid over tanh", 1.5, why="a preference without exception should rest on a clear gain"),
        Band("mean output, tanh", -0.05, 0.05, why="zero-centred"),
        Band("mean output, sigmoid", 0.4, 0.6, why="not zero-centred: around 1/2"),
    ],
    quick={"most": 20},
)
def tanh_over_sigmoid(seed, most=1500):
    data = digits(seed)
    figures, best = {}, {}
    for name, activation in (("sigmoid", pynn.Sigmoid), ("tanh", pynn.Tanh)):
        best[name] = most
        for rate in (0.1, 0.3, 0.03, 1.0, 0.01):  # those after the best are given up early
            pynn.manual_seed(seed)
            model = network([64, 100, 100, 10], activation, "xavier_normal")
            figures[f"mean output, {name}"] = outputs(model, data.x, activation)[0].mean()
            trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(rate, momentum=0.9))
            steps = steps_until(trainer, data.x, data.y, lambda f: f["accuracy"] >= 0.95, best[name], seed=seed)
            best[name] = int(min(best[name], steps))
    return figures | {"steps, sigmoid over tanh": best["sigmoid"] / best["tanh"]}
