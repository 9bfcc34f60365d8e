"""Ctrl-C and its like at any moment: a step is taken as a whole or not at all, and nothing else is lost or changed."""

import copy
import itertools
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from torture.harness import DEADLINE, SEED, scaled
from torture.interruptions import alarmed, chosen, interrupt, places_of
from torture.subjects import KINDS, Undisturbed, batch, data, differences, new, state

import pynn

BACKENDS = pynn.available_backends()


def watched(trainer):
    """Return a monitor that watches the trainer."""
    monitor = pynn.Monitor(on_problem="silent")
    monitor.watch(trainer)
    return monitor


def steps_at_every_place(seed, backend, monitor, count):
    """Interrupt recorded steps, and steps that are being recorded, where Python can be interrupted."""
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    others = random.Random(seed)
    with pynn.use_backend(backend):
        return sum_up(
            interrupted_step(one, place, others.randrange(one.places))
            for kind, recording in itertools.product(KINDS, (False, True))
            for one in [Stepping(kind, monitor, recording)]
            for place in chosen(seed, one.places, count)
        )


class Stepping:
    """A trainer that takes one step after the other, beside one that nothing disturbs."""

    def __init__(self, kind, monitor, recording):
        self.kind, self.monitored, self.recording = kind, monitor, recording
        self.expected = Undisturbed(kind)
        self.begin()
        self.places = places_of(self.step)

    def begin(self):
        self.trainer = new(self.kind)
        self.monitor = watched(self.trainer) if self.monitored else None
        for _ in range(4):
            self.prepare()
            self.step()
        self.prepare()

    def prepare(self):
        self.batch = batch(self.kind, self.trainer.steps)
        if self.recording:
            self.trainer.model[0].note = self.trainer.steps  # a change, after which steps are recorded anew

    def step(self):
        self.trainer.step(*self.batch)

    def check(self):
        self.expected.check(self.trainer)
        if self.monitor is not None:
            check_monitor(self.monitor, self.trainer)


def interrupted_step(one, *places):
    """Interrupt one step or several in a row, take the next, and return what is wrong then."""
    signals, where, what = 0, [], "the interrupted step"
    try:
        one.prepare()
        for place in places:
            before = one.trainer.steps
            one.batch = batch(one.kind, before)
            raised, there = interrupt(one.step, place)
            signals += raised
            where.append(there)
            assert one.trainer.steps in (before, before + 1)
            one.check()
        what = "the step after it"
        one.prepare()
        one.step()
        one.check()
    except Exception as error:
        one.begin()
        return signals, " and ".join(where), f"{what}: {error}"
    return signals, "", None


def sum_up(outcomes):
    """Return how many signals there were; fail with all that went wrong, and where they came then."""
    outcomes, places = list(outcomes), {}
    for _, where, fault in outcomes:
        if fault:
            places.setdefault(fault, set()).add(where)
    wrong = "\n".join(f"{fault}\n    interrupted at {'; '.join(sorted(where))}" for fault, where in places.items())
    assert not wrong, f"{sum(bool(fault) for *_, fault in outcomes)} of {len(outcomes)} interrupts did harm\n{wrong}"
    return {"signals": sum(signals for signals, *_ in outcomes)}


def check_monitor(monitor, trainer):
    """Fail unless the monitor tells of every step at most once, in order."""
    monitor.verdict  # noqa: B018
    steps = np.asarray(monitor.stats.steps)
    assert len(steps), "the monitor has seen nothing"
    assert (np.diff(steps) > 0).all(), f"the monitor tells of steps {steps.tolist()}"
    assert steps[-1] <= trainer.steps


def steps_at_random_moments(seed, backend, count):
    """Let a timer interrupt steps, once or many times in a row."""
    moments, signals = random.Random(seed), 0
    with pynn.use_backend(backend):
        for kind in KINDS:
            batches = [batch(kind, step) for step in range(3)]
            trainer, expected = new(kind), Cycled(kind, batches)

            def step(trainer=trainer, batches=batches):
                trainer.step(*batches[trainer.steps % len(batches)])

            def steps(step=step):
                for _ in range(MANY):
                    step()

            for number in range(count):
                repeated = moments.random() < 0.3
                raised, _ = alarmed(steps, moments, 1e-3, repeated=repeated)
                signals += raised
                if repeated:  # what they have kept a step from tidying up is made up for before it can matter
                    copy.deepcopy(trainer)
                told = f"{kind} on {backend}, interrupt {number}:"
                expected.check(trainer, told)
                step()
                expected.check(trainer, f"{told} the step after it:")
    return {"signals": signals}


class Cycled(Undisturbed):
    """The same with a few batches that come again and again; does not keep what was, as the steps only grow."""

    def __init__(self, kind, batches):
        super().__init__(kind)
        self.batches = batches

    def after(self, steps):
        while self._twin.steps < steps:
            self._twin.step(*self.batches[self._twin.steps % len(self.batches)])
        return state(self._twin)


#: Steps that take longer than a timer waits.
MANY = 100
EPOCHS, BATCH = 2, 16
#: Seconds from which on a call is too slow to be traced, and a timer interrupts it.
SLOW = 0.05


def fit(trainer, kind, **told):
    """Train for the epochs that are to be, or what is left of them."""
    if trainer.target_epoch == 0:
        told["epochs"], told["batch_size"] = EPOCHS, BATCH
    if trainer.epoch < EPOCHS:
        x, y = data(kind)
        trainer.fit(x, y, validation=(x[:9], y[:9]), **told)


def history(trainer):
    """Return the rows of the history without the times."""
    columns = {name: column for name, column in trainer.history.history.items() if name != "seconds"}
    return {"epoch": list(trainer.history.epoch), **columns}


def fits_at_every_place(seed, backend, kind, number, slow, count):
    """Interrupt `fit` where Python can be interrupted, let it finish, and compare with one that was left alone."""
    if number == signal.SIGALRM:
        signal.signal(number, signal.default_int_handler)
    augment = {"augment": [unchanged]} if slow else {}
    with pynn.use_backend(backend):
        whole = new(kind)
        fit(whole, kind, **augment)
        one = new(kind)
        places = places_of(lambda: fit(one, kind, **augment))
        return sum_up(interrupted_fit(whole, place, kind, number, augment) for place in chosen(seed, places, count))


def interrupted_fit(whole, place, kind, number, augment):
    """Interrupt one run, let it finish, and return what is wrong then."""
    trainer = new(kind)
    raised, where = interrupt(lambda: fit(trainer, kind, **augment), place, number)
    try:
        per_epoch = -(-len(data(kind)[0]) // BATCH)
        counted = trainer.epoch * per_epoch + trainer.batches_done
        assert trainer.steps == counted, f"{trainer.steps} steps were taken, and {counted} counted"
        assert len(trainer.history.epoch) == trainer.epoch, f"the history has epochs {trainer.history.epoch}"
        fit(trainer, kind, **augment)
        different = differences(state(whole), state(trainer))
        assert not different, f"these differ from an undisturbed run: {different}"
        assert repr(history(trainer)) == repr(history(whole)), f"{history(trainer)} instead of {history(whole)}"
    except Exception as error:
        return 1, where, str(error)
    return int(raised or number == signal.SIGINT), where, None


def unchanged(x, rng):
    """Augment by nothing: batches are made in a thread of their own then."""
    return x


def other_calls_at_every_place(seed, backend, call, count):
    """Interrupt what does not train: it leaves the trainer as it was, and gives the same when called again."""
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    x, y = data("everything")
    with pynn.use_backend(backend):
        trainer = new("everything")
        trainer.fit(x, y, epochs=1)
        trainer.save("before.ckpt")
        calls = {
            "evaluate": lambda: trainer.evaluate(x, y),
            "predict": lambda: trainer.model.predict(x, batch_size=16).tobytes(),
            "save": lambda: saved(trainer),
            "load": lambda: state(pynn.Trainer.resume("before.ckpt")),
            "preflight": lambda: [str(check) for check in pynn.preflight(trainer, x, y).checks],
        }
        work = calls[call]
        expected, before = repr(work()), state(trainer)
        began = time.perf_counter()
        work()
        longest = time.perf_counter() - began
        if longest > SLOW:
            moments = random.Random(seed)
            ways = [partial(alarmed, work, moments, longest) for _ in range(count)]
        else:
            ways = [partial(interrupt, work, place) for place in chosen(seed, places_of(work), count)]
        return sum_up(interrupted_call(trainer, before, work, expected, way) for way in ways)


def interrupted_call(trainer, before, work, expected, way):
    """Interrupt one call, call again, and return what is wrong then."""
    raised, where = way()
    try:
        assert not differences(before, state(trainer)), f"it changed {differences(before, state(trainer))}"
        if Path("saved.ckpt").exists():
            assert not differences(before, state(pynn.Trainer.resume("saved.ckpt"))), "the checkpoint is another"
        again = repr(work())
        assert again == expected, f"the next call gives {again[:300]} instead of {expected[:300]}"
        assert not list(Path().glob(".*.part")), "a part of a file is left behind"
    except Exception as error:
        return 1, where, str(error)
    return int(raised), where, None


def saved(trainer):
    trainer.save("saved.ckpt")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "term"])
def test_the_command_line_saves_what_there_is(tmp_path, record_property, number):
    """Tell `pynn train` to end, at a random moment after its first epoch."""
    moments, count = random.Random(SEED), scaled(3)
    command = [sys.executable, "-c", "from pynn.cli import main; main()", "train", "--epochs", "100000"]
    for turn in range(count):
        model = tmp_path / f"{turn}.safetensors"
        process = subprocess.Popen(
            [*command, "--save", str(model)], cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        try:
            first = [next(process.stdout)]
            while "loss" not in first[-1]:
                first.append(next(process.stdout))
            time.sleep(moments.uniform(0, 0.3))
            process.send_signal(number)
            told = "".join(first) + process.communicate(timeout=DEADLINE)[0]
        finally:
            process.kill()
        assert "Traceback" not in told, told[-3000:]
        assert model.exists(), f"no model, exit code {process.returncode}: {told[-1000:]}"
        pynn.load(model)
        assert not list(tmp_path.glob(".*.part"))
    record_property("signals", count)


@pytest.mark.parametrize("monitor", [False, True], ids=["alone", "watched"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_step_is_taken_wholly_or_not_at_all(torture, backend, monitor):
    torture(steps_at_every_place, backend=backend, monitor=monitor, count=scaled(10))


@pytest.mark.parametrize("backend", BACKENDS)
def test_steps_survive_a_timer(torture, backend):
    torture(steps_at_random_moments, backend=backend, count=scaled(30))


@pytest.mark.parametrize("slow", [False, True], ids=["arrays", "ahead"])
@pytest.mark.parametrize("number", [signal.SIGALRM, signal.SIGINT], ids=["alarm", "ctrl-c"])
def test_fit_goes_on_where_it_was_interrupted(torture, number, slow):
    torture(fits_at_every_place, backend=BACKENDS[0], kind="everything", number=number, slow=slow, count=scaled(40))


@pytest.mark.parametrize("call", ["evaluate", "predict", "save", "load", "preflight"])
def test_what_does_not_train_changes_nothing(torture, call):
    torture(other_calls_at_every_place, backend=BACKENDS[0], call=call, count=scaled(10))
