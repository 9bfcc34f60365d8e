"""Best values at the edge of a range: the range is wrong, widen it."""

import pynn
from pynn import search
from pynn.lecture import Band, experiment
from pynn.lecture.data import digits
from pynn.lecture.networks import network
from pynn.lecture.searching import search_on


def build(params):
    """Return the trainer of a trial."""
    return pynn.Trainer(network([64, 64, 10], pynn.ReLU), pynn.CrossEntropyLoss(), pynn.SGD(params["lr"]))


@experiment(
    claim="If the best values lie at the edge of the range, the range is wrong: better ones lie beyond.",
    source="CS231n, Neural Networks Part 3, Careful with best values on border",
    setup="40 trials of 3 epochs, 64-64-10 on the digits, plain SGD at rates from 1e-4 to 1e-2; where pynn.search "
    "names an edge, again in the range that it proposes. And in the range from 1e-2 to 10, which has the best rates "
    "inside.",
    bands=[
        Band("edge found", 1.0, why="the best rate is known to lie far above"),
        Band("accuracy gained beyond", 0.02, why="more than the chance of 360 examples (1 point) at once"),
        Band("edge found in the wide range", 0.0, 0.0, why="no alarm where there is no fault"),
    ],
    needs="optuna",
    quick={"trials": 6},
)
def edge_of_range(seed, trials=40):
    data = digits(seed)

    def run(low, high):
        return search_on(data, build, {"lr": search.LogUniform(low, high)}, trials=trials, epochs=3, seed=seed)

    narrow = run(1e-4, 1e-2)
    edges = narrow.edges
    wider = run(edges[0].try_low, edges[0].try_high) if edges else narrow
    return {
        "edge found": len(edges),
        "accuracy gained beyond": wider.best.score - narrow.best.score,
        "edge found in the wide range": len(run(1e-2, 10.0).edges),
        "best accuracy, narrow": narrow.best.score,
        "best accuracy, wider": wider.best.score,
    }
