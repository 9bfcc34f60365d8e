"""Saving that is killed, finds the disk full, or happens beside training: the file is the old one or the new one."""

import csv
import itertools
import os
import random
import resource
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from torture.harness import scaled
from torture.subjects import data, differences, new, state

import pynn
from pynn import search
from pynn.search.space import Space
from pynn.search.store import Store
from pynn.search.trial import Trial
from pynn.training.callbacks import CSVLogger

#: Longest wait before a kill, in seconds: a save takes a few milliseconds.
LONGEST = 0.03
#: Epochs of the run beside which is saved.
ENDING = 8


class Model:
    """A model all of whose weights are the version's number."""

    path = Path("model.safetensors")

    def __init__(self):
        self.model = pynn.Sequential(pynn.Linear(200, 200))

    def write(self, version):
        for parameter in self.model.parameters():
            parameter[...] = version
        self.model.save(self.path)

    def read(self):
        return one_of({float(value) for p in pynn.load(self.path).parameters() for value in np.unique(p.data)})


class Checkpoint:
    """A trainer whose weights, optimiser and loss are the version's number."""

    path = Path("run.ckpt")

    def __init__(self):
        model = pynn.Sequential(pynn.Linear(200, 100))
        self.trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.Adam())

    def write(self, version):
        for array in (self.trainer.model.flat.values, *self.trainer.optimizer.state.values()):
            array[...] = version
        self.trainer.last_loss = float(version)
        self.trainer.save(self.path)

    def read(self):
        trainer = pynn.Trainer.resume(self.path)
        arrays = [*(p.data for p in trainer.model.parameters()), *trainer.optimizer.state.values()]
        return one_of({trainer.last_loss, *(float(value) for array in arrays for value in np.unique(array))})


class Log:
    """A CSV log with as many rows as the version's number."""

    path = Path("log.csv")

    def __init__(self):
        model = pynn.Sequential(pynn.Linear(2, 2))
        self.trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD())

    def write(self, version):
        history = self.trainer.history
        while len(history.epoch) < version:
            history.append(len(history.epoch) + 1, {"loss": 0.5, "accuracy": 0.25})
        CSVLogger(self.path).on_epoch_end(self.trainer)

    def read(self):
        header, *rows = csv.reader(self.path.open())
        assert header == ["epoch", "loss", "accuracy"]
        assert rows == [[str(number + 1), "0.5", "0.25"] for number in range(len(rows))]
        return len(rows)


class Trials:
    """A search's store with as many trials as the version's number."""

    path = Path("search/trials.journal")
    SPACE = Space({"lr": search.LogUniform(1e-4, 1.0)})

    def open(self):
        description = {"seed": 0, "python": "", "stages": [[10**9, 1, 0]]}
        return Store(self.path.parent, None, description, self.SPACE, "val_loss", maximize=False)

    def __init__(self):
        self.store = None

    def write(self, version):
        if self.store is None:
            self.store = self.open()
        for number in range(len(self.store.trials), version):
            self.store.add(Trial(number, 0, {"lr": 0.1}, "finished", score=0.5))

    def read(self):
        store = self.open()
        store.close()
        assert sorted(store.trials) == list(range(len(store.trials))), sorted(store.trials)
        return len(store.trials)


WRITERS = {writer.__name__: writer for writer in (Model, Checkpoint, Log, Trials)}


def one_of(versions):
    """Return the only version that all parts of a file are of."""
    assert len(versions) == 1, f"the file holds parts of the versions {sorted(versions)[:5]}"
    return int(versions.pop())


def left_behind():
    return [path for path in Path().rglob("*") if path.suffix == ".part"]


def killed_saves(seed, name, count):
    """Kill a process that saves one version after the other; the path holds a whole one, no older than before."""
    moments = random.Random(seed)
    first = WRITERS[name]()
    first.write(1)
    if name == "Trials":
        first.store.close()  # Optuna keeps an ImportError, whose frames keep the store that imported it
    found = 1
    for number in range(count):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            save_for_ever(name, found, writer)
        os.close(writer)
        try:
            assert os.read(reader, 1), "the process that saves has failed"
            time.sleep(moments.uniform(0, LONGEST))
        finally:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            os.close(reader)
        assert os.WIFSIGNALED(status), f"kill {number}: the process that saves has ended by itself"
        version = WRITERS[name]().read()
        assert version >= found, f"kill {number}: version {version} is found, and was {found} before"
        found = version
    if name != "Trials":
        for version in range(3):
            WRITERS[name]().write(found + version)
        assert not left_behind(), f"parts of killed saves are left: {left_behind()}"
    return {"kills": count}


def save_for_ever(name, first, ready):
    """Save versions from `first` on until somebody kills this process."""
    try:
        signal.alarm(60)  # nobody does if the torture itself has ended
        writer = WRITERS[name]()
        for version in itertools.count(first):
            writer.write(version)
            if version == first:
                os.write(ready, b".")
    finally:
        os._exit(1)


def full_disks(seed, name, count):
    """Let the disk be full after some bytes: OSError, the old version, nothing left behind, and the next save works."""
    room = random.Random(seed)
    writer = WRITERS[name]()
    writer.write(1)
    size = writer.path.stat().st_size
    version, refused = 1, 0
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    for _ in range(count):
        longest = writer.path.stat().st_size if name == "Trials" else 0
        resource.setrlimit(resource.RLIMIT_FSIZE, (longest + room.randrange(size), before[1]))
        try:
            writer.write(version + 1)
        except OSError:
            refused += 1
        else:
            version += 1
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        if name == "Trials":
            writer.store.close()
            writer = WRITERS[name]()
        found = WRITERS[name]().read()
        assert found == version, f"version {found} is found instead of {version}"
        assert not left_behind(), f"a part is left: {left_behind()}"
        version += 1
        writer.write(version)
    assert refused, "the disk was never full"
    return {"full disks": refused}


def check_resumed(path, whole, x, y):
    """Check that a run resumed from a file ends as the whole one did."""
    resumed = pynn.Trainer.resume(path)
    if resumed.epoch < ENDING and resumed.target_epoch:
        resumed.fit(x, y)
        different = differences(state(whole), state(resumed))
        assert not different, f"{path} goes on to another end: {different}"


def saves_beside_training(seed, from_handler, count):
    """Save in another thread, or in a signal's handler, while `fit` runs: what is written goes on to the same end."""
    pauses = random.Random(seed)
    x, y = data("everything", 400)
    whole = new("everything")
    whole.fit(x, y, epochs=ENDING, batch_size=8)
    trainer, written, refused, finished = new("everything"), [], [], threading.Event()

    def save(*_):
        path = f"{len(written)}.ckpt"
        try:
            trainer.save(path)
        except RuntimeError as error:
            refused.append(str(error))
        else:
            written.append(path)
        if from_handler and not finished.is_set():
            signal.setitimer(signal.ITIMER_REAL, pauses.uniform(0.001, 0.01))

    def save_again_and_again():
        while not finished.is_set() and len(written) < count:
            time.sleep(pauses.uniform(0, 0.005))
            save()

    thread = threading.Thread(target=save_again_and_again)
    if from_handler:
        signal.signal(signal.SIGALRM, save)
        signal.setitimer(signal.ITIMER_REAL, 0.01)
    else:
        thread.start()
    trainer.fit(x, y, epochs=ENDING, batch_size=8)
    finished.set()
    if from_handler:
        signal.setitimer(signal.ITIMER_REAL, 0)
    else:
        thread.join()
        assert not refused, f"another thread's save was refused: {refused[0]}"
    assert not differences(state(whole), state(trainer)), "saving has changed the training"
    assert written or refused
    for path in written[:count]:
        check_resumed(path, whole, x, y)
    return {"saves beside training": len(written), "refused in a step": len(refused)}


@pytest.mark.parametrize("name", WRITERS)
def test_killed_while_saving(torture, name):
    torture(killed_saves, name=name, count=scaled(15))


@pytest.mark.parametrize("name", WRITERS)
def test_the_disk_is_full(torture, name):
    torture(full_disks, name=name, count=scaled(10))


@pytest.mark.parametrize("from_handler", [False, True], ids=["thread", "handler"])
def test_saved_beside_training(torture, from_handler):
    torture(saves_beside_training, from_handler=from_handler, count=scaled(20))
