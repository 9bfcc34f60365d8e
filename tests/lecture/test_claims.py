"""Every experiment runs, in a small version, and what is exact holds."""

import inspect
import math
from pathlib import Path

import pytest

from pynn.lecture import experiments, run
from pynn.lecture.catalogue import SECTIONS
from pynn.lecture.data import HINTS

ALL = experiments()

#: What follows from definitions: true in the smallest version, for every seed.
EXACT = (
    "bn-channels", "bn-gradient", "bn-identity", "bn-normalises", "gradient-check", "initial-loss", "lsuv",
    "maxout-contains-relu", "pca-decorrelates", "regularisation-raises", "relu-does-not-saturate", "whitening",
    "xavier-names", "zero-init",
)  # fmt: skip


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
def test_an_experiment_runs_with_its_quick_settings(name):
    check(quick(ALL[name]))


@pytest.mark.parametrize("name", [name for name, item in ALL.items() if item.needs in ("mnist", "cifar10")])
def test_an_experiment_on_images_runs_where_there_are_some(name, small_data):
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
