"""Inference that replays recorded kernel calls gives the same bits as inference op by op, and belongs to its caller."""

import copy
import os
import pickle
import signal
import threading
import time

import numpy as np
import pytest
from training_steps import MODELS, op_by_op

import pynn
from pynn.nn.recording import replayable
from pynn.nn.replays import MAX_RECORDINGS, MAX_ROWS

CALLS = {"predict": lambda model, x: model.predict(x), "model(x)": lambda model, x: model(x)}


def convolutions():
    """A batch norm that inference folds into the convolution's weights, for many images only."""
    return pynn.Sequential(
        pynn.Conv2d(1, 2, 3), pynn.BatchNorm2d(2), pynn.ReLU(), pynn.MaxPool2d(2), pynn.Flatten(), pynn.Linear(8, 3)
    )


def made(model, dtype=np.float32):
    pynn.manual_seed(3)
    return model().astype(dtype)


def inputs(rng, n, dtype=np.float32):
    return [rng.normal(size=(n, 6)).astype(dtype) for _ in range(6)]


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_replays_have_the_bits_of_ops(backend, monkeypatch, rng, dtype, model, call):
    xs = [x for n in (1, 5) for x in inputs(rng, n, dtype)]
    recorded = [call(network, x) for network in [made(model, dtype)] for x in xs]
    with op_by_op(monkeypatch):
        network = made(model, dtype)
        for x, y in zip(xs, recorded, strict=True):
            np.testing.assert_array_equal(call(network, x), y)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_replays_of_convolutions(backend, monkeypatch, rng, call):
    xs = rng.normal(size=(6, 2, 1, 6, 6)).astype(np.float32)
    network = made(convolutions)
    network[1].running_mean[...] = 0.5
    recorded = [call(network, x) for x in xs]
    network[0].weight[...] *= 2
    recorded += [call(network, x) for x in xs]
    with op_by_op(monkeypatch):
        network[0].weight[...] /= 2
        by_op = [call(network, x) for x in xs]
        network[0].weight[...] *= 2
        by_op += [call(network, x) for x in xs]
    np.testing.assert_array_equal(recorded, by_op)


class Counted(pynn.Layer):
    """The identity, which counts how often Python calls it."""

    def __init__(self):
        super().__init__()
        self._calls = 0

    @replayable
    def forward(self, x, ctx):
        self._calls += 1
        return x

    @replayable
    def backward(self, dy, ctx):
        return dy


@pytest.mark.skipif("cython" not in pynn.available_backends(), reason="only compiled kernels are recorded")
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_from_the_third_pass_on_python_is_left_out(rng, call):
    with pynn.use_backend("cython"):
        model = pynn.Sequential(pynn.Linear(6, 8), Counted(), pynn.Linear(8, 3))
        for x in inputs(rng, 4):
            call(model, x)
        assert model[1]._calls == 2
        for x in inputs(rng, 4):
            call(model, x.astype(np.float64))  # converted, then replayed
        assert model[1]._calls == 2
        for x in inputs(rng, MAX_ROWS + 1):
            call(model, x)
        assert model[1]._calls == 2 + 6
        for n in range(1, MAX_RECORDINGS + 2):  # the oldest recordings make room
            for _ in range(2):
                call(model, np.zeros((n, 6), np.float32))
        before = model[1]._calls
        call(model, np.zeros((4, 6), np.float32))
        assert model[1]._calls == before + 1


def test_a_network_that_returns_its_input_returns_the_present_one(backend, rng):
    model = pynn.Sequential(pynn.Flatten(), pynn.Dropout(0.5))
    for x in inputs(rng, 3):
        for call in CALLS.values():
            y = call(model, x)
            np.testing.assert_array_equal(y, x)
            assert not np.shares_memory(x, y)


def changes():
    def slope(model):
        model[1].negative_slope = 0.3

    def weight(model):
        model[0].weight[...] = 0.5

    def state(model):
        model.load_state_dict({name: value + 1 for name, value in model.state_dict().items()})

    def statistics(model):
        model[2].running_mean = np.full(8, 0.25, np.float32)

    def method(model):
        model[4].forward = lambda x, ctx: x - 1

    def dtype(model):
        model.astype(np.float64)

    def container(model):
        pynn.Sequential(model, pynn.Linear(3, 2))
        model[0].weight[...] = 0.5

    return [slope, weight, state, statistics, method, dtype, container]


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("change", changes(), ids=lambda change: change.__name__)
def test_a_change_between_passes_takes_effect(backend, monkeypatch, rng, change, call):
    def outputs():
        model = made(
            lambda: pynn.Sequential(
                pynn.Linear(6, 8), pynn.LeakyReLU(0.1), pynn.BatchNorm1d(8), pynn.Dropout(0.5), pynn.Linear(8, 3)
            )
        )
        before = [call(model, x) for x in xs]
        change(model)
        return before + [call(model, x) for x in xs]

    xs = inputs(rng, 2)
    recorded = outputs()
    assert recorded[0].shape != recorded[6].shape or (recorded[0] != recorded[6]).any()
    with op_by_op(monkeypatch):
        by_op = outputs()
    for a, b in zip(recorded, by_op, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_training_in_between_takes_effect(backend, monkeypatch, rng):
    def outputs():
        model = made(MODELS["batchnorm"])
        trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(lr=0.1))
        ys = []
        for x in xs:
            ys += [model.predict(x[:2]), model(x[:2])]
            trainer.step(x, [0, 1, 2, 0, 1])
            model.train()(x)  # a training pass, which is not replayed, moves the running statistics
            model.eval()
        return ys

    xs = inputs(rng, 5)
    recorded = outputs()
    with op_by_op(monkeypatch):
        np.testing.assert_array_equal(outputs(), recorded)


def test_another_backend_in_between(rng):
    model = made(MODELS["relu"])
    x = inputs(rng, 1)[0]
    for _ in range(3):
        expected = model.predict(x)
    with pynn.use_backend("numpy"):
        np.testing.assert_allclose(model.predict(x), expected, rtol=1e-5)
    np.testing.assert_array_equal(model.predict(x), expected)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_outputs_are_the_callers(backend, rng, call):
    model = made(MODELS["relu"])
    x = inputs(rng, 2)[0]
    outputs = [call(model, x) for _ in range(4)]
    for y in outputs:
        y[...] = 7
    assert (call(model, x) != 7).all()


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_backward_follows_a_replay(backend, monkeypatch, rng, model):
    def gradients():
        network = made(model)
        network(xs[0])
        found = []
        for x in xs:
            dx = network.backward(dy) if np.array_equal(x, xs[0]) else None
            network(x)
            network.predict(x + 1)  # has arrays of its own
            dx = network.backward(dy)
            found.append((dx, network.flat.grads.copy()))
        return found

    xs, dy = inputs(rng, 4), rng.normal(size=(4, 3)).astype(np.float32)
    recorded = gradients()
    with op_by_op(monkeypatch):
        for (dx, grads), (expected, all_expected) in zip(recorded, gradients(), strict=True):
            np.testing.assert_array_equal(dx, expected)
            np.testing.assert_array_equal(grads, all_expected)


def test_an_index_out_of_range_is_named_in_a_replay_too(backend):
    model = pynn.Sequential(pynn.Embedding(4, 3), pynn.Flatten(), pynn.Linear(3, 2))
    for _ in range(4):
        expected = model.predict([[1.0]])
    with pytest.raises(ValueError, match="4"):
        model.predict([[4.0]])
    np.testing.assert_array_equal(model.predict([[1.0]]), expected)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_have_recordings_of_their_own(backend, rng, copied):
    model = made(MODELS["relu"])
    x = inputs(rng, 1)[0]
    for _ in range(3):
        expected = model.predict(x)
    other = copied(model)
    for _ in range(3):
        np.testing.assert_array_equal(other.predict(x), expected)
    other[0].weight[...] = 0
    assert (other.predict(x) != expected).any()
    np.testing.assert_array_equal(model.predict(x), expected)


def test_threads_do_not_mix(backend, rng):
    model = made(MODELS["relu"])
    xs = inputs(rng, 1)
    expected = [model.predict(x) for x in xs]
    wrong = []

    def work(index):
        right = [np.array_equal(model.predict(xs[index]), expected[index]) for _ in range(1000)]
        if not all(right):
            wrong.append(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers")
def test_a_signal_handler_may_predict_during_a_prediction(rng):
    model = made(MODELS["relu"])
    x, other, *_ = inputs(rng, 1)
    expected, expected_of_other, wrong = model.predict(x), model.predict(other), []

    def handler(number, frame):
        if not np.array_equal(model.predict(other), expected_of_other):
            wrong.append(number)
        if time.monotonic() < end:  # no regular timer: where a prediction takes longer, handlers would pile up
            signal.setitimer(signal.ITIMER_REAL, 1e-4)

    before = signal.signal(signal.SIGALRM, handler)
    end = time.monotonic() + 1
    try:
        signal.setitimer(signal.ITIMER_REAL, 1e-4)
        while time.monotonic() < end:
            if not np.array_equal(model.predict(x), expected):
                wrong.append(None)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert wrong == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_replays_what_its_parent_recorded(rng):
    model = made(MODELS["relu"])
    x = inputs(rng, 1)[0]
    for _ in range(3):
        expected = model.predict(x)
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(model.predict(x), expected) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
