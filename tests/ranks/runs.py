"""Training runs whose result must not depend on the number of ranks: ``mpirun -n N python runs.py FILE [NAME ...]``."""

import os
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from mpi4py import MPI

import pynn
from pynn.training.ranks import Ranks
from pynn.training.shared import SMALL

WIDE = {"dtype": "float64"}

if "RANKS_PER_HOST" in os.environ:  # as if these ranks saw no memory of the others
    Ranks._of_this_host = lambda ranks: ranks.comm.Split(ranks.rank // int(os.environ["RANKS_PER_HOST"]), ranks.rank)


def table(rows=104, weighted=False):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(rows, 6)), rng.integers(0, 3, rows)
    return (x, y, rng.uniform(0.1, 2, rows)) if weighted else (x, y)


def dense(*middle):
    return pynn.Sequential(pynn.Linear(6, 12, **WIDE), *middle, pynn.Linear(12, 3, **WIDE))


def normed():
    return dense(pynn.BatchNorm1d(12, **WIDE), pynn.ReLU())


def wide():
    """Statistics larger than a board, and gradients of more than one piece."""
    return pynn.Sequential(
        pynn.Linear(6, SMALL, **WIDE), pynn.BatchNorm1d(SMALL, **WIDE), pynn.ReLU(), pynn.Linear(SMALL, 32, **WIDE)
    )


def images(*middle):
    return pynn.Sequential(
        pynn.Conv2d(1, 4, 3, padding=1, **WIDE), pynn.BatchNorm2d(4, **WIDE), pynn.ReLU(), *middle,
        pynn.MaxPool2d(2), pynn.Flatten(), pynn.Linear(36, 3, **WIDE),
    )  # fmt: skip


def sequences():
    return pynn.Sequential(
        pynn.Unflatten(1, (1, 6)), pynn.Conv1d(1, 4, 3, **WIDE), pynn.BatchNorm1d(4, **WIDE), pynn.Flatten(),
        pynn.Linear(16, 3, **WIDE),
    )  # fmt: skip


def fitted(comm, model, optimizer=None, loss=None, data=None, batch=8, epochs=8, settings=None, **options):
    """Train for about 100 steps; return the trainer, whose state is compared."""
    x, y, *weights = data or table()
    trainer = pynn.Trainer(
        model, loss or pynn.CrossEntropyLoss(), optimizer or pynn.SGD(0.05, momentum=0.9), comm=comm, **(settings or {})
    )
    options.setdefault("validation", (x[:37], y[:37]))
    trainer.fit(x, y, sample_weight=weights[0] if weights else None, epochs=epochs, batch_size=batch, **options)
    return trainer


class WholeGradient(pynn.Optimizer):
    """Steps of a length that does not depend on the gradient's: no update of elements by themselves."""

    def __init__(self, lr=0.01):
        super().__init__(lr, 0.0, True)

    def update(self, flat, bounds, rates, grad_scale):
        flat.values -= rates[0, 0] * flat.grads / np.linalg.norm(flat.grads)


def squares():
    x, _ = table()
    return x, np.stack([x[:, 0] ** 2, x[:, 1] * x[:, 2], x.sum(axis=1)], axis=1)


def pictures():
    x, y = table()
    return np.random.default_rng(1).normal(size=(len(x), 1, 6, 6)), y


def mapped(comm):
    x, y = table()
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "x.npy", x)
        return fitted(comm, normed(), data=(np.load(Path(folder) / "x.npy", mmap_mode="r"), y))


def supplied(comm):
    x, y, w = table(weighted=True)
    cut = [slice(first, first + size) for first, size in zip(range(0, 100, 10), (10, 3, 7, 1, 10) * 2, strict=True)]
    trainer = pynn.Trainer(normed(), pynn.CrossEntropyLoss(), pynn.Adam(0.01), comm=comm)
    trainer.fit([(x[part], y[part], w[part]) for part in cut if part.stop - part.start > 1], epochs=10)
    return trainer


def by_hand(comm):
    x, y, w = table(weighted=True)
    trainer = pynn.Trainer(normed(), pynn.CrossEntropyLoss(), pynn.Adam(0.01), comm=comm)
    for step in range(100):
        part = slice(step, step + (9 if step % 3 else 3))
        trainer.step(x[part], y[part], w[part])
    return trainer


def alone_afterwards(comm):
    """Each rank goes on by itself, with all of the optimiser's state."""
    together = fitted(comm, normed(), pynn.Adam(0.01), epochs=4)
    alone = pynn.Trainer(together.model, pynn.CrossEntropyLoss(), together.optimizer)
    alone.fit(*table(), epochs=2, batch_size=8)
    return alone


def stopped(comm):
    """The callback of one rank stops all, after the same step."""

    class Stop(pynn.Callback):
        def on_step_end(self, trainer):
            if trainer.steps == 31 and trainer.rank == (comm.Get_size() - 1):
                trainer.stop()

    return fitted(comm, normed(), callbacks=[Stop()])


def watched(comm):
    monitor = pynn.Monitor(on_problem="silent")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # rules that fail only warn; on other ranks than 0 they have nothing to see
        trainer = fitted(comm, dense(pynn.ReLU(), pynn.Dropout(0.2)), callbacks=[monitor])
    seen = {}
    if comm.Get_rank() == 0:
        for layer in monitor.stats.layers:
            seen |= {f"{layer} {column}": values for column, values in monitor.stats[layer].items()}
    trainer.seen = comm.bcast(seen)
    return trainer


class Reweigh(pynn.Callback):
    """Gives the classes other weights after each epoch, and at last sums losses instead of averaging them."""

    def on_epoch_end(self, trainer):
        trainer.loss.weight = [1.0, float(trainer.epoch), 0.5]
        trainer.loss.reduction = "sum" if trainer.epoch > 6 else "mean"


def ignored():
    x, y = table()
    return x, np.where(np.arange(len(y)) % 5 == 0, -100, y)


RUNS = {
    "sgd": lambda comm: fitted(comm, dense(pynn.Tanh())),
    "nesterov": lambda comm: fitted(comm, normed(), pynn.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=1e-3)),
    "adagrad": lambda comm: fitted(comm, normed(), pynn.Adagrad(0.05)),
    "rmsprop": lambda comm: fitted(comm, normed(), pynn.RMSprop(0.01, momentum=0.5)),
    "adam": lambda comm: fitted(comm, normed(), pynn.Adam(0.01, weight_decay=1e-3)),
    "adamw": lambda comm: fitted(comm, normed(), pynn.AdamW(0.01)),
    "own optimizer": lambda comm: fitted(comm, normed(), WholeGradient()),
    "wide": lambda comm: fitted(comm, wide(), pynn.SGD(1e-3, momentum=0.9), epochs=2),
    "weights": lambda comm: fitted(comm, normed(), data=table(weighted=True)),
    "class weights": lambda comm: fitted(comm, normed(), loss=pynn.CrossEntropyLoss([1.0, 2.0, 0.5]), data=ignored()),
    "weights that change": lambda comm: fitted(comm, normed(), callbacks=[Reweigh()]),
    "sum": lambda comm: fitted(comm, normed(), pynn.SGD(0.005), pynn.CrossEntropyLoss(reduction="sum")),
    "squares": lambda comm: fitted(comm, normed(), loss=pynn.MSELoss(), data=squares()),
    "function": lambda comm: fitted(
        comm, normed(), loss=lambda p, t: (((p - t) ** 2).mean(), 2 * (p - t) / p.size), data=squares()
    ),
    "dropout": lambda comm: fitted(comm, dense(pynn.ReLU(), pynn.Dropout(0.3), pynn.BatchNorm1d(12, **WIDE))),
    "images": lambda comm: fitted(comm, images(pynn.Dropout2d(0.3)), data=pictures()),
    "augmented": lambda comm: fitted(
        comm, images(), data=pictures(), augment=[pynn.augment.RandomCrop(1), pynn.augment.RandomHorizontalFlip()]
    ),
    "sequences": lambda comm: fitted(comm, sequences()),
    "residual": lambda comm: fitted(
        comm, dense(pynn.Residual(pynn.Sequential(pynn.BatchNorm1d(12, **WIDE), pynn.Linear(12, 12, **WIDE))))
    ),
    "norm first": lambda comm: fitted(comm, pynn.Sequential(pynn.BatchNorm1d(6, **WIDE), dense(pynn.ReLU()))),
    "clip norm": lambda comm: fitted(comm, normed(), settings={"clip_norm": 0.3}),
    "clip value": lambda comm: fitted(comm, normed(), settings={"clip_value": 0.05}),
    "penalties": lambda comm: fitted(comm, normed(), settings={"regularizers": [pynn.L1(1e-3), pynn.MaxNorm(1.5)]}),
    "average": lambda comm: fitted(comm, normed(), settings={"averaging": pynn.EMA(0.9)}),
    "few rows": lambda comm: fitted(comm, normed(), batch=3, epochs=3),
    "few images": lambda comm: fitted(comm, images(), data=pictures(), batch=3, epochs=3),
    "few rows, dropped": lambda comm: fitted(comm, dense(pynn.ReLU(), pynn.Dropout(0.3)), batch=3, epochs=3),
    "mapped": mapped,
    "supplied": supplied,
    "by hand": by_hand,
    "alone afterwards": alone_afterwards,
    "stopped": stopped,
    "watched": watched,
    "early stopping": lambda comm: fitted(
        comm, normed(), pynn.SGD(1.0), epochs=20, callbacks=[pynn.EarlyStopping(patience=2)]
    ),
    "standardised": lambda comm: fitted(comm, with_preprocessing()),
}


def with_preprocessing():
    model = normed()
    model.preprocessing = pynn.preprocessing.Standardize()
    return model


def tell(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def result(trainer):
    """Return everything that a run leaves, as arrays."""
    found = dict(trainer.model.state_dict()) | {f"optimizer {k}": v.copy() for k, v in trainer.optimizer.state.items()}
    columns = {name: column for name, column in trainer.history.history.items() if name != "seconds"}
    found |= {f"history {name}": np.array(column) for name, column in columns.items()}
    found |= {f"seen {name}": array for name, array in getattr(trainer, "seen", {}).items()}
    return found | {"steps": np.array([trainer.steps, trainer.epoch, trainer.batches_done])}


def main(file, *names):
    comm = MPI.COMM_WORLD
    everything = {}
    for name in names or RUNS:
        pynn.manual_seed(0)
        found = result(RUNS[name](comm))
        bits = {key: array.tobytes() for key, array in found.items()}
        for rank, others in enumerate(comm.allgather(bits)):
            assert others == bits, f"{name}: ranks {rank} and {comm.Get_rank()} differ"
        everything |= {f"{name}: {key}": array for key, array in found.items()}
    if comm.Get_rank() == 0:
        np.savez(file, **everything)


if __name__ == "__main__":
    main(*sys.argv[1:])
