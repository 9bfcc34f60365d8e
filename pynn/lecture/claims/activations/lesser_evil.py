"""Of the sigmoid's two evils, saturation is the greater."""

import pynn
from pynn.lecture import Band, Lines, experiment
from pynn.lecture.data import digits
from pynn.lecture.networks import gaussian, network


class ShiftedTanh(pynn.Layer):
    """tanh(x) + 1: as steep as tanh and as positive as a sigmoid."""

    def forward(self, x, ctx):
        ctx.y = pynn.ops.tanh(x)
        return ctx.y + 1

    def backward(self, dy, ctx):
        return pynn.ops.tanh_backward(dy, ctx.y)


@experiment(
    claim="Outputs that are not zero-centred are a lesser evil than saturated outputs.",
    source="CS231n, Neural Networks Part 1, Sigmoid",
    setup="64-100-100-10 on the digits, 15 epochs of SGD at 0.02: tanh as it should be, tanh + 1 (not zero-centred), "
    "and tanh with weights N(0, 1) (saturated). Training loss at the end.",
    bands=[
        Band("loss, saturated over not centred", 2.0, why="'lesser': at least twice"),
        Band("loss, not centred over good", 1.0, why="but an evil"),
    ],
    lines=Lines("epoch", "training loss", log=True),
    quick={"epochs": 1},
    remark="Saturation is the greater evil for every seed, but not twice as great for most.",
)
def lesser_evil(seed, epochs=15):
    data = digits(seed)
    kinds = {
        "good": (pynn.Tanh, "lecun_normal"),
        "not centred": (ShiftedTanh, "lecun_normal"),
        "saturated": (pynn.Tanh, gaussian(1.0)),
    }
    curves = {}
    for name, (activation, init) in kinds.items():
        pynn.manual_seed(seed)
        model = network([64, 100, 100, 10], activation, init)
        trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.02), seed=seed)
        curves[name] = trainer.fit(data.x, data.y, epochs=epochs)["loss"]
    last = {name: curve[-1] for name, curve in curves.items()}
    return curves | {
        "loss, saturated over not centred": last["saturated"] / last["not centred"],
        "loss, not centred over good": last["not centred"] / last["good"],
    }
