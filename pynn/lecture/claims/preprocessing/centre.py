"""Zero-centre the data: by the mean image or per channel."""

import numpy as np

import pynn
from pynn.lecture import Band, experiment
from pynn.lecture.networks import network, steps_until


@experiment(
    claim="Zero-centring the data, by the mean image or per channel, makes them easier to learn.",
    source="CS231n, Neural Networks Part 2, Data Preprocessing",
    setup="Digits with pixels from 0 to 1, 64-100-10 with tanh and SGD, each at the best of five rates: steps of 64 "
    "until 95% of the training examples are right. Means of 200 random colour images centred per channel.",
    bands=[
        Band("steps, raw over centred", 1.2, why="a fifth is worth one line"),
        Band("largest mean, mean image", at_most=1e-6, why="float32 rounding"),
        Band("largest mean, per channel", at_most=1e-5, why="float32 rounding over many pixels"),
    ],
    quick={"most": 20},
)
def centre(seed, most=1500):
    x, y = pynn.datasets.load_digits()
    x /= 16
    centred = pynn.preprocessing.Center().fit_transform(x)
    best = {}
    for name, inputs in (("raw", x), ("centred", centred)):
        best[name] = most
        for rate in (0.3, 1.0, 0.1, 3.0, 0.03):  # those after the best are given up early
            pynn.manual_seed(seed)
            model = network([64, 100, 10], pynn.Tanh, "lecun_normal")
            trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(rate))
            steps = steps_until(trainer, inputs, y, lambda f: f["accuracy"] >= 0.95, best[name], seed=seed)
            best[name] = int(min(best[name], steps))
    images = np.random.default_rng(seed).random((200, 3, 8, 8), dtype=np.float32)
    per_channel = pynn.preprocessing.ChannelCenter().fit_transform(images)
    return {
        "steps, raw over centred": best["raw"] / best["centred"],
        "largest mean, mean image": np.abs(centred.mean(axis=0, dtype=np.float64)).max(),
        "largest mean, per channel": np.abs(per_channel.mean(axis=(0, 2, 3), dtype=np.float64)).max(),
    }
