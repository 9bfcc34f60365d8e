"""Ranks that differ, fail or die: ``mpirun -n N python faults.py WHAT [FAULT ...]``."""

import contextlib
import errno
import os
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from unittest import mock

import numpy as np
from mpi4py import MPI
from runs import dense, normed, table, tell

import pynn
from pynn.training import shared

comm = MPI.COMM_WORLD
odd = comm.Get_rank() == 1


def trainer_of(model, seed=0, **options):
    return pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.05), seed=seed, comm=comm, **options)


def differs(*faults):
    """Train with one rank that is not like the others, in one way after the other; all must raise each time."""
    version = "9.9" if odd else metadata.version("pynn-kernels")
    for fault in faults:
        with contextlib.ExitStack() as as_before:
            if fault == "version":
                as_before.enter_context(mock.patch.object(metadata, "version", lambda name: version))
            if fault == "backend":
                as_before.enter_context(pynn.use_backend("numpy" if odd else "cython"))
            differ(fault)


def differ(fault):
    x, y = table()
    if fault == "data" and odd:
        x[5] += 1e-9
    if fault == "rows" and odd:
        x[3, 1] = np.nan
    model = dense(
        pynn.ReLU(), *([pynn.Dropout(0.1), pynn.Linear(12, 12, dtype="float64")] * (fault == "network" and odd))
    )
    try:
        if fault == "not a communicator":
            pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(), comm=5)
        trainer = trainer_of(model, seed=int(fault == "seed" and odd))
        if fault == "weights" and odd:
            model[0].weight[0, 0] += 1
        trainer.fit(x, y, epochs=1)
    except (RuntimeError, ValueError, TypeError) as error:
        tell(f"{fault} refused:", error)


def fails(fault):
    """Save a checkpoint, then fail on one rank."""

    class Fault(pynn.Callback):
        def on_epoch_end(self, trainer):
            trainer.save("run.ckpt")
            if odd and trainer.epoch == 2 and fault == "callback":
                raise ValueError("a fault of this rank")

    x, y = table()
    trainer = trainer_of(normed())
    trainer.fit(x, y, epochs=2, callbacks=[Fault()])
    if fault == "label":
        for step in range(5):
            trainer.step(x, np.where(odd and step == 4, 7, y))
    if fault == "uncaught" and odd:
        raise KeyError("nobody catches it")
    trainer.fit(x, y, epochs=1)


def changes():
    """Change weights on one rank in the middle of a run."""

    class Change(pynn.Callback):
        def on_epoch_end(self, trainer):
            if odd:
                trainer.model[0].weight[0, 0] += 1e-6

    trainer_of(dense()).fit(*table(), epochs=2, callbacks=[Change()])


def supplies(*faults):
    """Supply one rank with other minibatches than the others, in one way after the other; all must raise each time."""
    x, y = table()
    for fault in faults:
        rows = np.arange(40).reshape(5, 8)
        if odd:
            rows = {"other": rows + 1, "fewer": rows[:4], "smaller": rows[:, :6], "steps": rows + 1}[fault]
        trainer = trainer_of(normed())
        try:
            if fault == "steps":
                trainer.step(x[rows[0]], y[rows[0]])
            else:
                trainer.fit([(x[part], y[part]) for part in rows], epochs=2)
        except RuntimeError as error:
            tell(f"{fault} refused:", error)


def diverges():
    x, _ = table()
    trainer = pynn.Trainer(dense(), pynn.MSELoss(), pynn.SGD(1e200), comm=comm)
    try:
        trainer.fit(x, np.stack([x.sum(axis=1)] * 3, axis=1), epochs=3)
    except pynn.NonFiniteError:
        tell("NonFiniteError")


def endless():
    """Train until killed, and save after each epoch."""
    tell("process", os.getpid())
    x, y = table()
    trainer = trainer_of(normed())
    trainer.fit(x, y, epochs=10**6, callbacks=[pynn.ModelCheckpoint("run.ckpt", None, whole=True)])


def resuming(epochs):
    """Train for so many epochs, and save after each; continue from the last checkpoint if there is one."""
    tell("process", os.getpid())
    x, y = table()
    if os.path.exists("run.ckpt"):
        trainer = pynn.Trainer.resume("run.ckpt", comm=comm)
    else:
        trainer = trainer_of(dense(pynn.BatchNorm1d(12, dtype="float64"), pynn.ReLU(), pynn.Dropout(0.2)))
    if trainer.epoch < int(epochs):
        more = None if trainer.epoch else int(epochs)
        trainer.fit(x, y, epochs=more, callbacks=[pynn.ModelCheckpoint("run.ckpt", None, whole=True)])


def unsynced():
    """Norms of each rank's own rows, compared with PyTorch's on the same rows."""
    import torch

    x, y = table()
    x, y = x[:16], y[:16]
    model = pynn.Sequential(
        pynn.Linear(6, 5, dtype="float64"), pynn.BatchNorm1d(5, sync=False, dtype="float64"),
        pynn.Linear(5, 3, dtype="float64"),
    )  # fmt: skip
    # Clipping needs the gradient of all parameters; without it, a rank sums that of the part which it updates.
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.0), clip_norm=1e9, comm=comm)
    twin = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.BatchNorm1d(5), torch.nn.Linear(5, 3)).double()
    with torch.no_grad():
        for layer, other in ((0, 0), (2, 2)):
            twin[other].weight.copy_(torch.tensor(np.asarray(model[layer].weight).T.copy()))
            twin[other].bias.copy_(torch.tensor(np.asarray(model[layer].bias)))
    means = np.zeros(5)
    for rows in (slice(0, 8), slice(8, 16)):
        twin[1].reset_running_stats()
        torch.nn.functional.cross_entropy(
            twin(torch.tensor(x[rows])), torch.tensor(y[rows]), reduction="sum"
        ).backward()
        means += twin[1].running_mean.numpy() / 2
    trainer.step(x, y)
    np.testing.assert_allclose(model[0].weight.grad, twin[0].weight.grad.numpy().T / 16, rtol=0, atol=1e-13)
    np.testing.assert_allclose(model[1].running_mean, means, rtol=1e-12)
    tell("agrees with PyTorch")


def crowded():
    """Train in shared memory, and where rank 1 finds no room in it: the same bits."""

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    x, y = table()
    found = []
    shared.FOLDER = tempfile.mkdtemp(dir=shared.FOLDER)  # without files of other processes, which may have been killed
    for room in (True, False):
        if odd and not room:
            os.posix_fallocate = full
        pynn.manual_seed(0)
        trainer = pynn.Trainer(normed(), pynn.CrossEntropyLoss(), pynn.Adam(0.01), clip_norm=0.5, comm=comm)
        trainer.fit(x, y, epochs=3, batch_size=8)
        assert (trainer._step.exchange._host is not None) == room
        found.append([trainer.model.flat.values, *trainer.optimizer.state.values()])
    for together, apart in zip(*found, strict=True):
        np.testing.assert_array_equal(together, apart)
    comm.Barrier()
    Path(shared.FOLDER).rmdir()  # it is empty
    tell("same bits")


def compressed(kind):
    x, y = table()
    pynn.manual_seed(0)
    model = pynn.Sequential(pynn.Linear(6, 64), pynn.Tanh(), pynn.Linear(64, 3))
    trainer = trainer_of(model, compression=None if kind == "none" else kind)
    history = trainer.fit(x, y, epochs=20, batch_size=8)
    assert len({bits.tobytes() for bits in comm.allgather(model.flat.values)}) == 1
    if comm.Get_rank() == 0:
        tell(history["loss"][-1])


if __name__ == "__main__":
    pynn.manual_seed(0)
    globals()[sys.argv[1]](*sys.argv[2:])
