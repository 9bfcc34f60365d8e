"""LSUV scales each layer to unit output variance on a batch."""

import numpy as np

import pynn
from pynn.lecture import Band, Lines, experiment
from pynn.lecture.data import digits
from pynn.lecture.networks import network, outputs


@experiment(
    claim="LSUV, a data-dependent initialisation, scales each layer to unit output variance on a batch.",
    source="Mishkin & Matas 2016",
    setup="64 and ten hidden layers of 100 ReLU units; scaled on 500 digits, seen on the validation part.",
    bands=[
        Band("largest |variance - 1|, the batch", at_most=0.02, why="the tolerance is 0.01"),
        Band("largest |variance - 1|, other digits", at_most=0.3, why="it should hold for data of the same kind"),
    ],
    lines=Lines("layer", "variance of the outputs"),
)
def lsuv(seed):
    data = digits(seed)
    pynn.manual_seed(seed)
    model = network([64] + [100] * 10 + [10], pynn.ReLU)
    pynn.init.lsuv(model, data.x[:500])
    variances = {}
    for name, x in (("the batch", data.x[:500]), ("other digits", data.xv)):
        variances[name] = [float(y.var(dtype=np.float64)) for y in outputs(model, x, pynn.Linear)]
    off = {f"largest |variance - 1|, {name}": np.abs(np.subtract(v, 1)).max() for name, v in variances.items()}
    return variances | off
