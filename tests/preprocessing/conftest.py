import numpy as np
import pytest


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def rows(rng):
    return rng.standard_normal((200, 6)) @ rng.standard_normal((6, 6)) + rng.uniform(-5, 5, 6)


@pytest.fixture
def images(rng):
    return rng.uniform(0, 255, (50, 3, 2, 4))
