"""The first layer's weights, as pictures, are smooth once something is learnt."""

import numpy as np

import pynn
from pynn.lecture import Band, experiment
from pynn.lecture.data import digits
from pynn.lecture.networks import network


@experiment(
    claim="The first layer's weights, looked at as pictures, are smooth and varied where training went well; noise "
    "means that it has not converged, or that the rate or the regularisation is wrong.",
    source="CS231n, Neural Networks Part 3, First-layer visualizations",
    setup="64-50-10 on the digits, 60 epochs of SGD with momentum, weight decay 1e-2: the correlation of horizontally "
    "and vertically neighbouring weights, before, after, and after training on shuffled labels.",
    bands=[
        Band("neighbours' correlation, learnt", 0.3, why="strokes are wider than a pixel"),
        Band("neighbours' correlation, fresh", -0.1, 0.1, why="random numbers have none"),
        Band("learnt less shuffled labels", 0.1, why="where there is nothing to learn it should be noisier"),
    ],
    quick={"epochs": 2},
)
def first_weights(seed, epochs=60):
    data = digits(seed)
    shuffled = np.random.default_rng(seed).permutation(data.y)
    found = {}
    for name, y in (("learnt", data.y), ("shuffled labels", shuffled)):
        pynn.manual_seed(seed)
        model = network([64, 50, 10], pynn.ReLU)
        found["fresh"] = neighbours(model[0].weight[...])
        optimizer = pynn.SGD(0.02, momentum=0.9, weight_decay=1e-2)
        pynn.Trainer(model, pynn.CrossEntropyLoss(), optimizer, seed=seed).fit(data.x, y, epochs=epochs)
        found[name] = neighbours(model[0].weight[...])
    figures = {f"neighbours' correlation, {name}": value for name, value in found.items()}
    return figures | {"learnt less shuffled labels": found["learnt"] - found["shuffled labels"]}


def neighbours(weight):
    """Return the correlation of each pixel's weight with those to its right and below."""
    images = weight.T.reshape(-1, 8, 8)
    across = np.corrcoef(images[:, :, 1:].ravel(), images[:, :, :-1].ravel())[0, 1]
    down = np.corrcoef(images[:, 1:].ravel(), images[:, :-1].ravel())[0, 1]
    return (across + down) / 2
