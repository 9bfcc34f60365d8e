"""Runs that are saved and resumed: ``mpirun -n N python checkpoints.py whole|half|resumed``."""

import sys
import warnings

from mpi4py import MPI
from runs import normed, table

import pynn

comm = MPI.COMM_WORLD


class StopInTheMiddle(pynn.Callback):
    def on_step_end(self, trainer):
        if trainer.steps == 57:  # within an epoch of 13 steps
            trainer.stop()


def main(what):
    x, y, w = table(weighted=True)
    if what == "resumed":
        trainer = pynn.Trainer.resume("half.ckpt", comm=comm)
        assert trainer.steps == 57
        trainer.fit(x, y, sample_weight=w, validation=(x, y))
    else:
        trainer = pynn.Trainer(normed(), pynn.CrossEntropyLoss(), pynn.Adam(0.01), comm=comm)
        stop = [StopInTheMiddle()] if what == "half" else []
        trainer.fit(x, y, sample_weight=w, epochs=8, batch_size=8, validation=(x, y), callbacks=stop)
    assert what == "half" or (trainer.epoch, trainer.steps) == (8, 104)
    trainer.save(f"{what}.ckpt")


if __name__ == "__main__":
    pynn.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        main(*sys.argv[1:])
