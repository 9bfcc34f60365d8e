"""What `build` may not do, and what it may, as functions that other processes find by name."""
# ruff: noqa: NPY002 - the generators that NumPy shares out are what some are about

import functools
import itertools
import random
import sys

import numpy as np
from search_builds import build, data, network

import pynn

MODEL, LAYER, OPTIMIZER = network({}), pynn.Linear(2, 3), pynn.SGD(0.1)
MODELS = {width: network({"width": width}) for width in (4, 8)}


def trainer(model, lr=0.1, optimizer=None):
    return pynn.Trainer(model, pynn.CrossEntropyLoss(), optimizer or pynn.SGD(lr))


def with_one_model(params):
    return trainer(MODEL, params["lr"])


def with_one_layer(params):
    return trainer(pynn.Sequential(LAYER, pynn.ReLU(), pynn.Linear(3, 3)))


def with_one_layer_in_a_branch(params):
    return trainer(pynn.Sequential(pynn.Concat(LAYER, pynn.Linear(2, 3)), pynn.Linear(6, 3)))


def with_one_optimizer(params):
    return trainer(network({}), optimizer=OPTIMIZER)


@functools.cache
def one_trainer():
    return trainer(network({}))


def with_one_trainer(params):
    return one_trainer()


def with_models_in_turn(params):
    return trainer(next(IN_TURN))


IN_TURN = itertools.cycle([network({}) for _ in range(3)])


def with_a_trained_trainer(params):
    made = build(params | {"lr": 0.1})
    made.fit(*data()[0], epochs=1)
    return made


def by_width(params):
    return trainer(MODELS[params["width"]])


def build_that_looks(params):
    from pynn.search import task
    from pynn.search import trial_runner as training

    held = list(training._held.values())
    if held:
        held[0].train[0][...] = 0
    frame = sys._getframe()
    while frame is not None:  # in the search's own process
        if "data" in frame.f_locals and isinstance(frame.f_locals["data"], task.SearchData):
            frame.f_locals["data"].train[0].fill(0)
        frame = frame.f_back
    return build(params | {"width": 4})


def build_at_random(params):
    """Return a network that draws from all the generators that Python, NumPy and pynn share out."""
    width = 2 + random.randrange(8) + int(np.random.randint(8))
    made = build(params | {"width": width})
    made.model[0].weight[...] += np.random.normal(size=made.model[0].weight.shape)
    return made


def build_and_seed(params):
    np.random.seed(0)
    random.seed(0)
    pynn.manual_seed(0)
    return build(params | {"width": 4})


class UnspeakableError(Exception):
    def __str__(self):
        raise RuntimeError("no words")


def build_badly(params):
    kind = params["kind"]
    if kind == "nothing":
        return None
    if kind == "model":
        return network({})
    if kind == "exit":
        sys.exit("no licence")
    if kind == "unspeakable":
        raise UnspeakableError
    if kind == "memory":
        raise MemoryError
    if kind == "endless":
        raise ValueError("x" * 1_000_000)
    return build({"lr": 0.1})
