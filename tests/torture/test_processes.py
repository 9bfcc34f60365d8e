"""Processes that fork, spawn and end, and threads in crowds, while kernels run: right results, no hang, nobody left."""

import hashlib
import multiprocessing
import os
import random
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from torture.forking import in_child
from torture.harness import scaled
from torture.subjects import data, differences, new, state

import pynn

BACKENDS = pynn.available_backends()


def trained(seed):
    """Return a digest of a network after a few steps, large enough for kernels to share out their work."""
    pynn.set_num_threads(2)
    rng = np.random.default_rng(seed)
    model = pynn.Sequential(
        pynn.Linear(64, 256), pynn.BatchNorm1d(256), pynn.ReLU(), pynn.Dropout(0.2), pynn.Linear(256, 10)
    )
    for parameter in model.parameters():
        parameter[...] = rng.normal(size=parameter.shape) / 10
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.Adam(), clip_norm=1.0, seed=seed)
    x, y = rng.normal(size=(256, 64)).astype(np.float32), rng.integers(0, 10, 256)
    losses = [trainer.step(x, y) for _ in range(4)]
    return hashlib.sha256(repr((losses, model.flat.values.tobytes())).encode()).hexdigest()


class Crowd:
    """Threads that train until the block ends, each of them checking that nothing disturbs it."""

    def __init__(self, size):
        self.size, self.ended, self.faults = size, threading.Event(), []
        self.rounds = 0

    def __enter__(self):
        self.expected = [trained(seed) for seed in range(self.size)]
        self.threads = [threading.Thread(target=self._train, args=(seed,)) for seed in range(self.size)]
        for thread in self.threads:
            thread.start()
        return self

    def _train(self, seed):
        try:
            while not self.ended.is_set():
                assert trained(seed) == self.expected[seed], f"network {seed} was trained to other weights"
                self.rounds += 1
        except BaseException as error:
            self.faults.append(repr(error))

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join()
        assert not self.faults, self.faults


def forks_beside_training(seed, backend, count):
    """Fork at random moments while kernels run in other threads; train in the children and in the parent."""
    moments = random.Random(seed)
    with pynn.use_backend(backend), Crowd(2) as crowd:
        for number in range(count):
            time.sleep(moments.uniform(0, 0.01))
            assert in_child(trained, number % 2) == crowd.expected[number % 2], f"child {number} has other weights"
    return {"forks": count}


class Forking(pynn.Callback):
    """Forks in the middle of `fit`; the child finishes the run by itself."""

    def __init__(self, steps):
        self.steps, self.child, self.pipe = set(steps), False, None
        self.answers = []

    def on_step_end(self, trainer):
        if self.child or trainer.steps not in self.steps:
            return
        reader, writer = os.pipe()
        if os.fork() == 0:
            self.child, self.pipe = True, writer
            os.close(reader)
        else:
            os.close(writer)
            self.answers.append(reader)


def forks_within_fit(seed, slow, count):
    """Let children of a run that forks go on with it: they come to the same end as the parent."""
    x, y = data("everything")
    augment = [unchanged] if slow else []
    whole = new("everything")
    whole.fit(x, y, epochs=4, batch_size=16, augment=augment)
    digest = repr(sorted((name, repr(value)) for name, value in state(whole).items())).encode()
    forks, steps = 0, random.Random(seed)
    while forks < count:
        trainer, forking = new("everything"), Forking(steps.sample(range(1, 20), 5))
        try:
            trainer.fit(x, y, epochs=4, batch_size=16, augment=augment, callbacks=[forking])
            found = repr(sorted((name, repr(value)) for name, value in state(trainer).items())).encode()
            if forking.child:
                os.write(forking.pipe, b"same" if found == digest else b"else")
        finally:
            if forking.child:
                os._exit(0)
        assert found == digest, "the parent came to another end"
        for reader in forking.answers:
            with os.fdopen(reader, "rb") as answer:
                assert answer.read() == b"same", "a child came to another end"
            os.wait()
        forks += len(forking.answers)
    return {"forks": forks}


def unchanged(x, rng):
    return x


def forks_of_a_generator(seed, count):
    """Let the code that gives the batches fork, in the thread where pynn calls it."""
    expected = trained(0)
    x, y = data("everything")
    forks = 0

    def batches(epoch):
        nonlocal forks
        for start in range(0, 64, 16):
            assert in_child(trained, 0) == expected
            forks += 1
            yield x[start : start + 16], y[start : start + 16]

    whole = new("everything")
    plain = [(x[start : start + 16], y[start : start + 16]) for start in range(0, 64, 16)]
    epochs = -(-count // len(plain))
    whole.fit(plain, epochs=epochs)
    trainer = new("everything")
    trainer.fit(batches, epochs=epochs)
    assert not differences(state(whole), state(trainer))
    return {"forks": forks}


class Pools(pynn.Callback):
    """Trains in a pool of processes at the end of each epoch."""

    def __init__(self, method, expected):
        self.context, self.expected = multiprocessing.get_context(method), expected

    def on_epoch_end(self, trainer):
        with self.context.Pool(2) as pool:
            assert pool.map(trained, range(4)) == self.expected


def pools_within_fit(seed, method, count):
    expected = [trained(seed) for seed in range(4)]
    x, y = data("everything")
    whole, trainer = new("everything"), new("everything")
    epochs = -(-count // 2)
    whole.fit(x, y, epochs=epochs, augment=[unchanged])
    trainer.fit(x, y, epochs=epochs, augment=[unchanged], callbacks=[Pools(method, expected)])
    assert not differences(state(whole), state(trainer))
    return {"forks": 2 * epochs}


def crowds(seed, backend, count):
    """Train 64 networks and predict with one, in 128 threads, while the number of kernels' threads changes."""
    choice = random.Random(seed)
    model = pynn.Sequential(pynn.Linear(64, 300), pynn.BatchNorm1d(300), pynn.GELU(), pynn.Linear(300, 10))
    rows = 16 if backend == "numpy" else 300  # it has no threads of its own, and 127 others wait for the interpreter
    x = np.random.default_rng(0).normal(size=(rows, 64)).astype(np.float32)
    rounds, faults = 0, []

    def predict():
        try:
            assert model.predict(x).tobytes() == prediction
        except BaseException as error:
            faults.append(repr(error))

    with pynn.use_backend(backend):
        prediction = model.predict(x).tobytes()
        with Crowd(64) as crowd:
            for _ in range(count):
                threads = [threading.Thread(target=predict) for _ in range(64)]
                for thread in threads:
                    thread.start()
                    pynn.set_num_threads(choice.randint(1, 5))
                for thread in threads:
                    thread.join()
                rounds += len(threads)
        assert not faults, faults[:3]
    return {"predictions of 64 threads": rounds, "networks trained in 64 threads": crowd.rounds}


#: Ends while threads train, as the first argument tells.
ENDING = """
import sys, threading, time
import numpy as np
import pynn
pynn.set_num_threads(3)
rng = np.random.default_rng(0)
x, y = rng.normal(size=(256, 64)).astype(np.float32), rng.integers(0, 10, 256)
def train():
    trainer = pynn.Trainer(
        pynn.Sequential(pynn.Linear(64, 256), pynn.ReLU(), pynn.Linear(256, 10)), pynn.CrossEntropyLoss(), pynn.Adam()
    )
    trainer.fit(x, y, epochs=10**6, augment=[lambda x, rng: x] if sys.argv[1] == "ahead" else [])
for _ in range(3):
    threading.Thread(target=train, daemon=True).start()
time.sleep(float(sys.argv[2]))
if sys.argv[1] == "error":
    raise SystemExit(0)
"""


def ends_while_training(seed, how, count):
    """End the interpreter while daemon threads train."""
    moments = random.Random(seed)
    for _ in range(count):
        wait = str(moments.uniform(0, 0.2))
        done = subprocess.run(
            [sys.executable, "-X", "faulthandler", "-c", ENDING, how, wait], capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, f"after {wait} s: {done.returncode}, {done.stderr[-3000:]}"
    return {"ends while training": count}


@pytest.mark.parametrize("backend", BACKENDS)
def test_forks_beside_training(torture, backend):
    torture(forks_beside_training, backend=backend, count=scaled(10))


@pytest.mark.parametrize("slow", [False, True], ids=["arrays", "ahead"])
def test_forks_within_fit(torture, slow):
    torture(forks_within_fit, slow=slow, count=scaled(10))


def test_a_generator_of_batches_that_forks(torture):
    torture(forks_of_a_generator, count=scaled(12))


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_pools_within_fit(torture, method):
    torture(pools_within_fit, method=method, count=scaled(2))


@pytest.mark.parametrize("backend", BACKENDS)
def test_more_threads_than_processors(torture, backend):
    torture(crowds, backend=backend, count=scaled(2))


@pytest.mark.parametrize("how", ["end", "error", "ahead"])
def test_the_interpreter_ends_while_threads_train(torture, how):
    torture(ends_while_training, how=how, count=scaled(2))
