"""The benchmark: what it counts, how it compares, what it writes and prints. Times themselves are never asserted."""

import itertools
import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

import pynn
from pynn.bench import cases, comparison, memory, report, results, roofline, worker
from pynn.bench.cases import Case
from pynn.bench.contestants import CONTESTANTS, own
from pynn.bench.limits import MachineLimits
from pynn.bench.work import work
from pynn.cli import main

pytestmark = pytest.mark.skipif(
    "cython" not in pynn.available_backends(), reason="the machine's limits are measured by compiled kernels"
)

TINY = {
    "matmul": (4, 5, 6),
    "linear": (4, 5, 6),
    "conv": (2, 3, 4, 6, 5),
    "image": (2, 3, 4, 6),
    "batchnorm": (8, 16),
    "loss": (8, 5),
}
LIMITS = MachineLimits({"float32": 100e9, "float64": 50e9}, [(1 << 17, 40e9), (1 << 26, 10e9)])


@pytest.fixture(autouse=True)
def same_process_afterwards():
    """Restore what contestants set for their whole process: the backend, and that denormals are flushed."""
    with pynn.use_backend(pynn.get_backend()):
        yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


def small(case):
    return case if case.group == "step" else case._replace(shape=TINY.get(case.group, (100,)))


def row(case, pynn_seconds=(1e-3, 1e-3, 1e-3), **others):
    return comparison.Row(case, {"pynn": list(pynn_seconds)} | others, {})


@pytest.mark.parametrize("full", [False, True])
def test_rows_are_distinct_and_of_known_groups(full):
    chosen = cases.select(full)
    assert len(set(chosen)) == len(chosen)
    assert {case.group for case in chosen} == set(cases.GROUPS)
    assert len({(case.group, case.title) for case in chosen}) == len(chosen)


@pytest.mark.parametrize(("busy", "waits"), [(0, 1), (3, 4), (10_000, worker.MOST_WAITS)])
def test_a_worker_answers_once_its_threads_are_idle(monkeypatch, busy, waits):
    used, slept = itertools.chain((float(second) for second in range(2 * busy)), itertools.repeat(1e5)), []
    monkeypatch.setattr(worker, "time", SimpleNamespace(process_time=lambda: next(used), sleep=slept.append))
    assert worker.rested(1.5) == 1.5
    assert len(slept) == waits


def test_the_quick_rows_are_among_the_full_ones():
    assert set(cases.select(False)) <= set(cases.select(True))


@pytest.mark.parametrize("case", dict.fromkeys(map(small, cases.select(True))), ids=lambda case: case.title)
@pytest.mark.parametrize("contestant", ["pynn", "numpy"])
def test_pynn_can_do_every_row(contestant, case):
    if case.group == "step" and case.op not in ("AEG" if contestant == "pynn" else "AE"):
        case = Case("step", "E")
    run = CONTESTANTS[contestant].prepare(case)
    run()
    run()


def test_the_work_of_a_product():
    assert work(Case("matmul", "matmul", (2, 3, 5))) == (60, 4 * (6 + 15 + 10), 4 * (6 + 15 + 10))
    assert work(Case("matmul", "matmul", (2, 3, 5), "float64")).bytes == 8 * 31


def test_every_row_has_work():
    for case in cases.select(True):
        amount = work(case)
        assert amount.operations > 0 < amount.bytes
        assert amount.footprint > 0


def test_the_work_of_a_step_is_mostly_its_products():
    # One hidden layer, batch 64: x w1, its gradient, h w2, its two gradients.
    products = 2 * 64 * (2 * 784 * 256 + 3 * 256 * 10)
    assert products < work(Case("step", "A")).operations < 1.1 * products


def test_the_work_of_a_step_on_images_is_mostly_its_convolutions():
    # Forward, and the gradient of the weights; but for the first, also that of the input.
    products = 18 * 64 * (2 * 32 * 32 * 3 * 32 + 3 * 16 * 16 * 32 * 64 + 3 * 8 * 8 * 64 * 128)
    assert products < work(Case("step", "G")).operations < 1.1 * products


@pytest.mark.parametrize("workload", cases.WORKLOADS.values(), ids=cases.WORKLOADS)
def test_a_workload_says_how_many_parameters_its_network_has(workload):
    parameters = own.network(workload).parameters()
    assert workload.parameters == sum(parameter.size for parameter in parameters)


@pytest.mark.parametrize("peer", ["torch", "jax"])
@pytest.mark.parametrize("workload", ["A", "B", "E", "G", "H", "I"])
def test_contestants_train_the_same_network(peer, workload):
    """The losses of three steps: JAX takes the first of them when it compiles."""
    pytest.importorskip(peer)
    case = Case("step", workload)
    runs = [CONTESTANTS[name].prepare(case) for name in ("pynn", peer)]
    for run in runs[: 1 + (peer != "jax")]:
        run()
    for _ in range(2):
        losses = [run() for run in runs]
        assert losses[1] == pytest.approx(losses[0], rel=1e-3)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured on Linux")
def test_peak_memory_is_that_of_the_calls():
    script = """if True:
        import numpy as np
        from pynn.bench import memory

        def prepare():
            np.ones(4 * size)
            return lambda: np.ones(size)

        size = 1 << 24
        print(memory.peak_growth(prepare) / (8 * size))
    """  # in a new process, in which no garbage of other tests is freed meanwhile
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)
    assert 0.9 < float(done.stdout) < 1.5
    assert memory.peak_growth(lambda: None) is None


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured on Linux")
def test_a_contestant_says_how_much_memory_a_step_takes():
    remote = comparison.Remote("pynn", threads=1)
    try:
        assert remote.ask(prepare=Case("step", "E")) > 0
        assert remote.ask(memory=Case("step", "A")) > 4 * 4 * cases.WORKLOADS["A"].parameters / 2
    finally:
        remote.close()


def test_the_limit_is_the_slower_of_arithmetic_and_memory():
    compute, memory = Case("matmul", "matmul", (2048,) * 3), Case("activation", "relu", (1 << 24,))
    assert LIMITS.least_seconds(work(compute), "float32") == pytest.approx(2 * 2048**3 / 100e9)
    assert LIMITS.least_seconds(work(compute), "float64") == pytest.approx(2 * 2048**3 / 50e9)
    assert LIMITS.least_seconds(work(memory), "float32") == pytest.approx(2 * 4 * (1 << 24) / 10e9)


def test_contestants_alternate_in_processes_of_their_own():
    with comparison.Field(["pynn", "blas"], threads=1) as field:
        limits = field.limits()
        found = field.compare(Case("matmul", "matmul", (16, 16, 16)), rounds=3, block_seconds=0.001)
        absent = field.compare(Case("loss", "softmax_cross_entropy", (8, 5)), rounds=2, block_seconds=0.001)
        wrong = field.compare(Case("loss", "nonsense", ()), rounds=2, block_seconds=0.001)
    assert limits.operations["float32"] > limits.operations["float64"] > 1e8
    rates = [rate for _, rate in limits.copies]
    assert rates == sorted(rates, reverse=True)
    assert {name: len(figures) for name, figures in found.seconds.items()} == {"pynn": 3, "blas": 3}
    assert min(map(min, found.seconds.values())) > 0
    assert absent.seconds.keys() == {"pynn"}
    assert not wrong.seconds
    assert "expected" in wrong.failures["pynn"] or "Error" in wrong.failures["pynn"]


def test_a_contestant_that_dies_is_named():
    remote = comparison.Remote("nobody", threads=1)
    with pytest.raises(comparison.ContestantError, match="nobody ended: KeyError"):
        remote.ask(limits=True)
    remote.close()


def test_the_ratio_is_the_median_over_rounds():
    found = row(Case("step", "A"), (1.0, 2.0, 4.0), torch=[3.0, 4.0, 4.0])
    assert found.ratio("torch") == (2.0, 1.5, 2.5)


def test_results_survive_a_file(tmp_path):
    rows = [
        row(Case("matmul", "matmul", (2, 3, 4)), torch=[2e-3] * 3),
        comparison.Row(Case("step", "A"), {}, {"x": "y"}),
    ]
    before = results.Results(2, LIMITS, rows, results.setting())
    path = tmp_path / "figures.json"
    results.save([before], path)
    assert results.load(path) == [before]
    assert json.loads(path.read_text())[0]["setting"]["pynn"] == pynn.__version__


def test_a_table_for_each_group():
    rows = [
        row(Case("matmul", "matmul", (1000, 1000, 1000)), (0.05,) * 3, torch=[0.1] * 3, blas=[0.025] * 3),
        row(Case("matmul", "matmul", (500, 1000, 1000)), (0.05,) * 3, torch=[0.2] * 3),
        row(Case("step", "A"), jax=[0.003] * 3),
        comparison.Row(Case("step", "B"), {}, {"pynn": "no memory"}),
    ]
    products, steps = report.tables(results.Results(1, LIMITS, rows, {}))
    assert products.headings == ["", "time", "GFLOP/s", "limit", "NumPy", "PyTorch"]
    assert products.rows[0] == ["matmul 1000x1000x1000", "50.0 ms", "40.0", "40%", "0.50", "2.00"]
    assert products.rows[1][4:] == ["", "4.00"]
    assert products.rows[2] == ["geometric mean", "", "", "", "0.50", "2.83"]
    assert steps.rows[0][1] == "1.00 ms"
    assert steps.rows[0][-1] == "3.00"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.5, "2.50 s"), (0.0412, "41.2 ms"), (0.999, "999 ms"), (12.34e-6, "12.3 us"), (0.4e-6, "0.40 us")],
)
def test_a_duration_in_its_unit(seconds, text):
    assert report.duration(seconds) == text


def test_the_roofline_is_a_picture(tmp_path):
    rows = [row(small(case)) for case in cases.select(False)]
    path = tmp_path / "roofline.png"
    roofline.draw(results.Results(1, LIMITS, rows, results.setting()), path)
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def bench(monkeypatch):
    """Run the command on two small rows."""
    monkeypatch.setattr(
        cases, "select", lambda full, groups: [Case("matmul", "matmul", (8, 8, 8)), Case("activation", "relu", (64,))]
    )
    return lambda *arguments: CliRunner().invoke(main, ["bench", *map(str, arguments)])


def test_the_command_prints_a_table_and_writes_figures_and_a_picture(bench, tmp_path):
    done = bench("--peers", "blas", "--output", tmp_path / "figures.json")
    assert done.exit_code == 0, done.output
    assert "matmul 8x8x8" in done.stdout
    assert "limits of 1 thread" in done.stdout
    (found,) = results.load(tmp_path / "figures.json")
    assert [measured.case.op for measured in found.rows] == ["matmul", "relu"]
    assert (tmp_path / "figures-1.png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--peers", "tensorflow"], "unknown 'tensorflow'; expected one or more of"),
        (["--only", "convolution"], "unknown 'convolution'; expected one or more of matmul,"),
        (["--threads", "0"], "expected numbers from 1 to 256"),
        (["--threads", "1,x"], "expected numbers from 1 to 256"),
        (["--output", "figures.txt"], "expected a file name ending in .json"),
        (["--output", "absent/figures.json"], "the folder absent does not exist"),
    ],
)
def test_bad_options_are_one_line(bench, arguments, message):
    done = bench(*arguments)
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert message in line


def test_data_is_the_same_for_all():
    from pynn.bench import data

    a, b = data.factors(Case("matmul", "matmul_trans_a", (3, 4, 5)))
    assert (a.shape, b.shape) == ((4, 3), (4, 5))
    np.testing.assert_array_equal(a, data.factors(Case("matmul", "matmul_trans_a", (3, 4, 5)))[0])
