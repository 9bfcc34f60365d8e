"""Searching on other engines: the trials of one process, whatever the engine and the number of its workers."""

import contextlib
import os
import pickle
from pathlib import Path

import pytest
import search_builds
from ranks.launching import FOLDER, launch, needs_mpi
from search_builds import build_and_die_once, build_with_dropout, find, same

from pynn import search
from pynn.search import Choice, LogUniform, Stage

pytestmark = pytest.mark.filterwarnings("ignore::pynn.search.SearchWarning", "ignore::ResourceWarning")
TESTS = Path(search_builds.__file__).parent
STAGES = [Stage(6, 1), Stage(2, 3, survivors=2)]
#: The searches that all engines run.
SEARCHES = {
    "random": {},
    "grid": {"sampler": "grid"},
    "quasi-random": {"sampler": "quasi-random"},
    "coarse to fine": {"make": build_with_dropout, "space": {"lr": LogUniform(1e-3, 0.1)}, "stages": STAGES},
}


@contextlib.contextmanager
def dask(workers):
    distributed = pytest.importorskip("distributed")
    settings = {"n_workers": workers, "threads_per_worker": 1, "processes": True, "dashboard_address": ":0"}
    with distributed.LocalCluster(**settings) as cluster, distributed.Client(cluster) as client:
        yield client.get_executor(pure=False)


@contextlib.contextmanager
def ray(workers):
    engine = pytest.importorskip("ray")
    variables = {"PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])}
    engine.init(
        num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level="ERROR",
        object_store_memory=100 << 20, runtime_env={"env_vars": variables},
    )  # fmt: skip
    try:
        yield search.RayExecutor()
    finally:
        engine.shutdown()


ENGINES = {"dask": dask, "ray": ray}


@pytest.fixture(scope="module")
def expected():
    """Return the searches of one worker in this process."""
    return {name: find(**settings) for name, settings in SEARCHES.items()}


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_trials_and_winner_do_not_depend_on_the_engine_or_its_workers(expected, engine, workers):
    with engine(workers) as executor:
        for name, settings in SEARCHES.items():
            found = find(**settings, executor=executor, workers=workers)
            assert same(found, expected[name])
            assert found.best.number == expected[name].best.number


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_the_data_go_to_the_engine_once_and_not_with_the_trials(engine):
    with engine(2) as executor:
        sent = []
        submit = executor.submit
        executor.submit = lambda *arguments: sent.append(len(pickle.dumps(arguments[1]))) or submit(*arguments)
        find(executor=executor, workers=2, trials=8)
        own = len(pickle.dumps(search_builds.data()))
    assert len(sent) == 8  # no trial was sent again, with the data
    assert max(sent) < own / 2


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_a_worker_that_dies_costs_no_other_trial(tmp_path, engine):
    space = {"kind": Choice(str(tmp_path / "deadly"), "harmless")}
    with engine(2) as executor:
        result = find(build_and_die_once, space, trials=6, workers=2, seed=1, executor=executor)
    assert (tmp_path / "deadly").exists()
    assert [trial.ended for trial in result.trials] == ["finished"] * 6


@needs_mpi
@pytest.mark.parametrize("workers", [1, 3])
def test_a_pool_of_mpi_runs_the_same_trials(expected, tmp_path, workers):
    script = FOLDER / "pool.py"
    arguments = "-m", "mpi4py.futures", script, "searches", tmp_path / "found"
    code, _, err = launch(1 + workers, *arguments, PYTHONPATH=str(TESTS))
    assert code == 0, err[-3000:]
    found = pickle.loads((tmp_path / "found").read_bytes())
    for name, trials in found.items():
        assert [(number, params, score) for number, params, score in trials] == [
            (trial.number, trial.params, trial.score) for trial in expected[name].trials
        ]


@needs_mpi
def test_after_a_worker_of_an_mpi_pool_has_died_the_same_search_goes_on(tmp_path):
    script, arguments = FOLDER / "pool.py", ("deadly", tmp_path / "found", tmp_path)
    code, _, _ = launch(3, "-m", "mpi4py.futures", script, *arguments, PYTHONPATH=str(TESTS))
    assert code != 0  # MPI ends all ranks when one dies
    assert (tmp_path / "deadly").exists()
    code, _, err = launch(3, "-m", "mpi4py.futures", script, *arguments, PYTHONPATH=str(TESTS))
    assert code == 0, err[-3000:]
    ended = pickle.loads((tmp_path / "found").read_bytes())
    assert ended == ["finished"] * 6


def test_the_command_line_searches_on_a_dask_cluster(tmp_path, run):
    distributed = pytest.importorskip("distributed")
    arguments = ["search", "--trials", "3", "--epochs", "1", "--stages", "1", "--quiet", "--save"]
    alone = run(*arguments, str(tmp_path / "alone.safetensors"), "--processes", "1")
    settings = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": ":0"}
    with distributed.LocalCluster(**settings) as cluster:
        file = str(tmp_path / "cluster.safetensors")
        told = run(*arguments, file, "--scheduler", cluster.scheduler_address)
    assert told.output.replace("cluster.safe", "alone.safe") == alone.output


def test_a_scheduler_that_does_not_answer_is_named(run):
    pytest.importorskip("distributed")
    told = run("search", "--trials", "1", "--scheduler", "tcp://127.0.0.1:9", code=1)
    assert "--scheduler tcp://127.0.0.1:9: no Dask scheduler answers there" in told.output


def test_ray_without_a_cluster_says_what_to_call():
    pytest.importorskip("ray")
    with pytest.raises(RuntimeError, match=r"call ray.init\(\) first"):
        search.RayExecutor()
