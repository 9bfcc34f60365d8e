"""What `build` may not do is noticed: hand out anything twice, write to the data; and its randomness."""
# ruff: noqa: NPY002 - the generators that NumPy shares out are what some tests are about

import copy
import itertools
import random
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
import search_sharing
from search_builds import build, data, find, network, same
from search_sharing import build_and_seed, build_at_random, build_badly, build_that_looks, by_width, trainer

import pynn
from pynn import search
from pynn.search import Choice, LogUniform, Stage

pytestmark = pytest.mark.filterwarnings("ignore::pynn.search.SearchWarning")
SPACE = {"lr": LogUniform(1e-3, 1e-1)}
SHARING = [
    "with_one_model",
    "with_one_layer",
    "with_one_layer_in_a_branch",
    "with_one_optimizer",
    "with_one_trainer",
    "with_models_in_turn",
    "with_a_trained_trainer",
]


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Undo what a test before has bound, which would be noticed for that."""
    monkeypatch.setattr(search_sharing, "MODEL", network({}))
    monkeypatch.setattr(search_sharing, "LAYER", pynn.Linear(2, 3))
    monkeypatch.setattr(search_sharing, "OPTIMIZER", pynn.SGD(0.1))
    monkeypatch.setattr(search_sharing, "IN_TURN", itertools.cycle([network({}) for _ in range(3)]))
    search_sharing.one_trainer.cache_clear()


@pytest.mark.parametrize("name", SHARING)
@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_handed_out_twice_ends_the_search_with_what_to_do(name, workers):
    with pytest.raises(
        ValueError, match=r"build .* build must create new layers, a new model, .* on every call.*copy\.deepcopy"
    ):
        find(getattr(search_sharing, name), SPACE, trials=9, epochs=1, workers=workers)


def test_in_this_process_it_is_noticed_before_anything_is_trained():
    model = network({})
    before = model.state_dict()
    with pytest.raises(ValueError, match="a model that belongs to another trial"):
        find(lambda params: trainer(model, params["lr"]), SPACE)
    for name, array in before.items():
        assert np.array_equal(array, model.state_dict()[name])


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize("kind", ["threads", "fork", "spawn"])
def test_with_an_executor_it_is_noticed_too(kind):
    import multiprocessing

    def pool():
        if kind == "threads":
            return ThreadPoolExecutor(2)
        return ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(kind))

    with pool() as executor, pytest.raises(ValueError, match="that belongs to another trial"):
        find(by_width, SPACE | {"width": Choice(4, 8)}, trials=12, executor=executor, workers=2)


def test_survivors_may_not_share_either():
    made = []

    def hoarding(params):
        made.append(build(params | {"width": 8}))
        return made[-1] if len(made) < 5 else trainer(made[2].model)

    with pytest.raises(ValueError, match="that belongs to another trial"):
        find(hoarding, SPACE, stages=[Stage(3, 1), Stage(0, 3, survivors=2)])


def test_copies_of_a_trained_model_and_shared_losses_and_schedules_are_fine():
    trained = network({})
    trainer(trained).fit(*data()[0], epochs=1)
    loss, schedule, penalty = pynn.CrossEntropyLoss(), pynn.StepLR(1, 0.5), pynn.L2(1e-4)

    def going_on(params):
        model = copy.deepcopy(trained)
        return pynn.Trainer(model, loss, pynn.SGD(params["lr"]), schedule=schedule, regularizers=[penalty])

    result = find(going_on, SPACE, trials=4)
    assert len({trial.initial_loss for trial in result.trials}) == 1
    assert {trial.ended for trial in result.trials} == {"finished"}


# Saving.


class OwnLinear(pynn.Linear):
    pass


class OwnReLU(pynn.ReLU):
    pass


class OwnLoss(pynn.CrossEntropyLoss):
    pass


class OwnSGD(pynn.SGD):
    pass


class OwnStepLR(pynn.StepLR):
    pass


class OwnWarmup(pynn.WarmupLR):
    pass


class OwnL2(pynn.L2):
    pass


class OwnEMA(pynn.EMA):
    pass


# What of a trainer is an object of the user's own, at any depth.
OWN = {
    "layer": {"layer": lambda: OwnLinear(2, 2)},
    "layer in a layer": {"layer": lambda: pynn.Residual(pynn.Sequential(OwnLinear(2, 2), OwnReLU()))},
    "loss": {"loss": OwnLoss},
    "optimizer": {"optimizer": OwnSGD},
    "schedule": {"schedule": lambda: OwnStepLR(1, 0.5)},
    "schedule in a schedule": {"schedule": lambda: pynn.WarmupLR(3, then=OwnStepLR(1, 0.5))},
    "schedules in schedules": {"schedule": lambda: OwnWarmup(2, then=pynn.WarmupLR(3, then=OwnStepLR(1, 0.5)))},
    "regularizer": {"regularizers": lambda: [OwnL2(1e-4)]},
    "averaging": {"averaging": lambda: OwnEMA(0.9)},
}


def trainer_of(params, layer=pynn.Identity, loss=pynn.CrossEntropyLoss, optimizer=pynn.SGD, **settings):
    model = pynn.Sequential(pynn.Linear(2, 2), layer(), pynn.Linear(2, 3))
    return pynn.Trainer(
        model, loss(), optimizer(params["lr"]), **{name: setting() for name, setting in settings.items()}
    )


@pytest.mark.parametrize("own", OWN.values(), ids=OWN)
def test_trials_with_parts_of_the_user_s_own_are_continued_and_restored(own):
    result = find(lambda params: trainer_of(params, **own), SPACE, stages=[Stage(3, 1), Stage(0, 2, survivors=1)])
    assert [trial.ended for trial in result.trials] == ["finished"] * 4, result.trials[-1].reason
    assert result.best_trainer().epoch == result.best.epochs


class OwnStack(pynn.Sequential):
    """A stack whose constructor takes other arguments than its config() returns."""

    def __init__(self, width):
        super().__init__(pynn.Linear(width, width))


UNSAVABLE = {
    "schedule": {"schedule": lambda: pynn.LambdaLR(lambda count: 1.0)},
    "schedule in a schedule": {"schedule": lambda: pynn.WarmupLR(3, then=pynn.LambdaLR(lambda count: 1.0))},
    "layer": {"layer": lambda: OwnStack(2)},
}


@pytest.mark.parametrize("stages", [[Stage(3, 1)], [Stage(3, 1), Stage(0, 2, survivors=1)]], ids=["one", "two"])
@pytest.mark.parametrize("part", UNSAVABLE.values(), ids=UNSAVABLE)
def test_what_cannot_be_saved_fails_before_it_is_trained(part, stages):
    result = find(lambda params: trainer_of(params, **part), SPACE, stages=stages)
    assert {(trial.ended, trial.steps) for trial in result.trials} == {("failed", 0)}
    with pytest.raises(ValueError, match=r"none of 3 trials finished; .*cannot be saved"):
        _ = result.best


def test_what_fit_makes_ready_to_be_saved_need_not_be_ready_before():
    def scaled(params):
        built = trainer_of(params)
        built.model.preprocessing = pynn.preprocessing.Standardize()
        return built

    assert {trial.ended for trial in find(scaled, SPACE).trials} == {"finished"}


# Writing to the data.


def test_a_build_that_writes_to_the_data_is_noticed_before_a_trial_is_stored(tmp_path):
    (x, y), validation = data()

    def normalizing(params):
        x[...] = x / 2
        return build(params | {"width": 4})

    with pytest.raises(ValueError, match="the data changed during the search"):
        search.run(normalizing, SPACE, (x, y), validation, trials=3, epochs=1, workers=1, folder=tmp_path)
    assert "pynn.trial" not in (tmp_path / "trials.journal").read_text()


@pytest.mark.parametrize("workers", [1, 2])
def test_the_arrays_of_the_data_are_read_only_for_trials_and_the_user_s_stay_writeable(workers):
    (x, y), validation = data()
    result = search.run(build_that_looks, SPACE, (x, y), validation, trials=2, epochs=1, workers=workers)
    assert {trial.reason for trial in result.trials} == {"ValueError: assignment destination is read-only"}
    assert x.flags.writeable and y.flags.writeable


# Randomness.


def test_generators_that_are_shared_out_are_seeded_for_build_and_left_as_they_were():
    np.random.seed(1)
    random.seed(1)
    expected = np.random.random(), random.random()
    np.random.seed(1)
    random.seed(1)
    results = [find(build_at_random, SPACE, workers=workers) for workers in (1, 2)]
    assert (np.random.random(), random.random()) == expected
    assert same(*results)
    assert len({trial.initial_loss for trial in results[0].trials}) == len(results[0].trials)


def test_a_build_that_seeds_them_does_so_for_itself_alone():
    pynn.manual_seed(5)
    expected = pynn.Linear(2, 2).weight[...].copy()
    pynn.manual_seed(5)
    np.random.seed(5)
    drawn = np.random.random()
    np.random.seed(5)
    find(build_and_seed, SPACE, trials=2)
    assert np.random.random() == drawn
    assert np.array_equal(pynn.Linear(2, 2).weight[...], expected)


# Other ways to fail.


BAD = {
    "nothing": "TypeError: build returned None; expected a pynn.Trainer; does it end with `return trainer`?",
    "model": "TypeError: build returned Sequential",
    "exit": "SystemExit: no licence",
    "unspeakable": "UnspeakableError: an error without a printable message",
    "memory": "MemoryError",
    "endless": "ValueError: xxxxx",
}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_trial_that_fails_says_why_and_the_others_go_on(workers):
    space = {"kind": Choice(*BAD, "good")}
    result = find(build_badly, space, sampler="grid", trials=len(BAD) + 1, workers=workers)
    for trial in result.trials:
        kind = trial.params["kind"]
        assert trial.ended == ("finished" if kind == "good" else "failed")
        assert trial.reason.startswith(BAD.get(kind, ""))
        assert len(trial.reason) < 2100
