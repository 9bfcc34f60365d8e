"""Break off a run whose cost exceeds 3 times the initial one."""

import numpy as np

from pynn.lecture import Band, experiment
from pynn.lecture.claims.search.coarse_to_fine import SPACE, build
from pynn.lecture.data import digits
from pynn.lecture.searching import scores, search_on


@experiment(
    claim="A run whose cost exceeds 3 times the initial cost can be broken off.",
    source="CS231n, lecture on training neural networks, part 1: hyperparameter optimization",
    setup="60 random trials of 6 epochs, rates 1e-5 to 10 and weight decays 1e-6 to 1, 64-64-10 on the digits, none "
    "broken off. Those whose mean loss of an epoch exceeds 3 times the first loss, or is not finite: how many of them "
    "end among the better half, and what share of the epochs they take after that.",
    bands=[
        Band("broken off, of the better half", at_most=0.05, why="one good run lost in twenty would be a fair price"),
        Band("epochs saved", 0.05, why="enough to bother"),
    ],
    needs="optuna",
    quick={"trials": 8},
    remark="No good run is lost. What it saves depends on how many rates in the range are far too high: here few.",
)
def break_off_at_3x(seed, trials=60):
    data = digits(seed)
    result = search_on(data, build, SPACE, trials=trials, epochs=6, end_early=False, seed=seed)
    when = [broken_off(trial) for trial in result.trials]
    middle = np.median(scores(result))
    better = [epoch for epoch, trial in zip(when, result.trials, strict=True) if trial.score > middle]
    return {
        "broken off, of the better half": np.mean([epoch < 6 for epoch in better]) if better else 0.0,
        "epochs saved": 1 - np.mean(when) / 6,
        "trials broken off": np.mean(np.array(when) < 6),
    }


def broken_off(trial):
    """Return after how many epochs the trial would be broken off."""
    losses = np.array(trial.history.get("loss", []))
    over = np.flatnonzero(losses > 3 * trial.initial_loss)
    if len(over):
        return over[0] + 1
    return 6 if trial.ended == "finished" else len(losses) + 1
