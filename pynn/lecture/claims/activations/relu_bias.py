"""Some start the bias of ReLU units at 0.01, so that they do not die."""

from contextlib import suppress

import pynn
from pynn.lecture import Band, experiment
from pynn.lecture.data import digits
from pynn.lecture.networks import dead_share, network


@experiment(
    claim="Starting the bias at 0.01 helps against dead ReLU units, as some believe.",
    source="CS231n, Neural Networks Part 1, ReLU; Part 2, Initializing the biases",
    setup="64-100-100-10 on the digits, 10 epochs of SGD at 2, where many units die; biases from 0 and from 0.01.",
    bands=[Band("fewer dead units with 0.01", 0.02, why="two units in a hundred: the least that is worth a habit")],
    quick={"epochs": 1},
    remark="The notes leave it open, too: whether it helps differs from seed to seed.",
)
def relu_bias(seed, epochs=10):
    data = digits(seed)
    figures = {}
    for bias in (0.0, 0.01):
        pynn.manual_seed(seed)
        model = network([64, 100, 100, 10], pynn.ReLU)
        pynn.init.apply(model, "he_normal", bias=bias)
        trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(2.0), seed=seed)
        with suppress(pynn.NonFiniteError):  # the weights are then those before that step
            trainer.fit(data.x, data.y, epochs=epochs)
        figures[f"dead units, bias {bias:g}"] = dead_share(model, data.x)
    gain = figures["dead units, bias 0"] - figures["dead units, bias 0.01"]
    return figures | {"fewer dead units with 0.01": gain}
