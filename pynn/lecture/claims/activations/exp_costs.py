"""Exponentials cost: sigmoid and tanh take longer than ReLU."""

import time

import numpy as np

import pynn
from pynn.lecture import Band, experiment


@experiment(
    claim="A sigmoid's exp costs; ReLU is cheap.",
    source="CS231n, Neural Networks Part 1, Sigmoid and ReLU",
    setup="256x256 float32 numbers, forward: the least of many timings in turn, one thread.",
    bands=[
        Band("time, sigmoid over ReLU", 1.5, why="a difference that can be noticed"),
        Band("time, tanh over ReLU", 1.5, why="a difference that can be noticed"),
    ],
    quick={"rounds": 5},
)
def exp_costs(seed, rounds=300):
    x = np.random.default_rng(seed).normal(size=(256, 256)).astype(np.float32)
    out = np.empty_like(x)
    times = {"relu": [], "sigmoid": [], "tanh": []}
    for _ in range(rounds):
        for name, taken in times.items():
            op = getattr(pynn.ops, name)
            began = time.perf_counter()
            op(x, out=out)
            taken.append(time.perf_counter() - began)
    relu = min(times["relu"])
    return {f"time, {name} over ReLU": min(times[name]) / relu for name in ("sigmoid", "tanh")}
