"""The choice of "auto" by size: a table that is stored, read, refused when it is not one, and followed."""

import json
import math

import numpy as np
import pytest
from click.testing import CliRunner

import pynn
from pynn import backend, ops, tuning
from pynn.cli import main
from pynn.cli import tune as command

pytestmark = pytest.mark.skipif(
    "cython" not in pynn.available_backends(), reason="without compiled kernels there is nothing to choose from"
)


@pytest.fixture(autouse=True)
def file(tmp_path, monkeypatch):
    """Point to a personal table that does not exist yet, and keep the backend as it was."""
    path = tmp_path / "folder" / "tuning.json"
    monkeypatch.setenv("PYNN_TUNING", str(path))
    with pynn.use_backend("cython"):
        yield path


def store(table):
    with pynn.use_backend("cython"):
        return tuning.save(table, pynn.backend.instruction_set())


def test_without_a_table_it_is_cython(file):
    with pynn.use_backend("auto"):
        assert pynn.get_backend() == "cython"


def test_a_table_chooses_by_size(monkeypatch):
    store({"matmul.matmul": [[1000.0, "numpy"], [8000.0, "cython"]]})
    called = []
    numpy_kernels = backend._load("numpy").matmul
    original = numpy_kernels.matmul

    def spy(*arguments):
        called.append(arguments[7].shape)
        original(*arguments)

    monkeypatch.setattr(numpy_kernels, "matmul", spy)
    with pynn.use_backend("auto"):
        assert pynn.get_backend() == "auto"
        assert pynn.backend.instruction_set().startswith("x86-64") or pynn.backend.instruction_set() == "generic"
        for size in (9, 10, 19, 20):
            a = np.ones((size, size), np.float32)
            assert (ops.matmul(a, a) == size).all()
        # The size is that of the product, however it lies: 5 * 10 * 20.
        ops.matmul(np.ones((10, 5)), np.ones((20, 10)), trans_a=True, trans_b=True)
    assert called == [(10, 10), (19, 19), (5, 20)]


def test_a_recorded_step_stays_with_cython():
    def losses(name):
        pynn.manual_seed(0)
        model = pynn.Sequential(pynn.Linear(6, 8), pynn.BatchNorm1d(8), pynn.ReLU(), pynn.Linear(8, 3))
        trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.Adam())
        rng = np.random.default_rng(1)
        x, y = rng.normal(size=(20, 6)).astype(np.float32), rng.integers(0, 3, 20)
        with pynn.use_backend(name):
            return [trainer.step(x, y) for _ in range(5)]

    store({name: [[0.0, "numpy"]] for name in tuning.SIZE_OF})
    assert losses("auto") == losses("cython")


def test_every_function_of_a_table_gives_what_numpy_gives(rng):
    store({name: [[0.0, "numpy"]] for name in tuning.SIZE_OF})
    x = rng.normal(size=(7, 5))

    def results():
        gamma = np.ones(5)
        y, mean, rstd = ops.batchnorm_forward(x, gamma, gamma, np.zeros(5), np.ones(5), activation="gelu")
        w = x.ravel().copy()
        ops.sgd(w, x.ravel(), None, np.array([[0, 35]]), np.array([[0.1, 0.0]]))
        back = ops.batchnorm_backward(x, x, gamma, gamma, mean, rstd)
        return [y, *back, ops.tanh_backward(x, ops.tanh(x)), *ops.softmax_cross_entropy(x, np.arange(7) % 5), w]

    with pynn.use_backend("numpy"):
        expected = results()
    with pynn.use_backend("auto"):
        for got, want in zip(results(), expected, strict=True):
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
    "content",
    [
        "not JSON",
        "[]",
        '{"machine": "MACHINE"}',
        '{"machine": "MACHINE", "table": {"matmul.matmul": [[2, "numpy"], [1, "numpy"]]}}',
        '{"machine": "MACHINE", "table": {"matmul.matmul": [[1, "fortran"]]}}',
        '{"machine": "MACHINE", "table": {"os.system": [[1, "numpy"]]}}',
        '{"machine": "MACHINE", "table": {"matmul.matmul": 3}}',
        '{"machine": "MACHINE", "table": {"matmul.matmul": [[1' + "0" * 400 + ', "numpy"]]}}',
        '{"machine": "MACHINE", "table": {"matmul.matmul": [[NaN, "numpy"]]}}',
        '{"machine": "MACHINE", "table": {"matmul.matmul": [[Infinity, "numpy"]]}}',
        '{"machine": "MACHINE", "table": {"matmul.matmul": [[1, "numpy", 2]]}}',
        '{"machine": "MACHINE", "table": [1]}',
        '{"machine": "MACHINE", "table": null}',
        "[]",
        "null",
        '"MACHINE"',
        "[" * 100_000,
        "\0" * 100,
    ],
)
def test_what_is_not_a_table_is_reported_and_not_used(file, content):
    file.parent.mkdir()
    file.write_text(content.replace("MACHINE", tuning.machine(pynn.backend.instruction_set())))
    with pytest.warns(RuntimeWarning, match="run `pynn tune` again"), pynn.use_backend("auto"):
        assert pynn.get_backend() == "cython"


def test_what_cannot_be_read_is_reported_and_not_used(file):
    file.parent.mkdir()
    for damage in (lambda: file.write_bytes(b"\xff\xfe\x80"), lambda: (file.unlink(), file.mkdir())):
        damage()
        with pytest.warns(RuntimeWarning, match="run `pynn tune` again"), pynn.use_backend("auto"):
            assert pynn.get_backend() == "cython"


def test_a_user_without_a_home_uses_the_shipped_choice(monkeypatch):
    for name in ("PYNN_TUNING", "XDG_CONFIG_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)

    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(tuning.Path, "home", homeless)
    with pynn.use_backend("auto"):
        assert pynn.get_backend() == "cython"
    for arguments in (["tune"], ["tune", "--reset"]):
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 1
        assert "Name a file in the environment variable PYNN_TUNING" in done.output


def test_where_the_table_cannot_be_written_is_told_before_anything_is_measured(file, monkeypatch):
    monkeypatch.setattr(command, "LADDERS", None)
    file.mkdir(parents=True)
    done = CliRunner().invoke(main, ["tune"])
    assert done.exit_code == 1
    assert f"{file}: this is a folder" in done.output


def test_another_machines_table_is_not_used(file):
    store({"matmul.matmul": [[0.0, "numpy"]]})
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | {"machine": "elsewhere"}))
    with pynn.use_backend("auto"):
        assert pynn.get_backend() == "cython"


def test_changes_lie_halfway_between_what_was_measured():
    assert command.steps([(10, "cython"), (1000, "numpy"), (4000, "numpy"), (16000, "cython")]) == [
        (100, "numpy"),
        (8000, "cython"),
    ]
    assert command.steps([(10, "numpy"), (40, "numba")]) == [(0, "numpy"), (20, "numba")]
    assert command.steps([(10, "cython"), (40, "cython")]) == []


def test_the_command_measures_stores_and_forgets(file, monkeypatch):
    monkeypatch.setattr(command, "LADDERS", {name: ladder[:1] for name, ladder in command.LADDERS.items()})
    monkeypatch.setattr(command, "_BLOCK_SECONDS", 1e-4)
    monkeypatch.setattr(command, "_gains", lambda case, others: {"numpy": 1.2 if case.op == "sgd" else 1.04})
    done = CliRunner().invoke(main, ["tune"])
    assert done.exit_code == 0, done.output
    assert json.loads(file.read_text())["table"] == {"optim.sgd": [[0.0, "numpy"]]}
    assert f"stored in {file}" in done.stdout
    done = CliRunner().invoke(main, ["tune", "--reset"])
    assert done.exit_code == 0
    assert not file.exists()


def test_gains_are_measured_on_each_backend(monkeypatch):
    monkeypatch.setattr(command, "_BLOCK_SECONDS", 1e-4)
    for ladder in command.LADDERS.values():
        gains = command._gains(ladder[0][0], ["numpy"])
        assert gains.keys() == {"numpy"}
        assert gains["numpy"] > 0


def test_every_function_has_a_ladder_of_rising_sizes():
    assert command.LADDERS.keys() == tuning.SIZE_OF.keys()
    for ladder in command.LADDERS.values():
        sizes = [math.prod(cases[0].shape) for cases in ladder]
        assert sizes == sorted(sizes)
