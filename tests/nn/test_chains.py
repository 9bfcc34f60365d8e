"""Gradients of chains of layers: what is fused, or known to cancel, changes nothing."""

import itertools

import pytest
from cases import case
from slopes import wrong_slopes

import pynn

FIRST = {
    "Linear": (lambda: pynn.Linear(3, 4, dtype="float64"), (3,)),
    "Linear over rows": (lambda: pynn.Linear(6, 5, dtype="float64"), (4, 6)),
    "Conv1d": (lambda: pynn.Conv1d(3, 4, 3, dtype="float64"), (3, 6)),
    "Conv2d": (lambda: pynn.Conv2d(3, 4, 3, dtype="float64"), (3, 5, 6)),
    "ConvTranspose2d": (lambda: pynn.ConvTranspose2d(3, 4, 2, dtype="float64"), (3, 4, 3)),
    "Maxout": (lambda: pynn.Maxout(3, 4, dtype="float64"), (3,)),
    "a chain": (lambda: pynn.Sequential(pynn.Linear(3, 4, dtype="float64")), (3,)),
    "Residual": (lambda: pynn.Residual(pynn.Linear(3, 3, dtype="float64"), pynn.Linear(3, 3, dtype="float64")), (3,)),
}
BETWEEN = {
    "nothing": lambda width: (),
    "ReLU": lambda width: (pynn.ReLU(),),
    "Tanh": lambda width: (pynn.Tanh(),),
    "GELU": lambda width: (pynn.GELU(),),
    "Hardtanh": lambda width: (pynn.Hardtanh(-2, 2),),
    "PReLU": lambda width: (pynn.PReLU(width, dtype="float64"),),
    "Dropout": lambda width: (pynn.Dropout(0.3),),
    "Identity, ReLU": lambda width: (pynn.Identity(), pynn.ReLU()),
}
NORMS = {
    "BatchNorm": lambda width, places: (pynn.BatchNorm2d if places == 2 else pynn.BatchNorm1d)(width, dtype="float64"),
    "GroupNorm": lambda width, places: pynn.GroupNorm(1, width, dtype="float64"),
}


@pytest.mark.parametrize("first", FIRST)
def test_gradients_of_a_layer_an_activation_and_a_norm(first, backend, rng):
    make, shape = FIRST[first]
    width = 3 if first == "Residual" else 4
    for between, norm, norm_last in itertools.product(BETWEEN, NORMS, (True, False)):
        middle, last = BETWEEN[between](width), NORMS[norm](width, len(shape) - 1)
        pynn.manual_seed(0)
        model = pynn.Sequential(make(), *((*middle, last) if norm_last else (last, *middle)))
        for parameter in model.parameters():
            parameter[...] = parameter.data + 0.3 * rng.standard_normal(parameter.shape)
        with case(between, norm, norm_last=norm_last):
            assert wrong_slopes(model, shape, rng) == {}
