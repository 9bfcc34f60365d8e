"""A whole run from two seeds: the same in every process."""

import subprocess
import sys

import pytest

RUN = """
import sys, zlib
import numpy as np, pynn
pynn.manual_seed(int(sys.argv[1]))
x, y = pynn.datasets.blobs(n=300, classes=3, seed=0)
model = pynn.Sequential(pynn.Linear(2, 32), pynn.ReLU(), pynn.Dropout(0.3), pynn.Linear(32, 3))
trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.Adam(0.01), seed=int(sys.argv[2]))
history = trainer.fit(x, y, epochs=3)
print(zlib.crc32(b"".join(array.tobytes() for array in model.state_dict().values())), *history["loss"])
"""


def outcome(*seeds):
    return subprocess.run(
        [sys.executable, "-c", RUN, *map(str, seeds)], capture_output=True, text=True, check=True
    ).stdout


def test_two_processes_with_the_same_seeds_train_the_same_network():
    assert outcome(1, 2) == outcome(1, 2)


@pytest.mark.parametrize("seeds", [(1, 3), (3, 2)])
def test_each_seed_matters(seeds):
    assert outcome(*seeds) != outcome(1, 2)
