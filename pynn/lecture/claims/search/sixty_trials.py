"""60 random trials land in the best 5% of the space with 95% probability."""

import numpy as np

from pynn.lecture import Band, experiment
from pynn.lecture.claims.search.coarse_to_fine import SPACE, build
from pynn.lecture.data import digits
from pynn.lecture.searching import scores, search_on


@experiment(
    claim="60 random trials land in the best 5% of the space with 95% probability.",
    source="Bergstra & Bengio 2012; 1 - 0.95^60 = 95.4%",
    setup="200 random trials of one epoch stand for the space (learning rate and weight decay of 64-64-10 on the "
    "digits); of 4000 searches that draw 60 of them at random, the share with one of the best 10 among them.",
    bands=[
        Band("searches that hit the best 5%", 0.944, 0.964, why="95.4%, and three standard errors of 4000 searches"),
        Band("accuracy lost against the best", at_most=0.02, why="what the best 5% are good for"),
    ],
    needs="optuna",
    quick={"trials": 20},
)
def sixty_trials(seed, trials=200):
    data = digits(seed)
    accuracy = scores(search_on(data, build, SPACE, trials=trials, epochs=1, end_early=False, seed=seed))
    order = np.argsort(-accuracy)
    drawn = np.random.default_rng(seed).integers(0, trials, (4000, 60))
    hit = np.isin(drawn, order[: trials // 20]).any(axis=1)
    return {
        "searches that hit the best 5%": hit.mean(),
        "accuracy lost against the best": accuracy.max() - np.median(accuracy[drawn].max(axis=1)),
    }
