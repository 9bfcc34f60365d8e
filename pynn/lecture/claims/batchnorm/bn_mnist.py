"""The batch-norm paper's first experiment, as it stands there."""

from pynn.lecture import Band, Lines, experiment
from pynn.lecture.claims.batchnorm.bn_digits import compare
from pynn.lecture.data import mnist

EVERY = 1000


@experiment(
    claim="On MNIST, three hidden layers of 100 sigmoid units, small Gaussian weights, batches of 60, 50 000 steps: "
    "higher accuracy with batch norm throughout.",
    source="Ioffe & Szegedy 2015, section 4.1",
    setup="Exactly that; what the paper does not say: weights N(0, 0.1²), SGD at 0.1. Test accuracy every 1000 steps.",
    bands=[
        Band("higher with batch norm", 0.95, why="'throughout': all looks but one in twenty"),
        Band("accuracy gained at the end", 0.0, why="also at the end"),
    ],
    lines=Lines("step", "test accuracy", first=EVERY, every=EVERY),
    quick={"steps": 1000},
    needs="mnist",
)
def bn_mnist(seed, steps=50_000):
    return compare(seed, mnist(), steps, EVERY)
