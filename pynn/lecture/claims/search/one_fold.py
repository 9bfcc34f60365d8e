"""One validation fold suffices."""

import numpy as np

import pynn
from pynn.lecture import Band, experiment
from pynn.lecture.networks import network

FOLDS = 5


@experiment(
    claim="One validation fold suffices; cross-validation over several folds is not needed.",
    source="CS231n, Neural Networks Part 3, Prefer one validation fold to cross-validation",
    setup="12 random pairs of learning rate and weight decay, 64-64-10 on the digits, 8 epochs; the pair that is best "
    "on one fold of five, and the one best on the mean of all five. Both are trained on all five and compared on a "
    "test part.",
    bands=[
        Band("test accuracy lost by one fold", -0.01, 0.01, why="one standard error of 360 examples at 97%"),
    ],
    quick={"pairs": 2},
    remark="A fold is small here, and for some seeds its choice is off by more than a point, in either direction.",
)
def one_fold(seed, pairs=12):
    x, y = pynn.datasets.load_digits()
    x, test_x, y, test_y = pynn.datasets.train_test_split(x / 16 - 0.5, y, seed=seed)
    rng = np.random.default_rng(seed)
    settings = [(10 ** rng.uniform(-3, 0), 10 ** rng.uniform(-5, -1)) for _ in range(pairs)]

    def accuracy(setting, train, held_out):
        pynn.manual_seed(seed)
        optimizer = pynn.SGD(setting[0], momentum=0.9, weight_decay=setting[1])
        trainer = pynn.Trainer(network([64, 64, 10], pynn.ReLU), pynn.CrossEntropyLoss(), optimizer, seed=seed)
        try:
            trainer.fit(*train, epochs=8)
        except pynn.NonFiniteError:
            return 0.0
        return trainer.evaluate(*held_out)["accuracy"]

    fold = np.arange(len(x)) % FOLDS
    parts = [((x[fold != i], y[fold != i]), (x[fold == i], y[fold == i])) for i in range(FOLDS)]
    scores = np.array([[accuracy(setting, *part) for part in parts] for setting in settings])
    chosen = {"one fold": settings[scores[:, 0].argmax()], "five folds": settings[scores.mean(axis=1).argmax()]}
    test = {name: accuracy(setting, (x, y), (test_x, test_y)) for name, setting in chosen.items()}
    return {"test accuracy lost by one fold": test["five folds"] - test["one fold"]} | {
        f"test accuracy, {name}": value for name, value in test.items()
    }
