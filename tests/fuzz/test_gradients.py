"""Gradients of random networks are those of finite differences: nothing that is fused or skipped changes them."""

import numpy as np
from fuzz import networks
from fuzz.tried import amounts, each_seed
from slopes import wrong_slopes

import pynn

NETWORKS = 60


@amounts
def test_gradients_of_random_networks(amount):
    def check(seed):
        rng = np.random.default_rng(seed)
        pynn.manual_seed(seed)
        model, shape, _ = networks.network(rng, np.dtype(np.float64))
        for parameter in model.parameters():
            parameter[...] = parameter.data + 0.2 * rng.standard_normal(parameter.shape)
        assert wrong_slopes(model, shape, rng) == {}, model

    each_seed(NETWORKS * amount, check)
