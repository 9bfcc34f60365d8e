"""Searches in this process: what is recorded, reproduced, narrowed, continued, and what ends a trial."""

import re
import signal
import threading
import warnings

import numpy as np
import pytest
from search_builds import (
    SPACE,
    build,
    build_for_images,
    build_or_raise,
    build_own,
    build_with_dropout,
    data,
    find,
    images,
    network,
    same,
    share_of_the_first_class,
)

import pynn
from pynn import search
from pynn.search import Choice, Integer, LogUniform, SearchWarning, Stage, Uniform
from pynn.search import trial_runner as training

# Whether a range's edge is warned of is a test of its own.
pytestmark = pytest.mark.filterwarnings("ignore::pynn.search.SearchWarning")


def test_a_search_finds_what_works_and_tells_all_trials():
    result = find(trials=10, epochs=4)
    assert result.best.score > 0.95
    assert result.best_params == result.best.params
    assert [trial.number for trial in result.trials] == list(range(10))
    (_, _), (x, y) = data()
    assert np.mean(result.best_model.predict_label(x) == y) == pytest.approx(result.best.score)
    assert result.best_trainer().evaluate(x, y)["accuracy"] == result.best.score
    best = result.best
    assert best.epochs == 4
    assert best.steps == 4 * 5
    assert len(best.history["val_accuracy"]) == 4
    assert best.score == best.history["val_accuracy"][-1] == max(t.score for t in result.trials if t.score == t.score)
    columns = result.columns()
    assert columns["lr"].tolist() == [trial.params["lr"] for trial in result.trials]
    assert columns["ended"].tolist() == [trial.ended for trial in result.trials]


@pytest.mark.parametrize("sampler", ["random", "grid", "quasi-random", "tpe"])
def test_the_same_seed_gives_the_same_trials(sampler):
    assert same(find(sampler=sampler, seed=3), find(sampler=sampler, seed=3))
    if sampler != "grid":
        assert find(sampler=sampler, seed=3).trials[0].params != find(sampler=sampler, seed=4).trials[0].params


def test_a_search_leaves_the_user_s_random_numbers_alone():
    pynn.manual_seed(1)
    expected = pynn.Linear(2, 2).weight[...].copy()
    pynn.manual_seed(1)
    find(trials=2)
    assert (pynn.Linear(2, 2).weight[...] == expected).all()


def test_the_metric_of_amounts_is_the_loss_and_the_smallest_is_best():
    x = np.linspace(-1, 1, 90, dtype=np.float32)[:, None]
    y = 2 * x

    def regress(params):
        return pynn.Trainer(pynn.Sequential(pynn.Linear(1, 1)), pynn.MSELoss(), pynn.SGD(params["lr"]))

    result = search.run(
        regress, {"lr": LogUniform(1e-6, 0.5)}, (x[::2], y[::2]), (x[1::2], y[1::2]), trials=5, workers=1
    )
    assert result.metric == "val_loss"
    assert result.best.score == min(trial.score for trial in result.trials)


def test_batch_size_can_be_searched():
    result = find(space={"lr": LogUniform(0.01, 0.1), "batch_size": Choice(16, 80)}, trials=6, epochs=1)
    assert {(trial.params["batch_size"], trial.steps) for trial in result.trials} == {(16, 10), (80, 2)}


# Coarse to fine.


def test_survivors_go_on_bit_for_bit():
    space = {"lr": LogUniform(1e-3, 1e-1)}
    staged = find(build_with_dropout, space, stages=[Stage(4, 2), Stage(0, 6, survivors=1)])
    going_on = staged.trials[-1]
    whole = find(build_with_dropout, space, trials=4, epochs=6).trials[going_on.continues]
    assert going_on.params == whole.params
    assert going_on.epochs == 6
    assert going_on.score == whole.score
    for name in ("loss", "accuracy", "val_loss", "lr"):
        assert going_on.history[name] == whole.history[name]
    # It went on: the first two epochs are those of before, with their times.
    assert going_on.history["seconds"][:2] == staged.trials[going_on.continues].history["seconds"]


def test_a_missing_checkpoint_costs_time_only():
    space = {"lr": LogUniform(1e-3, 1e-1)}
    stages = [Stage(3, 2), Stage(0, 4, survivors=1)]
    kept = find(build_with_dropout, space, stages=stages)
    lost = pytest.MonkeyPatch()
    with lost.context() as patch:
        patch.setattr("pynn.search.store.Store.checkpoint", lambda self, number: None)
        without = find(build_with_dropout, space, stages=stages)
    assert same(kept, without)


def test_later_stages_look_where_the_best_were():
    result = find(space={"lr": LogUniform(1e-6, 1e3)}, stages=[Stage(16, 1), Stage(12, 2, survivors=2)])
    first, second = ([trial for trial in result.trials if trial.stage == stage] for stage in (0, 1))
    assert [trial.continues is not None for trial in second] == [True, True] + [False] * 12
    best = sorted(first, key=lambda trial: -np.nan_to_num(trial.score))[:4]
    logs = np.log10([trial.params["lr"] for trial in second[2:]])
    allowed = np.log10([trial.params["lr"] for trial in best])
    assert logs.min() >= allowed.min() - 0.9 - 1e-9
    assert logs.max() <= allowed.max() + 0.9 + 1e-9
    assert [trial.epochs for trial in second[:2]] == [2, 2]


def test_with_layers_and_losses_of_one_s_own_survivors_go_on_too():
    stages = [Stage(3, 1), Stage(0, 3, survivors=2)]
    result = find(build_own, {"lr": LogUniform(1e-2, 1.0)}, stages=stages, metric="val_loss")
    assert [trial.ended for trial in result.trials] == ["finished"] * 5
    assert result.best_model.predict(data()[1][0]).shape == (80, 3)


def test_networks_for_images_are_searched_and_survivors_go_on_bit_for_bit():
    space = {"lr": LogUniform(1e-3, 1e-1), "width": Integer(2, 6)}

    def run(**settings):
        return search.run(build_for_images, space, *images(), workers=1, **settings)

    staged = run(stages=[Stage(3, 1), Stage(0, 3, survivors=1)])
    assert [trial.ended for trial in staged.trials] == ["finished"] * 4
    going_on = staged.trials[-1]
    whole = run(trials=3, epochs=3).trials[going_on.continues]
    assert going_on.params == whole.params and going_on.history["loss"] == whole.history["loss"]
    (x, _), _ = images()
    assert staged.best_model.predict(x[:5]).shape == (5, 3)


def test_stages_of_a_search_from_coarse_to_fine():
    def shape(*arguments):
        return [(stage.trials, stage.epochs, stage.survivors) for stage in search.coarse_to_fine(*arguments)]

    assert shape(40, 18) == [(40, 1, 0), (7, 3, 8), (3, 7, 3), (0, 18, 2)]
    assert shape(40, 18, 3) == [(40, 1, 0), (4, 4, 5), (0, 18, 2)]
    assert shape(27, 9) == [(27, 1, 0), (4, 3, 5), (0, 9, 3)]
    assert shape(60, 5, 1) == [(60, 5, 0)]
    assert shape(1, 1) == [(1, 1, 0)]
    assert shape(10, 3, 5) == [(10, 1, 0), (3, 2, 3), (0, 3, 3)]


# What ends a trial.


def test_a_trial_whose_cost_explodes_ends_early():
    # A huge step whose loss stays finite, and of which the babysitter must not be the judge.
    result = find(space={"lr": LogUniform(30.0, 60.0), "width": Integer(20, 32)}, trials=4, epochs=30)
    early = [trial for trial in result.trials if trial.ended == "early"]
    assert early
    for trial in early:
        assert trial.reason
        assert trial.steps < 150
        assert np.isnan(trial.score)


def test_the_cost_must_exceed_three_times_the_initial_one_five_times_on_end():
    from pynn.search.trial_runner import Guard

    stopped = []
    guard = Guard()
    trainer = type("T", (), {"stop": lambda self: stopped.append(True), "steps": 7})()
    guard.trainer = trainer
    for loss in (1.0, 3.1, 3.1, 3.1, 3.1, 2.9, 3.1, 3.1, 3.1, 3.1):
        trainer.last_loss = loss
        guard.on_step_end(trainer)
    assert not stopped
    trainer.last_loss = 3.2
    guard.on_step_end(trainer)
    assert stopped
    assert guard.reason == "the cost, 3.2, exceeds 3x the initial 1 at step 7"
    assert guard.initial == 1.0


def test_a_loss_that_is_not_finite_ends_a_trial_whatever_is_asked():
    result = find(space={"lr": LogUniform(1e15, 1e30)}, trials=3, end_early=False)
    assert [trial.ended for trial in result.trials] == ["early"] * 3
    assert all(re.search("loss is (nan|inf)", trial.reason) for trial in result.trials)
    with pytest.raises(ValueError, match="none of 3 trials finished; the first ended with: the loss is"):
        _ = result.best
    assert repr(result) == "SearchResult(3 trials, 0 finished, best val_accuracy none)"


def test_the_babysitter_ends_what_is_hopeless_where_that_is_worth_its_time(monkeypatch):
    def symmetric(params):
        model = pynn.Sequential(pynn.Linear(2, 8, init="zeros"), pynn.ReLU(), pynn.Linear(8, 3, init="zeros"))
        return pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(params["lr"]))

    space = {"lr": LogUniform(1e-2, 1e-1)}
    assert [trial.ended for trial in find(symmetric, space, trials=2, epochs=20).trials] == ["finished"] * 2
    monkeypatch.setattr(training, "WORTH_WATCHING", 0)
    watched = find(symmetric, space, trials=2, epochs=20)
    assert [trial.ended for trial in watched.trials] == ["early"] * 2
    assert all(trial.reason.startswith("the monitor: error: ") for trial in watched.trials)
    assert all(trial.epochs < 20 for trial in watched.trials)
    assert [trial.ended for trial in find(symmetric, space, trials=2, epochs=20, end_early=False).trials] == [
        "finished"
    ] * 2


def test_a_trial_that_raises_is_recorded_and_the_search_goes_on():
    result = find(build_or_raise, trials=8)
    failed = [trial for trial in result.trials if trial.ended == "failed"]
    assert 0 < len(failed) < 8
    assert {trial.reason for trial in failed} == {"RuntimeError: no such device for True"}
    assert all(trial.params["lr"] > 0.01 for trial in failed)
    assert result.best.params["lr"] <= 0.01


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("metric", "options", "column", "maximize"),
    [
        ("f1", {}, "val_f1", True),
        ("val_log_loss", {}, "val_log_loss", False),
        ("balanced_accuracy", {}, "val_balanced_accuracy", True),
        ("val_accuracy", {"mode": "min"}, "val_accuracy", False),
        ("accuracy", {}, "val_accuracy", True),
        ("loss", {}, "val_loss", False),
        (share_of_the_first_class, {"mode": "max"}, "val_share_of_the_first_class", True),
    ],
)
def test_any_metric_is_searched_for(metric, options, column, maximize, workers):
    pytest.importorskip("sklearn")
    result = find(metric=metric, trials=4, epochs=2, workers=workers, **options)
    scores = [trial.score for trial in result.trials if trial.ended == "finished"]
    assert (result.metric, result.maximize) == (column, maximize)
    assert result.best.score == (max if maximize else min)(scores) == result.best.history[column][-1]


def test_the_score_of_a_metric_is_that_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    result = find(metric="f1", trials=2, epochs=2)
    (_, _), (x, y) = data()
    assert result.best.score == pytest.approx(metrics.f1_score(y, result.best_model.predict_label(x), average="macro"))


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"metric": share_of_the_first_class}, ValueError, 'mode is "auto"; expected "min" or "max" for share_of_the'),
        ({"metric": 3}, TypeError, "metric is 3; expected a name, or a function"),
        ({"mode": "largest"}, ValueError, "mode is 'largest'; expected"),
    ],
)
def test_metrics_that_cannot_be_searched_for(options, error, said):
    with pytest.raises(error, match=said):
        find(trials=1, **options)


def test_a_folder_belongs_to_one_metric(tmp_path):
    find(metric="f1", trials=2, folder=tmp_path)
    assert find(metric="f1", trials=3, folder=tmp_path).metric == "val_f1"
    with pytest.raises(search.StoreError, match="metric"):
        find(metric="recall", trials=3, folder=tmp_path)


def test_what_build_must_return_is_said():
    result = find(lambda params: network(params), trials=1)
    assert result.trials[0].ended == "failed"
    assert "expected a pynn.Trainer" in result.trials[0].reason


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"metric": "val_f2"}, ValueError, "there is no metric 'val_f2'; expected one of loss, accuracy, "),
        ({"executor": "threads"}, TypeError, "executor is 'threads'; expected a concurrent"),
    ],
)
def test_wrong_options_are_told_before_the_first_trial(options, error, said):
    with pytest.raises(error, match=said):
        find(lambda params: pytest.fail("a trial began"), trials=1, **options)


@pytest.mark.parametrize("place", range(4))
def test_gaps_in_the_data_are_told_before_the_first_trial(place):
    parts = [np.ones((9, 2)), np.ones((9, 1)), np.ones((9, 2)), np.ones((9, 1))]
    parts[place][3] = np.nan
    name = ("x of train", "y of train", "x of validation", "y of validation")[place]
    with pytest.raises(ValueError, match=f"{name} has a NaN in row 3, column 0"):
        search.run(lambda params: None, {"lr": Uniform(0, 1)}, parts[:2], parts[2:], trials=1, workers=1)


def test_ctrl_c_ends_the_search_with_what_there_is():
    def interrupting(params):
        if params["width"] == 4:
            timer = threading.Timer(0.05, signal.raise_signal, (signal.SIGINT,))
            timer.start()
            x, y = data()[0]
            trainer = build(params)
            trainer.fit(x, y, epochs=100000)  # until the signal comes
            raise KeyboardInterrupt
        return build(params)

    result = find(interrupting, {"lr": LogUniform(0.01, 0.1), "width": Choice(8, 4)}, trials=20, seed=1)
    assert result.interrupted
    assert 0 < len(result.trials) < 20
    assert all(trial.params["width"] == 8 for trial in result.trials)
    assert result.best.score > 0


# Edges.


def build_alike(params):
    """Return a network that always begins with the same weights, so that only the learning rate matters."""
    pynn.manual_seed(0)
    return build({"lr": params["lr"]})


@pytest.mark.filterwarnings("always::pynn.search.SearchWarning")
def test_best_values_at_the_edge_are_warned_of_with_a_range_to_try():
    with pytest.warns(SearchWarning, match=r"lr \(best: .*\) lie at the edge .* from 1e-07 to 0.001; try 1e-07 to 0.1"):
        result = find(build_alike, {"lr": LogUniform(1e-7, 1e-3)}, trials=24, metric="val_loss")
    (edge,) = result.edges
    assert edge.name == "lr"
    assert (edge.low, edge.high, edge.try_low, edge.try_high) == (1e-7, 1e-3, 1e-7, 0.1)


@pytest.mark.filterwarnings("error::pynn.search.SearchWarning")
def test_best_values_inside_are_not_warned_of():
    result = find(build_alike, {"lr": LogUniform(1e-5, 1e3)}, trials=24, metric="val_loss")
    assert result.edges == []


def test_a_grid_s_outermost_points_are_its_edge():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SearchWarning)
        space = {"lr": LogUniform(1e-9, 1e-2), "slope": Uniform(0.1, 0.2)}
        result = find(build_alike, space, trials=25, sampler="grid", epochs=1, metric="val_loss")
    assert "lr" in [edge.name for edge in result.edges]
    assert len(caught) == len(result.edges)


# What is refused.

BAD = {
    "no trials": ({"trials": 0}, "a stage has neither trials nor survivors"),
    "no epochs": ({"epochs": 0}, "epochs of a stage is 0; expected a positive integer"),
    "both": ({"stages": [Stage(1, 1)], "trials": 3}, "omit trials and epochs"),
    "no stages": ({"stages": []}, "stages is empty"),
    "survivors first": ({"stages": [Stage(1, 1, survivors=1)]}, "expected survivors=0, because no stage precedes it"),
    "shorter later": ({"stages": [Stage(1, 2), Stage(1, 2)]}, "a stage of 2 epochs is followed by one of 2"),
    "more survivors": ({"stages": [Stage(1, 2), Stage(1, 3, survivors=2)]}, "2 survivors of a stage with 1"),
    "sampler": ({"sampler": "bayes"}, 'sampler is \'bayes\'; expected one of "random", "grid"'),
    "workers": ({"workers": 0}, "workers is 0; expected a positive integer"),
    "seed": ({"seed": -1}, "seed is -1"),
    "batch": ({"batch_size": 0}, "batch_size is 0"),
}


@pytest.mark.parametrize(("settings", "message"), BAD.values(), ids=BAD)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        find(**settings)


def test_bad_data_and_functions_are_refused():
    (x, y), validation = data()
    with pytest.raises(ValueError, match=r"train has x of shape \(160, 2\) and y of shape \(3,\)"):
        search.run(build, SPACE, (x, y[:3]), validation, workers=1)
    with pytest.raises(ValueError, match=r"validation is array.*\.\.\.; expected a pair \(x, y\)"):
        search.run(build, SPACE, (x, y), x, workers=1)
    with pytest.raises(ValueError, match=r"validation has 1 part; expected a pair"):
        search.run(build, SPACE, (x, y), (x,), workers=1)
    with pytest.raises(TypeError, match="expected a function of the parameters"):
        search.run(build({"lr": 1.0}), SPACE, (x, y), validation, workers=1)


def test_importance_says_what_matters():
    space = {"slope": Uniform(0, 0.1), "lr": LogUniform(1e-6, 0.1)}
    result = find(build_alike, space, trials=24, epochs=1, metric="val_loss")
    found = result.importance()
    assert list(found) == ["lr", "slope"]
    assert found["lr"] > 0.7
    assert sum(found.values()) == pytest.approx(1)
    assert find(trials=3).importance() == {}
    assert find(space={"lr": LogUniform(1e-6, 0.1)}).importance() == {"lr": 1.0}
