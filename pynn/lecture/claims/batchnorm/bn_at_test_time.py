"""At test time running averages stand in for the batch's statistics."""

import numpy as np

import pynn
from pynn.lecture import Band, experiment
from pynn.lecture.data import digits
from pynn.lecture.networks import network


@experiment(
    claim="At test time running averages take the place of the batch's statistics.",
    source="Ioffe & Szegedy 2015, section 3.1; CS231n, lecture on training neural networks, part 1",
    setup="64-100-100-10 with batch norm on the digits, 20 epochs of SGD at 0.1 in batches of 64; predictions for the "
    "validation digits one by one and all together, and by the batch's own statistics.",
    bands=[
        Band("one by one against together", at_most=1e-4, why="one example's output no longer depends on the others"),
        Band(
            "running off true mean, in std",
            at_most=0.25,
            why="a tenth of each of the last batches of 64: 0.03 expected, and the weights move",
        ),
        Band("accuracy against batch statistics", -0.02, 0.02, why="two standard errors of 360 examples"),
    ],
    quick={"epochs": 2},
)
def bn_at_test_time(seed, epochs=20):
    data = digits(seed)
    pynn.manual_seed(seed)
    model = network([64, 100, 100, 10], pynn.ReLU, batchnorm=True)
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1), seed=seed)
    trainer.fit(data.x, data.y, epochs=epochs, batch_size=64)
    together = model.predict(data.xv)
    single = np.concatenate([model.predict(data.xv[i : i + 1]) for i in range(50)])
    by_batch = model.train()(data.xv)
    x = data.x
    off = []
    for layer in model:
        if isinstance(layer, pynn.BatchNorm1d):
            off.append(np.abs(layer.running_mean - x.mean(axis=0)) / (x.std(axis=0) + 1e-3))
        x = layer.forward(x, pynn.Context())
    accuracy = [np.mean(scores.argmax(axis=1) == data.yv) for scores in (together, by_batch)]
    return {
        "one by one against together": np.abs(single - together[:50]).max(),
        "running off true mean, in std": np.median(np.concatenate(off)),
        "accuracy against batch statistics": accuracy[0] - accuracy[1],
    }
