"""Which thread makes batches: one ahead of the training, or the one that called fit; what becomes of generators."""

import contextvars
import multiprocessing
import os
import signal
import sqlite3
import threading
import time
import traceback

import numpy as np
import pytest
from image_runs import AUGMENT, AtStep, X, Y, assert_same, fitted, new_trainer

import pynn

PREFETCH = [None, False, True]


def batches(epoch):
    for start in range(0, 90, 16):
        yield X[start : start + 16], Y[start : start + 16]


def test_the_same_comes_out_whichever_thread_makes_it():
    ahead = [fitted(augment=AUGMENT, prefetch=prefetch) for prefetch in PREFETCH]
    plain = [fitted(prefetch=prefetch) for prefetch in PREFETCH]
    given = []
    for prefetch in PREFETCH:
        given.append(new_trainer(None))
        given[-1].fit(batches, epochs=3, augment=AUGMENT, prefetch=prefetch)
    for runs in (ahead, plain, given):
        assert_same(runs[0], runs[1])
        assert_same(runs[0], runs[2])


def in_main(_=None):
    return threading.current_thread() is threading.main_thread()


@pytest.mark.parametrize(
    ("prefetch", "own", "changes"), [(None, True, False), (False, True, True), (True, False, False)]
)
def test_code_of_ones_own_runs_in_the_calling_thread_unless_told(prefetch, own, changes):
    seen = {"given": set(), "augment": set()}

    def noted(epoch):
        for batch in batches(epoch):
            seen["given"].add(in_main())
            yield batch

    def change(x, rng):
        seen["augment"].add(in_main())
        return x

    new_trainer(None).fit(noted, epochs=2, augment=[change], prefetch=prefetch)
    assert seen == {"given": {own}, "augment": {changes}}


def test_batches_out_of_a_database():
    table = sqlite3.connect(":memory:")  # belongs to this thread
    table.execute("create table t (a real, y int)")
    table.executemany("insert into t values (?, ?)", [(float(i % 5), i % 2) for i in range(64)])

    def rows(epoch):
        cursor = table.execute("select a, y from t")
        while found := cursor.fetchmany(16):
            yield np.array([row[:1] for row in found]), np.array([row[1] for row in found])

    def new():
        return pynn.Trainer(pynn.Sequential(pynn.Linear(1, 2)), pynn.CrossEntropyLoss(), pynn.SGD(0.1))

    for prefetch in (None, False):
        assert len(new().fit(rows, epochs=2, prefetch=prefetch)) == 2
    with pytest.raises(sqlite3.ProgrammingError, match="thread"):
        new().fit(rows, epochs=2, prefetch=True)
    table.close()


@pytest.mark.parametrize("prefetch", PREFETCH)
def test_context_variables_are_those_of_the_caller(prefetch):
    variable = contextvars.ContextVar("variable", default="none")
    variable.set("mine")
    seen = set()

    def noted(epoch):
        seen.add(variable.get())
        yield from batches(epoch)

    def change(x, rng):
        seen.add(variable.get())
        return x

    new_trainer(None).fit(noted, epochs=1, augment=[change], prefetch=prefetch)
    assert seen == {"mine"}


@pytest.mark.parametrize("prefetch", [None, False])
def test_what_belongs_to_a_thread_is_there(prefetch):
    own = threading.local()
    own.batches = list(batches(0))
    assert len(new_trainer(None).fit(lambda epoch: iter(own.batches), epochs=2, prefetch=prefetch)) == 2


@pytest.mark.parametrize("prefetch", PREFETCH)
@pytest.mark.parametrize("how", ["end", "error", "stop", "ctrl-c", "steps", "own"])
def test_a_generator_is_closed_in_the_thread_that_ran_it(how, prefetch):
    closed = []

    def noted(epoch):
        try:
            for index, batch in enumerate(batches(epoch)):
                if how == "own" and index == 3:
                    raise ZeroDivisionError
                yield batch
        finally:
            closed.append(in_main())

    def fail(trainer):
        raise ZeroDivisionError

    actions = {"error": fail, "stop": pynn.Trainer.stop, "ctrl-c": lambda trainer: os.kill(os.getpid(), signal.SIGINT)}
    callbacks = [AtStep(2, actions[how])] if how in actions else []
    trainer = new_trainer(None)
    options = {"epochs": 1, "callbacks": callbacks, "prefetch": prefetch}
    if how in ("error", "own"):
        with pytest.raises(ZeroDivisionError):
            trainer.fit(noted, **options)
    else:
        trainer.fit(noted, steps_per_epoch=4 if how == "steps" else None, **options)
    assert closed == [not prefetch]


@pytest.mark.parametrize("prefetch", PREFETCH)
def test_an_iterator_is_left_open_to_go_on(prefetch):
    def endless():
        while True:
            yield from batches(0)

    iterator, trainer = endless(), new_trainer(None)
    for _ in range(3):
        trainer.fit(iterator, epochs=1, steps_per_epoch=4, prefetch=prefetch)
    assert trainer.steps == 12
    iterator.close()


@pytest.mark.parametrize("prefetch", PREFETCH)
@pytest.mark.parametrize("error", [ZeroDivisionError("mine"), StopIteration("early"), KeyError("x")])
def test_an_error_of_a_generator_comes_when_its_batch_is_due(error, prefetch):
    def broken_generator(epoch):
        yield X[:16], Y[:16]
        yield X[16:32], Y[16:32]
        raise error

    trainer = new_trainer(None)
    expected = RuntimeError if isinstance(error, StopIteration) else type(error)  # as of any generator
    with pytest.raises(expected) as caught:
        trainer.fit(broken_generator, epochs=1, prefetch=prefetch)
    frames = [frame.name for frame in traceback.extract_tb((caught.value.__cause__ or caught.value).__traceback__)]
    assert "broken_generator" in frames
    assert trainer.steps == 2
    trainer.fit(batches, epochs=1, prefetch=prefetch)
    assert trainer.history.epoch == [1]


@pytest.mark.parametrize("prefetch", PREFETCH)
def test_arrays_that_a_generator_uses_again_are_safe(prefetch):
    def again(epoch):
        x, y, weights = np.empty((30, 3, 8, 8), np.float32), np.empty(30, np.int64), np.empty(30, np.float32)
        for i in (0, 30, 60):
            x[...], y[...], weights[...] = X[i : i + 30], Y[i : i + 30], i + 1
            yield x, y, weights
            x[...], y[...], weights[...] = np.nan, 99, -1

    given, whole = new_trainer(None), new_trainer(None)
    given.fit(again, epochs=3, augment=AUGMENT, prefetch=prefetch)
    weights = np.repeat([1.0, 31.0, 61.0], 30)
    whole.fit(X, Y, sample_weight=weights, shuffle=False, batch_size=30, epochs=3, augment=AUGMENT)
    assert_same(given, whole)


def test_a_batch_is_made_while_the_network_trains():
    began = []

    def slowly(epoch):
        for i in range(3):
            began.append((i, threading.current_thread() is threading.main_thread()))
            yield X, Y

    class Wait(pynn.Callback):
        def on_step_end(self, trainer):
            until = time.monotonic() + 10
            while len(began) <= min(trainer.steps, 2) and time.monotonic() < until:
                time.sleep(0.001)
            assert len(began) > min(trainer.steps, 2)

    new_trainer(None).fit(slowly, epochs=1, callbacks=[Wait()], prefetch=True)
    assert began == [(0, False), (1, False), (2, False)]


def test_arrays_in_memory_are_taken_without_a_thread(monkeypatch):
    monkeypatch.setattr("pynn.training.prefetch.Prefetcher", None)
    fitted()


@pytest.mark.parametrize("how", ["error", "stop", "ctrl-c"])
def test_the_thread_ends_however_training_does(how):
    def fail(trainer):
        raise RuntimeError("of a callback")

    def interrupt(trainer):
        os.kill(os.getpid(), signal.SIGINT)

    action = {"error": fail, "stop": pynn.Trainer.stop, "ctrl-c": interrupt}[how]
    trainer = new_trainer()
    if how == "error":
        with pytest.raises(RuntimeError, match="of a callback"):
            fitted(trainer=trainer, augment=AUGMENT, callbacks=[AtStep(3, action)])
    else:
        fitted(trainer=trainer, augment=AUGMENT, callbacks=[AtStep(3, action)])
    assert trainer.steps == 3
    assert trainer.history.interrupted == (how == "ctrl-c")


@pytest.mark.parametrize("prefetch", PREFETCH)
def test_a_second_ctrl_c_does_not_wait_for_a_batch(prefetch):
    release = threading.Event()

    def stuck(epoch):
        yield X, Y
        release.wait(30)
        yield X, Y

    def twice():
        for _ in range(2):
            time.sleep(0.3)
            os.kill(os.getpid(), signal.SIGINT)

    began = time.monotonic()
    threading.Thread(target=twice).start()
    with pytest.raises(KeyboardInterrupt):
        new_trainer(None).fit(stuck, epochs=1, prefetch=prefetch)
    assert time.monotonic() - began < 20
    release.set()
    deadline = time.monotonic() + 10
    while any(t.name.startswith("pynn-batches") for t in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_goes_on_with_a_thread_of_its_own():
    whole = fitted(augment=AUGMENT)
    receive, send = multiprocessing.Pipe(duplex=False)
    children = []

    class Fork(pynn.Callback):
        def on_step_end(self, trainer):
            if trainer.steps == 3:
                children.append(os.fork())

    trainer = fitted(augment=AUGMENT, callbacks=[Fork()])
    if children == [0]:
        try:
            send.send(trainer.history["loss"])
        finally:
            os._exit(0)
    assert receive.poll(60)
    assert receive.recv() == trainer.history["loss"] == whole.history["loss"]
    os.waitpid(children[0], 0)


@pytest.mark.parametrize("prefetch", [True, None])
def test_an_interrupt_while_the_thread_starts_leaves_no_thread(prefetch, monkeypatch):
    class Interrupted(dict):
        def __setitem__(self, thread, queue):
            raise KeyboardInterrupt

    monkeypatch.setattr("concurrent.futures.thread._threads_queues", Interrupted())
    with pytest.raises(KeyboardInterrupt) as held:  # and with it all frames, so that nothing is collected
        fitted(prefetch=prefetch, augment=AUGMENT)
    for thread in threading.enumerate():
        if thread.name.startswith("pynn-batches"):
            thread.join(10)
            assert not thread.is_alive()
    assert held.traceback
