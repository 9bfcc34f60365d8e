"""Bands and outcomes, seeds and processes, the file of results, the page and the pictures."""

import json
import math
import multiprocessing
import os
import signal
import threading
import time

import numpy as np
import pytest

from pynn.lecture import Band, ExperimentResult, Lines, Measurement, experiment, experiments, load, run, save, select
from pynn.lecture.entry import spread, strip_range
from pynn.lecture.page import page, write_page
from pynn.lecture.pictures import write_picture
from pynn.lecture.running import Interrupted
from pynn.utils.files import FileFormatError

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("values", "outcome"),
    [
        ([1.0, 1.5, 2.0, 1.2, 1.1], "reproduced"),
        ([1.0, 1.5, 2.0, 1.2, 9.0], "reproduced"),  # four of five
        ([1.0, 1.5, 2.0, 9.0, 9.0], "partly"),
        ([1.0, 1.5, 9.0, 9.0, 9.0], "not"),
        ([NAN] * 5, "not"),
        ([INF] * 5, "not"),
        ([1.5, 1.5, 1.5, 1.5, NAN], "reproduced"),
    ],
)
def test_a_band_holds_for_four_of_five_seeds(values, outcome):
    assert Band("x", 1.0, 2.0, why="a reason").outcome(values) == outcome


@pytest.mark.parametrize(("value", "outcome"), [(3.0, "reproduced"), (1.5, "partly"), (0.9, "not"), (NAN, "not")])
def test_a_wider_band_is_partly(value, outcome):
    assert Band("x", 2.0, why="a reason", partly=(1.0, INF)).outcome([value] * 5) == outcome


def test_bands_say_what_they_are():
    assert str(Band("x", 1.0, 2.0, why="a")) == "1 to 2"
    assert str(Band("x", 1.0, why="a")) == "at least 1"
    assert str(Band("x", at_most=0.5, why="a")) == "at most 0.5"
    assert str(Band("x", 2.0, 2.0, why="a")) == "exactly 2"


def test_bands_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="goes from 2 to 1"):
        Band("x", 2, 1, why="a reason")
    with pytest.raises(ValueError, match="'x' needs a reason"):
        Band("x", 1, 2, why="")


def two_bands():
    bands = [Band("claim", 1.0, why="a"), Band("control", at_most=0.0, why="b")]

    @experiment(claim="A.", source="b", setup="C.", bands=bands)
    def made(seed):
        return {}

    return made


@pytest.mark.parametrize(
    ("claim", "control", "outcome"),
    [(2, 0, "reproduced"), (2, 1, "partly"), (0, 0, "not"), (0, 1, "not")],
)
def test_the_first_band_decides_and_a_failed_control_makes_it_partly(claim, control, outcome):
    assert two_bands().outcome({"claim": [claim] * 5, "control": [control] * 5}) == outcome


def test_an_experiment_without_a_band_or_with_unknown_quick_settings_is_refused():
    words = {"claim": "A.", "source": "b", "setup": "C."}
    with pytest.raises(ValueError, match="no band"):
        experiment(bands=[], **words)(lambda seed: {})
    with pytest.raises(ValueError, match="no settings epochs"):
        experiment(bands=[Band("x", why="a")], quick={"epochs": 1}, **words)(lambda seed: {})


def test_names_and_sections_select_and_a_slip_is_answered_with_what_was_meant():
    assert next(item.name for item in select(["he-relu", "preprocessing"])) == "centre"
    assert len(select([])) == len(experiments())
    with pytest.raises(ValueError, match="did you mean dead-relu"):
        select(["dead-rleu"])
    with pytest.raises(ValueError, match="'pynn lecture list' shows all"):
        select(["qqqqqqqq"])


def test_run_gives_the_figures_of_every_seed_and_the_settings(made_up):
    told = []
    [result] = run(
        [made_up([1.0, 1.5, 2.5])],
        seeds=3,
        settings={"steps": 2, "unknown": 1},
        on_trial=lambda item, done, total: told.append((item.name, done, total)),
    )
    assert result.figures == {"figure": [1.0, 1.5, 2.5], "beside": [7.0] * 3}
    assert result.curves == {"curve": [[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]]}
    assert result.settings == {"steps": 2}
    assert told == [("made", 1, 3), ("made", 2, 3), ("made", 3, 3)]


def test_a_run_that_raises_is_told_and_the_next_experiment_runs(made_up):
    broken, sound = run([made_up([1.0]), made_up([1.0, 1.0])], seeds=2)
    assert broken.failure == "seed 1: IndexError: list index out of range"
    assert broken.outcome is None
    assert sound.outcome == "reproduced"


def test_a_run_that_does_not_return_what_has_a_band_is_told(made_up):
    [result] = run([made_up([1.0], Band("another", 1.0, why="a reason"))], seeds=1)
    assert "returned no 'another'" in result.failure
    [result] = run([made_up([np.ones((2, 2))])], seeds=1)
    assert "expected numbers and sequences of them; got ['figure']" in result.failure


def test_a_run_leaves_the_generator_of_initial_weights_as_it_was():
    import pynn

    pynn.manual_seed(3)
    expected = pynn.Linear(2, 2).weight[...].copy()
    pynn.manual_seed(3)
    list(run([experiments()["linear-stack"]], seeds=1, settings={"steps": 1}))
    assert (pynn.Linear(2, 2).weight[...] == expected).all()


def test_processes_give_the_same_figures():
    chosen = [experiments()[name] for name in ("he-relu", "bn-identity")]
    here = list(run(chosen, seeds=2))
    there = list(run(chosen, seeds=2, processes=2))
    assert [result.figures for result in here] == [result.figures for result in there]


def test_a_process_that_is_killed_is_told_and_the_next_experiment_runs():
    def kill(item, done, total):
        if item.name == "linear-stack" and done == 1:
            time.sleep(0.3)  # the next seed has begun by then, and takes longer
            for child in multiprocessing.active_children():
                os.kill(child.pid, signal.SIGKILL)

    chosen = [experiments()[name] for name in ("linear-stack", "he-relu")]
    killed, other = run(chosen, seeds=3, processes=1, on_trial=kill, settings={"steps": 3000})
    assert killed.failure == "seed 1: the process that ran it was ended (killed by SIGKILL)"
    assert killed.outcome is None
    assert [trial.seed for trial in killed.trials] == [0, 2]
    assert other.outcome == "reproduced"  # it got a process of its own


@pytest.mark.parametrize("processes", [None, 2])
def test_ctrl_c_ends_with_what_there_is(processes):
    items = select(["he-relu", "linear-stack"])

    def press(item, *_):
        if item.name == "he-relu":
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
            time.sleep(0.3)

    with pytest.raises(Interrupted):
        list(run(items[::-1], seeds=3, processes=processes, on_trial=press, settings={"steps": 60}))


def result_of(made_up, values, **more):
    return next(run([made_up(values, **more)], seeds=len(values)))


def test_results_come_back_from_the_file_as_they_were(tmp_path):
    item = experiments()["dead-for-good"]
    figures = dict.fromkeys((band.figure for band in item.bands), 0.5)
    trials = [Measurement(0, figures | {"still dead 20 epochs later": NAN}, {"dead units": [0.1, INF]}, 1.5)]
    trials.append(Measurement(1, figures | {"killed by the update": INF}, {"dead units": [0.1, 0.2]}, 2.5))
    stored = ExperimentResult(item, trials, settings={"epochs": 2})
    save([stored], tmp_path / "r.json")
    [found] = load(tmp_path / "r.json")
    assert found.settings == {"epochs": 2}
    assert found.outcome == stored.outcome
    np.testing.assert_equal([trial.figures for trial in found.trials], [trial.figures for trial in trials])
    np.testing.assert_equal(found.curves, stored.curves)
    # And without pynn: plain JSON, no NaN, with what was claimed.
    content = json.loads((tmp_path / "r.json").read_text(), parse_constant=pytest.fail)
    assert content["results"][0]["claim"] == item.claim
    assert content["results"][0]["trials"][1]["figures"]["killed by the update"] == "inf"


def test_the_time_of_all_runs_is_the_same_on_every_python():
    """Since Python 3.12 `sum` of floats is compensated."""
    trials = [Measurement(seed, {}, {}, 0.1) for seed in range(10)]
    assert ExperimentResult(experiments()["he-relu"], trials).seconds == 1.0


def test_results_of_experiments_that_have_gone_or_changed_are_no_trouble(tmp_path, made_up):
    path = tmp_path / "r.json"
    item = experiments()["he-relu"]
    trial = {"seed": 0, "seconds": 1, "figures": {"another figure": 1.0}, "curves": {}}
    changed = ExperimentResult(item).as_dict() | {"trials": [trial]}
    gone = result_of(made_up, [1.0]).as_dict()
    path.write_text(json.dumps({"format": "pynn.lecture 1", "results": [gone, changed]}))
    [found] = load(path)
    assert found.experiment is item
    assert "run it again" in found.failure


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"format": "pynn.lecture 1", "results": [1]}', "nonsense"])
def test_a_file_of_something_else_is_refused(tmp_path, content):
    (tmp_path / "r.json").write_text(content)
    with pytest.raises(FileFormatError, match="pynn lecture"):
        load(tmp_path / "r.json")


def test_the_page_has_every_experiment_run_or_not():
    item = experiments()["he-relu"]
    [result] = run([item], seeds=3)
    text = page([result])
    for other in experiments().values():
        assert f'id="{other.name}"' in text
    assert text.count("✓ reproduced") == 2  # the overview and the entry
    assert "not run" in text
    assert "def he_relu(seed" in text
    assert "Scaled-down analogue." in text
    assert "https://" not in text.replace("https://cs231n", "")


def test_a_failure_stands_on_the_page_escaped():
    failed = ExperimentResult(experiments()["he-relu"], failure="seed 0: ValueError: <b>bad</b>")
    text = page([failed])
    assert "&lt;b&gt;bad&lt;/b&gt;" in text
    assert "✖ failed" in text


@pytest.mark.parametrize("values", [[0.0] * 5, [NAN] * 5, [INF, 1.0, 2.0, -INF, NAN], [1e-300, 1e300] * 2, [3.0]])
def test_figures_of_any_kind_can_be_shown(values, tmp_path):
    for band in (Band("f", 0.0, 0.0, why="a"), Band("f", 1e-9, 1e9, why="b"), Band("f", -INF, 5.0, why="c")):
        finite = [value for value in values if math.isfinite(value)]
        low, high, _ = strip_range(band, finite)
        assert low < high
        item = experiments()["he-relu"]
        made = ExperimentResult(
            type(item)("he-relu", "initialisation", "A.", "b", "C.", [band], item.run, Lines("x", "y", log=True)),
            [Measurement(seed, {"f": value}, {"c": [value, value]}, 0.0) for seed, value in enumerate(values)],
        )
        write_page([made], tmp_path / "page.html")
        write_picture(made, tmp_path / "p.png", dpi=30)
    assert spread(values)


def test_a_picture_is_a_png_of_moderate_size(tmp_path):
    [result] = run([experiments()["he-relu"]], seeds=3)
    write_picture(result, tmp_path / "he-relu.png")
    content = (tmp_path / "he-relu.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert 5_000 < len(content) < 60_000
