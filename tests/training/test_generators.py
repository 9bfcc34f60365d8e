import numpy as np
import pytest

from pynn.training.generators import EpochGenerators


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1, 2**32, 3 * 2**33 + 1, 2**64, 2**96 - 1, 2**96, 2**130 + 5])
def test_the_numbers_are_those_of_numpy(seed):
    generators = EpochGenerators()
    for epoch in (0, 1, 2, 3, 64, 65, 66, 300, 4, 5, 0, 10**6, 10**6 + 1, 2**31):
        expected = np.random.default_rng([seed, epoch])
        drawn = generators.of(seed, epoch)
        np.testing.assert_array_equal(drawn.permutation(10), expected.permutation(10))
        np.testing.assert_array_equal(drawn.random(3), expected.random(3))


def test_each_seed_has_numbers_of_its_own():
    generators = EpochGenerators()
    for seed, epoch in ((1, 0), (1, 1), (2, 1), (2, 2), (1, 2), (1, 3)):
        assert generators.of(seed, epoch).integers(2**40) == np.random.default_rng([seed, epoch]).integers(2**40)
