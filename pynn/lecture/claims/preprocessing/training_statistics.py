"""Statistics come from the training part only."""

import numpy as np

import pynn
from pynn.lecture import Band, experiment
from pynn.lecture.networks import network


@experiment(
    claim="Statistics for preprocessing must come from the training part only, and be applied to the others.",
    source="CS231n, Neural Networks Part 2, Data Preprocessing (common pitfall)",
    setup="64-100-10 on the standardised digits, 15 epochs of Adam; accuracy on the validation digits 0, 1 and 2 "
    "alone, standardised by the training part's figures, and by their own.",
    bands=[
        Band("accuracy lost by own statistics", 0.05, why="a mistake that costs this much is one"),
        Band("fitted mean off the training mean", at_most=1e-5, why="fit looks at the training part alone"),
    ],
    quick={"epochs": 1},
)
def training_statistics(seed, epochs=15):
    x, xv, y, yv = pynn.datasets.train_test_split(*pynn.datasets.load_digits(), seed=seed)
    pynn.manual_seed(seed)
    model = network([64, 100, 10], pynn.ReLU)
    model.preprocessing = pynn.preprocessing.Standardize(eps=1.0)
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.Adam(2e-3), seed=seed)
    trainer.fit(x, y, epochs=epochs, validation=(xv, yv))
    off = np.abs(model.preprocessing.mean_ - x.mean(axis=0, dtype=np.float64)).max()

    few = yv <= 2
    right = trainer.evaluate(xv[few], yv[few])["accuracy"]
    model.preprocessing = pynn.preprocessing.Standardize(eps=1.0).fit(xv[few])
    wrong = trainer.evaluate(xv[few], yv[few])["accuracy"]
    return {
        "accuracy lost by own statistics": right - wrong,
        "fitted mean off the training mean": off,
        "accuracy, training statistics": right,
        "accuracy, own statistics": wrong,
    }
