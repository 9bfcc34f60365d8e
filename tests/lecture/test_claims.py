"""Every experiment runs, in a small version; what is exact holds; nothing that the lecture says is left out."""

import inspect
import math
from pathlib import Path

import pytest

from pynn.lecture import experiments, run
from pynn.lecture.catalogue import SECTIONS
from pynn.lecture.data import HINTS

ALL = experiments()

#: What the lecture says, sentence by sentence, and the experiments that look into it.
STATEMENTS = {
    "without a non-linearity a stack of linear layers is one linear layer": "linear-stack",
    "sigmoid saturates; multiplied through layers this stops the flow": "sigmoid-stops-the-flow",
    "with bad initial weights every sigmoid may saturate and nothing learns": "sigmoid-bad-init",
    "with positive inputs the gradient on a unit's weights has one sign": "one-sign",
    "so updates zig-zag": "zigzag",
    "exp costs; ReLU is cheap": "exp-costs",
    "not to be zero-centred is the lesser evil": "lesser-evil",
    "tanh saturates but is zero-centred, preferred to sigmoid": "tanh-over-sigmoid",
    "ReLU does not saturate for x > 0": "relu-does-not-saturate",
    "ReLU converges about 6x faster than tanh": "relu-faster relu-faster-cifar10 relu-faster-convolutions",
    "after one large update a unit may never be active again": "dead-for-good",
    "with too high a rate up to 40% of the units are dead": "dead-relu",
    "some start the bias at 0.01 against it": "relu-bias",
    "leaky ReLU, PReLU, ELU do not die": "leaky-lives",
    "not always better": "leaky-not-always-better",
    "Maxout contains ReLU and leaky ReLU": "maxout-contains-relu",
    "Maxout does not die": "maxout-lives",
    "Maxout doubles parameters and work": "maxout-costs",
    "Maxout: 0.94% on MNIST": "maxout-mnist",
    "ReLU; try leaky ReLU, Maxout, ELU; tanh rarely; sigmoid not": "which-activation",
    "zero-centre by mean image or per channel": "centre",
    "normalise": "normalise",
    "PCA decorrelates": "pca-decorrelates",
    "whitening with eps 1e-5": "whitening",
    "statistics from the training part only": "training-statistics",
    "all zeros: every unit the same, nothing is learnt": "zero-init",
    "0.01 N(0,1): activations and weight gradients shrink to 0": "small-init",
    "N(0,1): nearly all units saturate": "large-init",
    "Xavier, LeCun, Glorot, He by their formulas": "xavier-names",
    "Xavier keeps the spread through tanh layers": "xavier-tanh",
    "with ReLU and Xavier the mean square halves in each layer": "xavier-relu",
    "He holds with ReLU": "he-relu",
    "a 30-layer net trains with He and stalls with Xavier": "he-deep",
    "at 22 layers both converge, He gives no better accuracy": "he-moderate",
    "LSUV scales each layer to unit output variance": "lsuv",
    "batch norm: mean 0 and variance 1": "bn-normalises",
    "gamma and beta can restore the identity": "bn-identity",
    "two simplifications of whitening": "bn-simplifies",
    "backward by the chain rule through mean and variance": "bn-gradient",
    "running averages at test time": "bn-at-test-time",
    "before the non-linearity; per channel": "bn-channels",
    "not covariate shift as such": "bn-not-covariate-shift",
    "the rescue of vanishing gradients; lets gradients flow": "bn-rescues-gradients",
    "allows higher learning rates": "bn-higher-rates",
    "depends less on initialisation": "bn-any-init",
    "regularises a little": "bn-regularises",
    "the MNIST experiment of section 4.1": "bn-mnist bn-digits",
    "the same accuracy in 14x fewer steps at 5x the learning rate": "bn-fewer-steps",
    "initial loss: ln C, C - 1": "initial-loss",
    "more regularisation raises it": "regularisation-raises",
    "20 examples can be overfitted": "overfit-20",
    "rate too low: loss barely moves, accuracy may rise": "rate-too-low",
    "rate too high: NaN or exploding cost": "rate-too-high",
    "1e-3..1e-5 was the example's range, never a rule": "range-is-no-rule",
    "a plateau followed by a sudden drop: bad initialisation": "plateau",
    "loss curve shapes": "loss-curves",
    "a gap means overfitting, no gap: enlarge the model": "accuracy-gap",
    "update over weight about 1e-3": "update-ratio",
    "gradient check": "gradient-check",
    "histograms per layer": "histograms",
    "first-layer weights as pictures": "first-weights",
    "coarse to fine": "coarse-to-fine",
    "break off at 3x the initial cost": "break-off-at-3x",
    "sample in log space": "log-space",
    "best values at the edge: widen the range": "edge-of-range",
    "random search beats grid search": "random-beats-grid",
    "because few of the dimensions matter": "few-dimensions-matter",
    "against experts: equal on 4 of 7, better on 1": "random-against-expert",
    "60 random trials land in the best 5% with 95% probability": "sixty-trials",
    "one validation fold suffices": "one-fold",
    "many loss curves side by side": "many-loss-curves",
}

#: What follows from definitions: true in the smallest version, for every seed.
EXACT = (
    "bn-channels", "bn-gradient", "bn-identity", "bn-normalises", "gradient-check", "initial-loss", "lsuv",
    "maxout-contains-relu", "pca-decorrelates", "regularisation-raises", "relu-does-not-saturate", "whitening",
    "xavier-names", "zero-init",
)  # fmt: skip


def test_everything_the_lecture_says_has_an_experiment_and_every_experiment_a_statement():
    named = {name for names in STATEMENTS.values() for name in names.split()}
    assert named == set(ALL)


def test_every_part_of_the_lecture_has_experiments():
    assert {item.section for item in ALL.values()} == set(SECTIONS)


@pytest.mark.parametrize("item", ALL.values(), ids=ALL)
def test_an_experiment_is_one_short_file_that_says_what_it_is(item):
    module = inspect.getmodule(item.run)
    path = Path(module.__file__)
    assert path.stem.replace("_", "-") == item.name
    assert path.parent.name == item.section
    assert len(item.code.splitlines()) <= 95
    assert module.__doc__.endswith(".")
    for text in (item.claim, item.setup):
        assert text.endswith(".")
        assert "  " not in text
    assert item.source
    assert item.needs in ("", *HINTS)
    assert all(band.why for band in item.bands)
    assert len({band.figure for band in item.bands}) == len(item.bands)


def quick(item, seeds=1):
    [result] = run([item], seeds=seeds, settings=item.quick)
    assert result.failure == ""
    return result


@pytest.mark.parametrize("name", [name for name, item in ALL.items() if item.needs not in ("mnist", "cifar10")])
def test_runs(name):
    check(quick(ALL[name]))


@pytest.mark.parametrize("name", [name for name, item in ALL.items() if item.needs in ("mnist", "cifar10")])
def test_runs_on_images_where_there_are_some(name, small_data):
    check(quick(ALL[name]))


def check(result):
    item = result.experiment
    assert {band.figure for band in item.bands} <= result.figures.keys()
    assert result.outcome in ("reproduced", "partly", "not")
    assert bool(result.curves) == (item.lines is not None)
    for curves in result.curves.values():
        assert len(curves[0]) >= 1
        if item.lines.at:
            assert len(curves[0]) == len(item.lines.at)
    for values in result.figures.values():
        assert all(isinstance(value, float) for value in values)


@pytest.mark.parametrize("name", EXACT)
def test_what_follows_from_definitions_holds_exactly(name):
    result = quick(ALL[name], seeds=3)
    assert result.outcome == "reproduced", result.figures


@pytest.mark.parametrize("name", ["dead-relu", "bn-higher-rates", "overfit-20", "coarse-to-fine"])
def test_the_same_seed_gives_the_same_figures_and_another_seed_others(name):
    first, second = quick(ALL[name], seeds=2), quick(ALL[name], seeds=2)
    for one, other in zip(first.trials, second.trials, strict=True):
        assert one.figures == other.figures
        assert one.curves == other.curves
    assert (first.trials[0].figures, first.trials[0].curves) != (first.trials[1].figures, first.trials[1].curves)


def test_an_experiment_that_is_not_what_it_should_be_is_seen():
    """A control of the controls: a band that a wrong result must miss."""
    figures = quick(ALL["xavier-relu"], seeds=2).figures
    assert ALL["xavier-relu"].outcome(figures) == "reproduced"
    he = quick(ALL["he-relu"], seeds=2).figures
    assert ALL["xavier-relu"].outcome(he) == "not"
    assert all(math.isfinite(value) for value in he["mean square, factor per layer"])
