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
