"""copy.copy, copy.deepcopy and pickle: what they give works and shares nothing, or they say what to do."""

import copy
import json
import pickle

import numpy as np
import pytest
from training.test_checkpoint import FIT, OPTIMIZERS, AtStep, X, Y, assert_same_run, new_trainer

import pynn
from pynn.nn.state import arrays_of

COPIES = {
    "deepcopy": copy.deepcopy,
    **{f"pickle {protocol}": lambda thing, p=protocol: pickle.loads(pickle.dumps(thing, p)) for protocol in (2, 4, 5)},
}


@pytest.fixture(params=COPIES)
def copied(request):
    return COPIES[request.param]


def arrays_in(thing, seen=None):
    """Yield every array that can be reached from an object."""
    seen = set() if seen is None else seen
    if id(thing) in seen or isinstance(thing, type | str | bytes | int | float | np.dtype):
        return
    seen.add(id(thing))
    if isinstance(thing, np.ndarray):
        yield thing
    elif isinstance(thing, dict):
        for value in thing.values():
            yield from arrays_in(value, seen)
    elif isinstance(thing, list | tuple):
        for value in thing:
            yield from arrays_in(value, seen)
    elif hasattr(thing, "__dict__") and type(thing).__module__.startswith("pynn."):
        yield from arrays_in(vars(thing), seen)


def assert_apart(left, right):
    others = list(arrays_in(right))
    for array in arrays_in(left):
        assert not any(np.shares_memory(array, other) for other in others)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("step", [1, 8])
def test_a_copied_trainer_goes_on_bit_for_bit(optimizer, step, copied, backend):
    whole = new_trainer(optimizer)
    whole.fit(X, Y, **FIT)
    cut = new_trainer(optimizer)
    cut.fit(X, Y, **FIT, callbacks=[AtStep(step, pynn.Trainer.stop)])
    other = copied(cut)
    assert_apart(cut, other)
    assert_same_run(cut, other)
    other.fit(X, Y, validation=FIT["validation"])
    assert_same_run(other, whole)
    assert cut.steps == step
    cut.fit(X, Y, validation=FIT["validation"])
    assert_same_run(cut, whole)


def test_a_trainer_copied_by_its_own_callback_goes_on(copied):
    whole = new_trainer()
    whole.fit(X, Y, **FIT)
    copies = []
    trainer = new_trainer()
    trainer.fit(X, Y, **FIT, callbacks=[AtStep(7, lambda trainer: copies.append(copied(trainer)))])
    assert copies[0].steps == 7
    copies[0].fit(X, Y, validation=FIT["validation"])
    assert_same_run(copies[0], whole)
    assert_same_run(trainer, whole)


def test_settings_of_a_trainer_are_copied(copied):
    trainer = new_trainer(seed=3, clip_norm=None)
    trainer.model[0].freeze()
    trainer.model[4].weight.lr_factor = 0.5
    trainer.optimizer.lr = 0.2
    trainer.note = "mine"
    other = copied(trainer)
    assert other.model[0].weight.frozen and other.model[4].weight.lr_factor == 0.5
    assert (other.optimizer.lr, other.clip_norm, other.clip_value) == (0.2, None, 0.5)
    assert (other.seed, other.note) == (3, "mine")
    for x, y in ((X[:20], Y[:20]), (X[20:50], Y[20:50])):
        assert trainer.step(x, y) == other.step(x, y)
    assert_same_run(trainer, other)


def squares(prediction, target):
    difference = prediction - target
    return float(np.square(difference).mean()), 2 * difference / difference.size


class Mine(pynn.Trainer):
    """A trainer that was made in another way."""

    def __init__(self):
        super().__init__(pynn.Sequential(pynn.Linear(6, 1)), squares, pynn.SGD(0.1))
        self.made = [1]


def test_a_trainer_of_a_class_of_ones_own_with_a_function_as_loss(copied):
    trainer = Mine()
    trainer.step(X, Y[:, None])
    other = copied(trainer)
    assert type(other) is Mine and other.made == [1]
    assert other.step(X, Y[:, None]) == trainer.step(X, Y[:, None])


def test_a_watched_trainer_is_copied_without_the_monitor(copied):
    trainer = new_trainer()
    pynn.Monitor().watch(trainer)
    trainer.step(X, Y)
    other = copied(trainer)
    assert other.observer is None
    assert other.step(X, Y) == trainer.step(X, Y)


def test_copies_train_at_the_same_time():
    trainer = new_trainer()
    trainer.step(X, Y)
    others = [copy.deepcopy(trainer) for _ in range(3)]
    losses = [[t.step(X, Y) for _ in range(5)] for t in (trainer, *others)]
    assert losses.count(losses[0]) == 4


MODEL_CASES = {
    "new": lambda: new_trainer().model,
    "trained": lambda: trained().model,
    "residual": lambda: pynn.Sequential(pynn.Residual(pynn.Sequential(pynn.Linear(6, 6), pynn.BatchNorm1d(6)))),
    "function as init": lambda: pynn.Sequential(pynn.Linear(6, 3, init=lambda shape: np.full(shape, 0.5))),
    "float64": lambda: pynn.Sequential(pynn.Linear(6, 2, dtype="float64")),
}


def trained():
    trainer = new_trainer()
    trainer.model.preprocessing = pynn.preprocessing.Standardize()
    trainer.model.class_names = np.array(["a", "b", "c"])
    trainer.fit(X, Y, epochs=1)
    return trainer


@pytest.mark.parametrize("case", MODEL_CASES)
def test_a_copied_model_is_whole_and_apart(case, copied):
    model = MODEL_CASES[case]()
    other = copied(model)
    assert_apart(model, other)
    np.testing.assert_array_equal(other.predict(X), model.predict(X))
    for layer in (layer for layer in other.all_layers() if isinstance(layer, pynn.Sequential)):
        assert all(inner.owner is layer for inner in layer)
    for array in arrays_of(other).values():
        assert array.dtype is np.dtype(array.dtype.char)
    before = model.state_dict()
    loss = pynn.MSELoss()
    pynn.Trainer(other, loss, pynn.SGD(0.1)).step(X, np.zeros(other.predict(X).shape))
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_an_inner_model_is_copied_without_the_outer_one(copied):
    model = new_trainer().model
    inner = copied(model[-1])
    assert inner.owner is None
    np.testing.assert_array_equal(inner[0].weight, model[-1][0].weight)
    pynn.Trainer(inner, pynn.MSELoss(), pynn.SGD(0.1)).step(np.ones((4, 5)), np.ones((4, 3)))


def test_shallow_copies_say_what_to_do():
    trainer = trained()
    for thing in (trainer, trainer.model, trainer.model[0], trainer.model[1], trainer.model[-1]):
        with pytest.raises(TypeError, match=r"use copy\.deepcopy"):
            copy.copy(thing)
    for thing in (trainer.optimizer,):
        for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="copy the trainer, or make a new one: Adam"):
                attempt(thing)


PLAIN = [
    *(make() for make in OPTIMIZERS.values()),
    *(pynn.ReLU(), pynn.Dropout(0.3), pynn.GELU("tanh"), pynn.MaxPool2d(2)),
    *(pynn.CrossEntropyLoss([1, 2]), pynn.MSELoss("sum"), pynn.BCEWithLogitsLoss()),
    *(pynn.WarmupLR(3, then=pynn.StepLR(2)), pynn.L1(0.1), pynn.MaxNorm(2)),
]


@pytest.mark.parametrize("thing", PLAIN, ids=lambda thing: type(thing).__name__)
@pytest.mark.parametrize("copied", [copy.copy, *COPIES.values()], ids=["copy", *COPIES])
def test_parts_that_serve_no_model_are_copied_in_any_way(thing, copied):
    other = copied(thing)
    assert repr(other) == repr(thing)
    assert_apart(thing, other)


def test_a_monitor_that_has_watched_says_what_to_keep():
    x, y = pynn.datasets.blobs(seed=0)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    monitor = pynn.Monitor()
    assert copy.deepcopy(monitor).verdict == pickle.loads(pickle.dumps(monitor)).verdict == []
    trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(2, 3)), pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    trainer.fit(x, y, epochs=1, callbacks=[monitor])
    for attempt in (copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match=r"cannot be copied or pickled; keep .* monitor.findings, monitor.to_dict"):
            attempt(monitor)
    assert pickle.loads(pickle.dumps(monitor.findings)) == monitor.findings
    json.dumps(monitor.to_dict())
