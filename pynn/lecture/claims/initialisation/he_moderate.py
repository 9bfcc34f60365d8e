"""At a moderate depth both converge, and He weights give no better accuracy in the end."""

from pynn.lecture import Band, Lines, experiment
from pynn.lecture.claims.initialisation.he_deep import compare


@experiment(
    claim="At 22 layers He and Xavier weights both converge, and He's give no better accuracy in the end.",
    source="He et al. 2015, figure 2 and text",
    setup="22 linear layers (21 of 64 ReLU units) on the digits, 80 epochs of SGD with momentum at 0.005.",
    bands=[
        Band("validation accuracy, He less Xavier", -0.02, 0.02, why="two standard errors of 360 examples at 96%"),
        Band("accuracy, He", 0.95, why="'converge'"),
        Band("accuracy, Xavier", 0.95, why="'converge'"),
    ],
    lines=Lines("epoch", "training loss"),
    quick={"epochs": 1},
    analogue="He's network has convolutions and learns ImageNet.",
)
def he_moderate(seed, epochs=80):
    figures = compare(seed, epochs, depth=22)
    gain = figures["validation accuracy, He"] - figures["validation accuracy, Xavier"]
    return figures | {"validation accuracy, He less Xavier": gain}
