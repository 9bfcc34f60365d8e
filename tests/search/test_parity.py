"""A search gives the same, bit for bit, in this process and in others: all layers, losses, executors, data."""

import contextlib
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
import search_networks
from fuzz.arrays import read_only
from search_builds import same
from search_networks import IMAGE, LAYERS, LOSSES, SEQUENCE, VECTOR, data, find

import pynn

pytestmark = pytest.mark.filterwarnings("ignore::pynn.search.SearchWarning")
KINDS = [(shape, targets) for shape in (VECTOR, SEQUENCE, IMAGE) for targets in LOSSES]


def test_every_layer_and_every_loss_is_searched():
    tried = {name.partition(",")[0].split()[0] for layers in LAYERS.values() for name in layers}
    assert tried >= set(pynn.nn.layers.__all__) - {"Layer"} | {"Sequential"}
    losses = {name.partition(",")[0] for made in LOSSES.values() for name in made}
    kinds = {name for name in pynn.__all__ if _is_a_loss(getattr(pynn, name))}
    assert losses == kinds - {"Loss"} | {"FunctionLoss"}  # the base; of a function


def _is_a_loss(kind):
    return isinstance(kind, type) and issubclass(kind, pynn.Loss)


@pytest.fixture(scope="module")
def here():
    """Return what one worker finds, found once."""
    found = {}

    def of(shape, targets):
        if (shape, targets) not in found:
            found[shape, targets] = find(shape, targets, workers=1)
            # All were trained, and the survivors on.
            assert {trial.ended for trial in found[shape, targets].trials} == {"finished"}
        return found[shape, targets]

    return of


@pytest.mark.parametrize(("shape", "targets"), KINDS)
def test_two_processes_give_the_scores_of_one(here, shape, targets):
    there = find(shape, targets, workers=2)
    assert [trial.score for trial in there.trials] == [trial.score for trial in here(shape, targets).trials]
    assert same(there, here(shape, targets))


def test_optimisers_are_searched_the_same_in_processes():
    fixed = {"layer": ["LayerNorm", "PReLU"], "loss": ["MSELoss"], "optimizer": list(search_networks.OPTIMIZERS)}
    assert same(*(find(VECTOR, "values", fixed=fixed, workers=workers) for workers in (1, 2)))


def of_method(method):
    return lambda: ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method))


@contextlib.contextmanager
def loky():
    executor = pytest.importorskip("joblib.externals.loky").ProcessPoolExecutor(2)
    try:
        yield executor
    finally:
        executor.shutdown(kill_workers=True)


@contextlib.contextmanager
def dask():
    distributed = pytest.importorskip("distributed")
    settings = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": ":0"}
    with distributed.LocalCluster(**settings) as cluster, distributed.Client(cluster) as client:
        yield client.get_executor(pure=False)


EXECUTORS = {
    "threads": lambda: ThreadPoolExecutor(2),
    "fork": of_method("fork"),
    "spawn": of_method("spawn"),
    "forkserver": of_method("forkserver"),
    "loky": loky,
    "dask": dask,
}


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize("make", EXECUTORS.values(), ids=EXECUTORS)
def test_any_executor_gives_the_scores_of_one_worker(here, make):
    if make is EXECUTORS["fork"] and "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("needs fork")
    with make() as executor:
        for shape, targets in ((VECTOR, "values"), (IMAGE, "labels")):
            assert same(find(shape, targets, executor=executor, workers=2), here(shape, targets))


@pytest.mark.parametrize("backend", ["numpy", "numba"])  # cython is the usual one
def test_on_the_other_backends_too(backend):
    if backend not in pynn.available_backends():
        pytest.skip(f"needs {backend}")
    fixed = {"layer": ["LayerNorm", "PReLU", "Tanh"], "loss": ["MSELoss"]}  # few: Numba compiles them
    with pynn.use_backend(backend):
        assert same(*(find(VECTOR, "values", fixed=fixed, workers=workers) for workers in (1, 2)))


def test_the_number_of_threads_makes_no_difference(here):
    before = pynn.get_num_threads()
    try:
        pynn.set_num_threads(3)
        assert same(find(IMAGE, "labels", workers=1), here(IMAGE, "labels"))
    finally:
        pynn.set_num_threads(before)


# Arrays of the same values, from elsewhere.


def mapped(array, folder):
    path = folder / f"{len(list(folder.iterdir()))}.npy"
    np.save(path, array)
    return np.load(path, mmap_mode="r")


def strided(array):
    wide = np.zeros((2 * len(array), *array.shape[1:]), array.dtype)
    wide[::2] = array
    return wide[::2]


PROVENANCES = {
    "pickled": lambda array, folder: pickle.loads(pickle.dumps(array)),
    "mapped": mapped,
    "strided": lambda array, folder: strided(array),
    "read-only": lambda array, folder: read_only(array),
    "big-endian": lambda array, folder: array.astype(array.dtype.newbyteorder(">")),
    "swapped twice": lambda array, folder: array.astype(">f4").astype(np.dtype(">f4").newbyteorder("=")),
    "columns first": lambda array, folder: np.asfortranarray(array),
    "float64": lambda array, folder: array.astype(np.float64),
    "a subclass": lambda array, folder: array.view(np.recarray),
    "lists": lambda array, folder: array.astype(np.float64).tolist(),
}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("shape", [VECTOR, IMAGE])
def test_where_the_data_come_from_makes_no_difference(tmp_path, shape, workers):
    fixed = {"loss": ["MSELoss"]}
    expected = find(shape, "values", fixed=fixed, workers=1)
    for name, change in PROVENANCES.items():
        given = [(change(x, tmp_path), change(y, tmp_path)) for x, y in data(shape, "values")]
        assert same(find(shape, "values", given, fixed=fixed, workers=workers), expected), name


def test_the_order_in_which_trials_end_makes_no_difference():
    results = [find(VECTOR, "labels", workers=workers, sampler="random") for workers in (1, 2, 3)]
    assert same(results[0], results[1])
    assert same(results[0], results[2])
