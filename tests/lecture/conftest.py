import numpy as np
import pytest

from pynn.lecture import Band, Lines, experiment
from pynn.lecture import data as lecture_data

BAND = Band("figure", 1.0, 2.0, why="a reason")


@pytest.fixture
def made_up():
    """Return a function that makes an experiment which returns, for seed i, the i-th of some values."""

    def make(values, band=BAND, **more):
        @experiment(
            claim="Something <holds> & so on.",
            source="nowhere",
            setup="Made up.",
            bands=[band],
            lines=Lines("step", "loss"),
            **more,
        )
        def made(seed, steps=3):
            return {"figure": values[seed], "beside": 7, "curve": np.arange(steps) + seed}

        return made

    return make


@pytest.fixture
def small_data(tmp_path, monkeypatch):
    """Put a little of something that looks like MNIST and CIFAR-10 where PYNN_DATA points."""
    rng = np.random.default_rng(0)
    for name, shape in (("mnist", (28, 28)), ("cifar10", (32, 32, 3))):
        for part, count in (("train", 300), ("test", 100)):
            x, y = rng.integers(0, 256, (count, *shape), np.uint8), np.arange(count) % 10
            np.savez(tmp_path / f"{name}_{part}.npz", x=x, y=y)
    monkeypatch.setenv("PYNN_DATA", str(tmp_path))
    for load in (lecture_data.mnist, lecture_data.cifar10):
        load.cache_clear()
    yield tmp_path
    for load in (lecture_data.mnist, lecture_data.cifar10):
        load.cache_clear()
