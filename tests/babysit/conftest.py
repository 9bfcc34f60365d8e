"""What several tests of the babysitter ask for: data, a seed, one thread."""

import numpy as np
import pytest

import pynn


@pytest.fixture(scope="module")
def classes():
    """Three classes in 12 standardised features, not linearly separable."""
    rng = np.random.default_rng(7)
    x = rng.standard_normal((900, 12)).astype(np.float32)
    scores = np.maximum(x @ rng.standard_normal((12, 10)), 0) @ rng.standard_normal((10, 3))
    return x, scores.argmax(axis=1)


@pytest.fixture
def seeded():
    pynn.manual_seed(3)


@pytest.fixture
def one_thread():
    """Train on one thread: networks are small, and a second one waits where the machine is busy."""
    threads = pynn.get_num_threads()
    pynn.set_num_threads(1)
    yield
    pynn.set_num_threads(threads)


@pytest.fixture(scope="module")
def blobs():
    """Return three clouds in ten dimensions, standardised: training part and validation part."""
    x, y = pynn.datasets.blobs(n=1000, classes=3, features=10, std=6.0, seed=0)
    x = ((x - x.mean(axis=0)) / x.std(axis=0)).astype(np.float32)
    return (x[:800], y[:800]), (x[800:], y[800:])
