"""Few of the dimensions matter."""

from pynn.lecture import Band, experiment
from pynn.lecture.claims.search.random_beats_grid import SPACE, build
from pynn.lecture.data import digits
from pynn.lecture.searching import search_on


@experiment(
    claim="Of the hyperparameters of a network few matter.",
    source="Bergstra & Bengio 2012, section 3",
    setup="The five parameters of random-beats-grid, 60 random trials of 3 epochs: the share of the variance of the "
    "accuracy that each explains (fANOVA).",
    bands=[
        Band("explained by two of five", 0.8, why="'few': two take four fifths"),
        Band("explained by the learning rate", 0.4, why="the one that matters most, says the lecture"),
    ],
    needs="optuna",
    quick={"trials": 8},
    remark="Two of five matter, as claimed. Which of the two matters most depends on where a search happens to look: "
    "for some seeds it is the weight decay.",
)
def few_dimensions_matter(seed, trials=60):
    data = digits(seed)
    shares = search_on(data, build, SPACE, trials=trials, epochs=3, end_early=False, seed=seed).importance()
    return {
        "explained by two of five": sum(sorted(shares.values())[-2:]),
        "explained by the learning rate": shares["lr"],
    } | {f"explained by {name}": share for name, share in shares.items() if name != "lr"}
