"""Kernels on several threads: the same bits, whoever computes, however many at once, in a forked child as well."""

import contextlib
import itertools
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import pynn
from pynn import ops
from pynn.backends import selection
from pynn.backends.processors import usable_processors
from pynn.backends.selection import MAX_THREADS

# Enough work for every kernel that shares it out to do so.
M, K, N = 300, 310, 290


@contextlib.contextmanager
def threads(count):
    before = pynn.get_num_threads()
    pynn.set_num_threads(count)
    try:
        yield
    finally:
        pynn.set_num_threads(before)


def results(seed=0):
    """Return what every kernel family that works in parallel gives, all large enough for four threads."""
    rng = np.random.default_rng(seed)
    a, b, c, d = (rng.normal(size=size).astype(np.float32) for size in ((M, K), (K, N), (N, K), (K, M)))
    columns = [rng.normal(size=N).astype(np.float32) for _ in range(4)]
    x, dy = (rng.normal(size=(1000, N)).astype(np.float32) for _ in range(2))
    forward = ops.batch_norm(x, *columns[:2], columns[2], np.abs(columns[3]), activation="relu")
    images, filters = rng.normal(size=(5, 32, 20, 20)), rng.normal(size=(48, 32, 3, 3))
    images, filters = images.astype(np.float32), filters.astype(np.float32)
    maps = [ops.conv2d(images, filters, padding=1, stride=stride) for stride in (1, 2)]
    many = rng.normal(size=(4, 70, 40, 40)).astype(np.float32)
    each = rng.normal(size=(70, 1, 3, 3)).astype(np.float32)
    size = 200_000
    parameters, gradients, *state = (rng.normal(size=size).astype(np.float32) for _ in range(4))
    ops.adam(
        parameters, gradients, state[0], np.square(state[1]), np.array([[0, size]]), np.array([[0.1, 0.01]]), step=3
    )
    return [
        ops.matmul(a, b, bias=columns[0], activation="tanh"),
        ops.matmul(a, c, trans_b=True),
        ops.matmul(d, b, trans_a=True),
        ops.matmul(rng.normal(size=(400, 600)), rng.normal(size=(600, 1100))),
        ops.matmul(images.reshape(-1, 80), each.reshape(-1)[:240].reshape(80, 3)),
        *(ops.matmul(d, b[:, :columns].copy(), trans_a=True, activation="tanh") for columns in (10, 42, 74, 100)),
        *forward,
        *ops.batch_norm_backward(dy, x, *columns[:2], *forward[1:], activation="relu"),
        *ops.linear_backward(dy, x, rng.normal(size=(N, N)).astype(np.float32)),
        ops.gelu(x),
        ops.sigmoid_backward(dy, x),
        parameters,
        *(np.asarray(part) for part in ops.softmax_cross_entropy(x, np.arange(1000) % N)),
        ops.dropout(x, 0.3, (5, 6)),
        *maps,
        *ops.conv2d_backward(maps[0], images, filters, padding=1),
        *ops.conv2d_backward(maps[1], images, filters, padding=1, stride=2),
        ops.conv2d(many, each, padding=1, groups=70),
        *ops.conv2d_backward(many, many, each, padding=1, groups=70),
    ]


def assert_same(a, b):
    for index, (one, other) in enumerate(zip(a, b, strict=True)):
        np.testing.assert_array_equal(one, other, err_msg=f"result {index}")


def test_the_number_of_threads_changes_no_bit(backend):
    with threads(1):
        expected = results()
    for count in (2, 3, 4, 7):
        with threads(count):
            assert_same(results(), expected)


def test_bits_are_the_same_where_threads_are_used_only_while_they_pay(backend, monkeypatch):
    with threads(1):
        expected = results()
    monkeypatch.setattr(selection, "eager_threads", False)
    for count in (2, 7):
        with threads(count):
            for _ in range(5):
                assert_same(results(), expected)


@pytest.mark.skipif("cython" not in pynn.available_backends(), reason="only the compiled kernels share out work")
def test_no_more_threads_than_processors(monkeypatch):
    monkeypatch.setattr(selection, "eager_threads", False)
    with pynn.use_backend("cython"):
        for count in (1, usable_processors(), usable_processors() + 3):
            with threads(count):
                assert pynn.get_num_threads() == count
                assert selection.kernels().runtime.get_num_threads() == min(count, usable_processors())


def test_concurrent_callers_get_their_own_results(backend):
    """More Python threads than processors, each with its own data, while kernels share out their work."""
    with threads(2):
        expected = [results(seed) for seed in range(4)]
        failures = []

        def work(seed):
            try:
                for _ in range(3):
                    assert_same(results(seed), expected[seed])
            except BaseException as error:  # pytest does not see what a thread raises
                failures.append(error)

        storm = [threading.Thread(target=work, args=(turn % 4,)) for turn in range(12)]
        for thread in storm:
            thread.start()
        for thread in storm:
            thread.join()
    assert not failures


def test_trainers_in_several_threads_do_not_mix(backend):
    def train(seed):
        rng = np.random.default_rng(seed)
        model = pynn.Sequential(pynn.Linear(50, 200), pynn.BatchNorm1d(200), pynn.ReLU(), pynn.Linear(200, 4))
        for parameter in model.parameters():
            parameter[...] = rng.normal(size=parameter.shape) / 10
        trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.Adam(), seed=seed)
        x, y = rng.normal(size=(256, 50)).astype(np.float32), rng.integers(0, 4, 256)
        return [trainer.step(x, y) for _ in range(15)]

    expected = [train(seed) for seed in range(4)]
    found = [None] * 4

    def work(seed):
        found[seed] = train(seed)

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert found == expected


def test_the_team_grows_and_shrinks_between_calls(backend):
    with threads(1):
        expected = results()
    for count in (4, 1, 2, 8, 1, 3):
        with threads(count):
            assert_same(results(), expected)


@pytest.mark.skipif("cython" not in pynn.available_backends(), reason="NumPy and Numba share out no columns")
@pytest.mark.parametrize("activation", [None, "relu"])
def test_bits_of_a_batch_norm_do_not_depend_on_the_columns_beside_it(dtype, activation, rng):
    """A kernel takes the columns of a vector at a time, and single ones where they fill none."""
    for rows, width in itertools.product((4, 70), (1, 3, 5, 8, 11, 20)):
        x, dy = rng.normal(size=(2, rows, width)).astype(dtype)
        columns = rng.uniform(1, 2, size=(4, width)).astype(dtype)

        def both(x, dy, columns):
            y, mean, rstd = ops.batch_norm(x, *columns.copy(), activation=activation)
            return y, mean, rstd, *ops.batch_norm_backward(dy, x, *columns[:2], mean, rstd, activation=activation)

        with pynn.use_backend("cython"):
            together = both(x, dy, columns)
            apart = [both(*(np.ascontiguousarray(a[..., [j]]) for a in (x, dy, columns))) for j in range(width)]
        assert_same([np.concatenate(results, axis=-1) for results in zip(*apart, strict=True)], together)


@pytest.mark.parametrize("activation", [None, "relu"])
def test_batch_norm_of_any_width_has_the_same_bits(backend, dtype, activation, rng):
    """Threads share out columns, and a kernel takes as many of them at a time as there are."""
    for width in (20, 24, 33, 36, 40, 72, 100, 136):
        x, dy = rng.normal(size=(2, 3000, width)).astype(dtype)
        columns = rng.uniform(1, 2, size=(4, width)).astype(dtype)
        found = []
        for count in (1, 2, 5):
            with threads(count):
                y, mean, rstd = ops.batch_norm(x, *columns.copy(), activation=activation)
                found.append(
                    [y, *ops.batch_norm_backward(dy, x, *columns[:2], mean, rstd, activation=activation), mean, rstd]
                )
        assert_same(found[1], found[0])
        assert_same(found[2], found[0])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # Python 3.12 on forking with threads
def test_a_forked_child_computes_with_a_team_of_its_own(backend):
    """The parent's threads do not exist in the child, which must neither wait for them nor crash."""
    with threads(2):
        expected = results()
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                assert_same(results(), expected)
                os.write(writer, b"same")
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as answer:
            assert answer.read() == b"same"
        os.waitpid(child, 0)
        assert_same(results(), expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_forked_while_a_thread_initialises_layers_makes_its_own():
    """The lock of the generator is held by a thread that does not exist in the child."""
    code = """
import os, signal, threading
import pynn
from pynn.nn.random import initial_generator
pynn.manual_seed(0)
held, done = threading.Event(), threading.Event()
def draw():
    with initial_generator().bit_generator.lock:
        held.set()
        done.wait()
thread = threading.Thread(target=draw)
thread.start()
held.wait()
child = os.fork()
if child == 0:
    signal.alarm(60)
    layer = pynn.Linear(3, 3)
    pynn.manual_seed(0)
    os._exit(0 if (layer.weight == pynn.Linear(3, 3).weight).all() else 1)
done.set()
assert os.waitpid(child, 0)[1] == 0
"""
    done = in_new_process(code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("count", [0, -1, MAX_THREADS + 1, 2.0, "2", True, None])
def test_an_impossible_number_of_threads(count):
    before = pynn.get_num_threads()
    with pytest.raises(ValueError, match=f"expected an integer from 1 to {MAX_THREADS}"):
        pynn.set_num_threads(count)
    assert pynn.get_num_threads() == before


def in_new_process(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True, timeout=120
    )


def test_the_environment_sets_the_number_of_threads():
    assert in_new_process("import pynn; print(pynn.get_num_threads())", PYNN_NUM_THREADS="3").stdout == "3\n"


@pytest.mark.parametrize("text", ["0", "two", "-1", "1.5", "", "100000"])
def test_an_impossible_environment(text):
    failed = in_new_process("import pynn; pynn.ops.relu([1.0]); pynn.get_num_threads()", PYNN_NUM_THREADS=text)
    assert failed.returncode == 1
    last = failed.stderr.splitlines()[-1]
    assert last == f"ValueError: PYNN_NUM_THREADS is {text!r}; expected an integer from 1 to {MAX_THREADS}"


def test_a_process_ends_while_threads_are_asleep_or_spinning():
    code = """
import numpy as np, pynn
pynn.set_num_threads(4)
a = np.ones((400, 400), np.float32)
for _ in range(20):
    pynn.ops.matmul(a, a)
"""
    assert in_new_process(code).returncode == 0


def test_a_limit_on_threads_leaves_the_work_to_those_there_are():
    code = """
import resource
resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
import numpy as np, pynn
pynn.set_num_threads(4)
a = np.ones((400, 400), np.float32)
assert (pynn.ops.matmul(a, a) == 400).all()
"""
    pytest.importorskip("resource")
    done = in_new_process(code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("text", "expected"), [("150000 100000\n", 2), ("50000 100000\n", 1), ("max 100000\n", None), ("nonsense", None)]
)
def test_a_container_with_less_time_than_processors(tmp_path, monkeypatch, text, expected):
    if hasattr(os, "sched_getaffinity"):
        monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    quota = tmp_path / "cpu.max"
    quota.write_text(text)
    assert usable_processors(quota) == (expected or 8)
    assert usable_processors(tmp_path / "absent") == 8
