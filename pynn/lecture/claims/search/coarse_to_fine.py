"""Search from coarse to fine."""

import pynn
from pynn import search
from pynn.lecture import Band, experiment
from pynn.lecture.data import digits
from pynn.lecture.networks import network
from pynn.lecture.searching import search_on

SPACE = {"lr": search.LogUniform(1e-5, 10.0), "weight_decay": search.LogUniform(1e-6, 1.0)}


def build(params):
    """Return the trainer of a trial."""
    optimizer = pynn.SGD(params["lr"], momentum=0.9, weight_decay=params["weight_decay"])
    return pynn.Trainer(network([64, 64, 10], pynn.ReLU), pynn.CrossEntropyLoss(), optimizer)


@experiment(
    claim="Search from coarse to fine: first a few epochs over wide ranges, then longer over narrow ones.",
    source="CS231n, Neural Networks Part 3, Hyperparameter optimization",
    setup="Learning rate 1e-5 to 10 and weight decay 1e-6 to 1 of 64-64-10 on the digits, at most 9 epochs: three "
    "stages from 27 trials of one epoch, against as many trials of 9 epochs as take no fewer epochs in all. "
    "Validation loss of the best.",
    bands=[Band("validation loss, plain over coarse to fine", 1.0, why="for the same work at least as good")],
    needs="optuna",
    quick={"trials": 6},
)
def coarse_to_fine(seed, trials=27):
    data = digits(seed)
    options = {"metric": "val_loss", "end_early": False, "seed": seed}
    fine = search_on(data, build, SPACE, stages=search.coarse_to_fine(trials, 9), **options)
    begun = {trial.number: trial.epochs for trial in fine.trials}
    epochs = sum(trial.epochs - begun.get(trial.continues, 0) for trial in fine.trials)
    plain = search_on(data, build, SPACE, trials=-(-epochs // 9), epochs=9, **options)
    return {
        "validation loss, plain over coarse to fine": plain.best.score / fine.best.score,
        "loss, coarse to fine": fine.best.score,
        "loss, plain": plain.best.score,
        "epochs, coarse to fine": epochs,
    }
