"""What the lecture calls Xavier is elsewhere called LeCun; Glorot's own counts both fans."""

import numpy as np

import pynn
from pynn.lecture import Band, experiment


@experiment(
    claim="Xavier has in the lecture std 1/sqrt(fan_in) (elsewhere called LeCun); Glorot's own is "
    "sqrt(2/(fan_in + fan_out)), He's sqrt(2/fan_in).",
    source="CS231n, Neural Networks Part 2, Weight Initialization; Glorot & Bengio 2010; He et al. 2015",
    setup="Matrices 600x200 from pynn.init: their standard deviation over that of the formula.",
    bands=[
        Band("LeCun", 0.99, 1.01, why="five standard errors of 120 000 numbers"),
        Band("Glorot", 0.99, 1.01, why="the same"),
        Band("He", 0.99, 1.01, why="the same"),
    ],
)
def xavier_names(seed):
    rng = np.random.default_rng(seed)
    shape = (600, 200)
    return {
        "LeCun": pynn.init.lecun_normal(shape, rng=rng).std() / (1 / 600) ** 0.5,
        "Glorot": pynn.init.xavier_normal(shape, rng=rng).std() / (2 / 800) ** 0.5,
        "He": pynn.init.he_normal(shape, rng=rng).std() / (2 / 600) ** 0.5,
    }
