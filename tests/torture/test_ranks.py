"""MPI ranks that are killed at any moment: the others end, and the run goes on from its last checkpoint."""

import os
import random
import signal
import time

import numpy as np
import pytest
from ranks.launching import FOLDER, is_running, launch, needs_mpi, start
from torture.harness import SCALE, SEED

import pynn

pytestmark = needs_mpi
RANKS, EPOCHS, KILLS = 3, 200, 3
#: These ranks have nothing to say when they end, so Open MPI need not wait for it.
AT_ONCE = {"OMPI_MCA_odls_base_sigkill_timeout": "1"}


def killed(moment, folder):
    """Start the run and kill one of its ranks at any moment: all end. Return whether the run was still going."""
    process = start(RANKS, FOLDER / "faults.py", "resuming", EPOCHS, folder=folder, **AT_ONCE)
    pids = [int(process.stdout.readline().split()[1]) for _ in range(RANKS)]
    time.sleep(moment.uniform(0, 2))  # a whole run takes 1 to 2 s
    victim = moment.choice(pids)
    if not is_running(victim):  # the run has come to its end
        process.communicate(timeout=60)
        return False
    os.kill(victim, signal.SIGKILL)
    began = time.perf_counter()
    process.communicate(timeout=60)
    while any(is_running(pid) for pid in pids):
        assert time.perf_counter() - began < 60, "processes are left behind"
        time.sleep(0.02)
    return True


def test_killed_ranks_end_the_others_and_the_run_goes_on_from_its_checkpoint(tmp_path, record_property):
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    broken.mkdir()
    whole.mkdir()
    moment = random.Random(SEED)
    kills = 0
    while kills < KILLS * SCALE:
        kills += killed(moment, broken)
        checkpoint = broken / "run.ckpt"
        if checkpoint.exists():
            epoch = pynn.Trainer.resume(checkpoint).epoch
            assert epoch >= 1
            if epoch == EPOCHS and kills < KILLS * SCALE:  # go on with another run
                checkpoint.unlink()
    record_property("kills", kills)
    for folder in (broken, whole):
        code, _, err = launch(RANKS, FOLDER / "faults.py", "resuming", EPOCHS, folder=folder)
        assert code == 0, err[-3000:]
    ends = [pynn.Trainer.resume(folder / "run.ckpt") for folder in (broken, whole)]
    assert [trainer.epoch for trainer in ends] == [EPOCHS, EPOCHS]
    np.testing.assert_array_equal(ends[0].model.flat.values, ends[1].model.flat.values)
    assert ends[0].history["loss"] == pytest.approx(ends[1].history["loss"], abs=0)
