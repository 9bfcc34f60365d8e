"""A step is taken wholly or not at all: whatever ends it, and wherever a signal's handler raises."""

import itertools
import linecache
import signal
import sys
import threading

import numpy as np
import pytest

import pynn
from pynn.utils.interrupt import InterruptGuard

X = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
Y = np.arange(6) % 3


class Fails(pynn.Layer):
    """Passes everything on, until it is told to fail."""

    forward_fails = backward_fails = False

    def forward(self, x, ctx):
        if self.forward_fails:
            raise MemoryError("no memory")
        return x

    def backward(self, dy, ctx):
        if self.backward_fails:
            raise MemoryError("no memory")
        return dy


class FailsHalfway(pynn.optim.Optimizer):
    """Moves half of the parameters, and may fail then."""

    state_names = ("moved",)
    fails = False

    def __init__(self):
        super().__init__(0.1, 0.0, True)

    def update(self, flat, bounds, rates, grad_scale):
        self.state["moved"][...] += 1
        flat.values[: len(flat.values) // 2] -= 0.1
        if self.fails:
            raise MemoryError("no memory")
        flat.values[len(flat.values) // 2 :] -= 0.1


def make_trainer(optimizer=None, *middle, **settings):
    pynn.manual_seed(0)
    model = pynn.Sequential(
        pynn.Linear(4, 5), pynn.BatchNorm1d(5), pynn.ReLU(), *middle, pynn.Dropout(0.3), pynn.Linear(5, 3)
    )
    return pynn.Trainer(model, pynn.CrossEntropyLoss(), optimizer or pynn.Adam(0.05), **settings)


def snapshot(trainer):
    """Return copies of everything that a step moves."""
    return {
        **trainer.model.state_dict(),
        **{f"optimizer.{name}": array.copy() for name, array in trainer.optimizer.state.items()},
        "updates": trainer.optimizer.steps,
        "steps": trainer.steps,
        "random": (trainer.progress_state()["random"]["seed"], trainer.progress_state()["random"]["offset"]),
        "last_loss": trainer.last_loss,
        "lr": trainer.lr,
    }


def assert_same(found, expected):
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


@pytest.mark.parametrize("part", ["forward_fails", "backward_fails"])
def test_a_layer_that_fails_leaves_everything_as_it_was(backend, part):
    layer = Fails()
    trainer = make_trainer(None, layer)
    trainer.step(X, Y)
    before = snapshot(trainer)
    setattr(layer, part, True)
    with pytest.raises(MemoryError):
        trainer.step(X, Y)
    assert_same(snapshot(trainer), before)
    setattr(layer, part, False)
    trainer.step(X, Y)
    assert trainer.steps == 2


def test_an_update_that_fails_half_way_is_taken_back(backend):
    optimizer = FailsHalfway()
    trainer = make_trainer(optimizer)
    trainer.step(X, Y)
    before = snapshot(trainer)
    optimizer.fails = True
    with pytest.raises(MemoryError):
        trainer.step(X, Y)
    assert_same(snapshot(trainer), before)


def test_a_regulariser_that_fails_leaves_everything_as_it_was(backend):
    class Fails(pynn.optim.Regularizer):
        def add_gradient(self, flat):
            raise MemoryError("no memory")

    trainer = make_trainer(regularizers=[Fails()])
    before = snapshot(trainer)
    with pytest.raises(MemoryError):
        trainer.step(X, Y)
    assert_same(snapshot(trainer), before)


def test_a_limit_that_fails_takes_the_update_back(backend):
    class Fails(pynn.optim.Regularizer):
        fails = False

        def constrain(self, flat):
            flat.values[:3] = 0
            if self.fails:
                raise MemoryError("no memory")

    limit = Fails()
    trainer = make_trainer(regularizers=[limit])
    trainer.step(X, Y)
    before = snapshot(trainer)
    limit.fails = True
    with pytest.raises(MemoryError):
        trainer.step(X, Y)
    assert_same(snapshot(trainer), before)


#: Where CPython looks for signals while pynn's code runs: as functions begin, and as calls of C functions return.
MOMENTS = ("call", "c_return")


def interrupted(action, moment, handler=signal.default_int_handler):
    """Run `action()` and send a signal at that moment, whose handler raises; return whether it came to that."""
    seen = itertools.count()
    sent = False

    def profile(frame, event, argument):
        nonlocal sent
        ours = frame.f_globals.get("__name__", "").startswith("pynn.")
        if ours and event in MOMENTS and next(seen) == moment:
            sys.setprofile(None)
            sent = True
            signal.raise_signal(signal.SIGALRM)

    previous = signal.signal(signal.SIGALRM, handler)
    try:
        sys.setprofile(profile)
        action()
    except KeyboardInterrupt:
        pass
    finally:
        sys.setprofile(None)
        signal.signal(signal.SIGALRM, previous)
    return sent


#: Of an interrupt in a generator that is being closed, which CPython reports and drops.
unraisable = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

SETTINGS = {
    "plain": {},
    "clipped": {"clip_norm": 0.1, "clip_value": 1.0},
    "limited": {"regularizers": [pynn.optim.L2(0.01), pynn.optim.MaxNorm(0.5)]},
    "scheduled": {"schedule": pynn.optim.ExponentialLR(0.9, by="step")},
    "watched": {},
}


@unraisable
@pytest.mark.parametrize("settings", SETTINGS)
def test_an_interrupt_at_any_moment_of_a_step(backend, settings):
    """Each step is interrupted at a later moment; what results is always a state of an undisturbed run."""
    undisturbed = make_trainer(**SETTINGS[settings])
    trainer = make_trainer(**SETTINGS[settings])
    if settings == "watched":
        pynn.Monitor(on_problem="silent").watch(trainer)
    for each in (undisturbed, trainer):
        each.step(X, Y)  # later steps are recorded where they can be
    for moment in itertools.count():
        steps, before = trainer.steps, snapshot(trainer)
        ended = interrupted(lambda: trainer.step(X, Y), moment)
        if trainer.steps == steps:
            assert_same(snapshot(trainer), before)
        else:
            undisturbed.step(X, Y)
            assert_same(snapshot(trainer), snapshot(undisturbed))
        if not ended:
            break
        if moment % 3 == 0:  # and the trainer is not busy
            trainer.step(X, Y)
            undisturbed.step(X, Y)
            assert_same(snapshot(trainer), snapshot(undisturbed))
    assert moment > 10


@unraisable
def test_an_interrupt_at_any_moment_of_a_fit_can_be_gone_on_from(backend):
    """What is left of the run after the interrupt brings it to where an undisturbed one ends."""
    expected = make_trainer()
    expected.fit(X, Y, epochs=3, batch_size=4)
    for moment in itertools.count(0, 23):
        trainer = make_trainer()
        ended = interrupted(lambda: trainer.fit(X, Y, epochs=3, batch_size=4), moment)  # noqa: B023
        if trainer.target_epoch == 0:  # the run had not begun
            trainer.fit(X, Y, epochs=3, batch_size=4)
        elif trainer.epoch < 3:
            trainer.fit(X, Y)
        assert_same(snapshot(trainer), snapshot(expected))
        with pytest.raises(KeyboardInterrupt):  # Ctrl-C is not taken for that of a run that is over
            signal.raise_signal(signal.SIGINT)
        if not ended:
            break
    assert moment > 100


@unraisable
def test_an_interrupt_as_a_guard_begins_or_ends_leaves_ctrl_c_as_it_was():
    def guarded():
        with InterruptGuard():
            pass

    for moment in itertools.count():
        ended = interrupted(guarded, moment)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        if not ended:
            break
    assert moment >= 5


@pytest.mark.parametrize("begun", ["step", "fit", "save"])
@pytest.mark.parametrize("handled", ["step", "save"])
def test_a_handler_that_steps_or_saves_waits_for_nothing(tmp_path, begun, handled):
    """In the middle of a step or a save, a handler of the same thread is served or refused, but never waits for it."""
    trainer = make_trainer()
    actions = {
        "step": lambda: trainer.step(X, Y),
        "fit": lambda: trainer.fit(X, Y, epochs=2, batch_size=4),
        "save": lambda: trainer.save(tmp_path / "saved"),
    }
    served = refused = 0

    def handle(*_):
        nonlocal served, refused
        try:
            trainer.step(X, Y) if handled == "step" else trainer.save(tmp_path / "handled")
            served += 1
        except RuntimeError:
            refused += 1

    def give_up(*_):
        raise AssertionError(f"the handler hangs at moment {moment}")

    before = signal.signal(signal.SIGUSR1, give_up)
    watchdog = threading.Timer(60, signal.pthread_kill, (threading.get_ident(), signal.SIGUSR1))
    watchdog.start()
    try:
        for moment in itertools.count(0, 1 if begun == "step" else 29):
            trainer = make_trainer()
            trainer.step(X, Y)
            if not interrupted(actions[begun], moment, handle):
                break
    finally:
        watchdog.cancel()
        signal.signal(signal.SIGUSR1, before)
    assert moment > 10 and served > 0
    assert refused > 0 or (begun, handled) == ("save", "save")


def test_a_trainer_is_not_busy_after_interrupts(backend):
    trainer = make_trainer()
    trainer.step(X, Y)
    previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for delay in np.random.default_rng(0).uniform(1e-5, 5e-4, 100):
            try:
                signal.setitimer(signal.ITIMER_REAL, delay)
                while True:
                    trainer.step(X, Y)
            except KeyboardInterrupt:
                pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    trainer.step(X, Y)


@pytest.mark.parametrize("line", range(60))
def test_an_epoch_ends_wholly_or_not_at_all(line):
    """An exception of a handler at any place near the end of an epoch leaves as many rows as epochs."""
    trainer, count = make_trainer(None), itertools.count()

    def trace(frame, event, argument):
        # Handlers run when a call returns: never just before the call of `discard`, with which a `finally` begins.
        begins = "discard" in linecache.getline(frame.f_code.co_filename, frame.f_lineno)
        if frame.f_code.co_name in ("end_epoch", "additions", "call_together") and not begins and next(count) == line:
            raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        trainer.fit(X, Y, epochs=2, batch_size=3)
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(None)
    rows = trainer.history.history
    assert {trainer.epoch} == {len(trainer.history), *map(len, rows.values())}
    trainer.fit(X, Y, epochs=2, batch_size=3)
    assert trainer.epoch == len(trainer.history) and trainer.epoch in (2, 3, 4)


def test_two_steps_at_a_time_are_refused():
    class StepsAgain(pynn.Layer):
        def forward(self, x, ctx):
            with pytest.raises(RuntimeError, match="one step at a time"):
                trainer.step(X, Y)
            return x

        def backward(self, dy, ctx):
            return dy

    trainer = make_trainer(None, StepsAgain())
    trainer.step(X, Y)
    assert trainer.steps == 1


def test_a_save_in_the_middle_of_a_step_is_refused(tmp_path):
    class Saves(pynn.Layer):
        def forward(self, x, ctx):
            for save in (trainer.save, trainer.model.save):
                with pytest.raises(RuntimeError, match=r"trainer\.stop"):
                    save(tmp_path / "m")
            return x

        def backward(self, dy, ctx):
            return dy

    trainer = make_trainer(None, Saves())
    trainer.step(X, Y)
    assert list(tmp_path.iterdir()) == []


def test_saves_of_another_thread_are_states_between_two_steps(tmp_path, backend):
    """Each checkpoint that was written while a fit ran goes on to the same end."""
    x, y = np.tile(X, (20, 1)), np.tile(Y, 20)
    trainer, done, paths = make_trainer(), threading.Event(), []

    def save():
        while not done.is_set() and len(paths) < 20:
            path = tmp_path / f"{len(paths)}.ckpt"
            trainer.save(path)
            paths.append(path)

    thread = threading.Thread(target=save)
    thread.start()
    trainer.fit(x, y, epochs=8, batch_size=8)
    done.set()
    thread.join()
    end = snapshot(trainer)
    assert paths
    for path in paths:
        resumed = pynn.Trainer.resume(path)
        if resumed.target_epoch == 0:
            continue  # saved before the run began
        if resumed.epoch < 8:
            resumed.fit(x, y)
        assert_same(snapshot(resumed), end)


def test_a_callback_may_wait_for_another_thread_to_save(tmp_path):
    class SavesElsewhere(pynn.Callback):
        def on_step_end(self, trainer):
            thread = threading.Thread(target=trainer.save, args=(tmp_path / "c.ckpt",))
            thread.start()
            thread.join(60)
            assert not thread.is_alive()

    trainer = make_trainer()
    trainer.fit(X, Y, epochs=2, callbacks=[SavesElsewhere()])
    assert pynn.Trainer.resume(tmp_path / "c.ckpt").steps == 2
