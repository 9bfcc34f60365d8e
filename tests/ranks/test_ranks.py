"""Training on several MPI ranks: the same result as on one, and no rank waits for one that is gone."""

import os
import re
import signal
import time

import numpy as np
import pytest
from ranks.launching import FOLDER, is_running, launch, needs_mpi, start

import pynn

pytestmark = needs_mpi
RUNS, CHECKPOINTS, FAULTS = (FOLDER / name for name in ("runs.py", "checkpoints.py", "faults.py"))
CLI = "from pynn.cli import main; main()"


def completed(ranks, *arguments, **options):
    code, out, err = launch(ranks, *arguments, **options)
    assert code == 0, f"{arguments} on {ranks} ranks: {out[-2000:]} {err[-4000:]}"
    return out


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    """Return what the runs leave with one rank."""
    file = tmp_path_factory.mktemp("single") / "1.npz"
    completed(1, RUNS, file)
    return dict(np.load(file))


@pytest.mark.parametrize("ranks", [2, 4])
def test_ranks_change_the_result_only_by_rounding_and_no_bit_from_run_to_run(single, tmp_path, ranks):
    files = tmp_path / "first.npz", tmp_path / "second.npz"
    for file in files:
        completed(ranks, RUNS, file)
    first, second = (dict(np.load(file)) for file in files)
    assert set(first) == set(single)
    for name, expected in single.items():
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
        scale = np.nanmax(np.abs(expected), initial=0.0) or 1.0
        np.testing.assert_allclose(first[name], expected, rtol=0, atol=1e-12 * scale, err_msg=name)


def test_the_numpy_backend_and_steps_op_by_op_exchange_the_same(single, tmp_path):
    names = ["adam", "images", "dropout", "few rows"]
    completed(3, RUNS, tmp_path / "3.npz", *names, PYNN_BACKEND="numpy")
    for name, value in dict(np.load(tmp_path / "3.npz")).items():
        scale = np.nanmax(np.abs(single[name]), initial=0.0) or 1.0
        np.testing.assert_allclose(value, single[name], rtol=0, atol=1e-11 * scale, err_msg=name)


@pytest.mark.parametrize(("ranks", "per_host"), [(4, 2), (3, 2), (3, 1)])
def test_ranks_of_several_hosts_exchange_the_same(single, tmp_path, ranks, per_host):
    names = ["nesterov", "adam", "clip norm", "penalties", "watched", "own optimizer"]
    completed(ranks, RUNS, tmp_path / "found.npz", *names, RANKS_PER_HOST=str(per_host))
    for name, value in dict(np.load(tmp_path / "found.npz")).items():
        scale = np.nanmax(np.abs(single[name]), initial=0.0) or 1.0
        np.testing.assert_allclose(value, single[name], rtol=0, atol=1e-12 * scale, err_msg=name)


def test_ranks_without_room_in_shared_memory_get_the_same_bits_by_messages(tmp_path):
    assert completed(2, FAULTS, "crowded", folder=tmp_path).count("same bits") == 2


def test_a_checkpoint_of_four_ranks_resumes_on_two_and_on_one(tmp_path):
    completed(4, CHECKPOINTS, "whole", folder=tmp_path)
    completed(4, CHECKPOINTS, "half", folder=tmp_path)
    expected = pynn.Trainer.resume(tmp_path / "whole.ckpt").model.flat.values
    for ranks in (4, 2, 1):
        completed(ranks, CHECKPOINTS, "resumed", folder=tmp_path)
        found = pynn.Trainer.resume(tmp_path / "resumed.ckpt").model.flat.values
        if ranks == 4:
            np.testing.assert_array_equal(found, expected)
        else:
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_norms_per_rank_average_their_running_statistics(tmp_path):
    out = completed(2, FAULTS, "unsynced", folder=tmp_path)
    assert out.count("agrees with PyTorch") == 2


def test_compressed_gradients_train_as_well_to_three_digits(tmp_path):
    plain, compressed = (
        float(completed(2, FAULTS, "compressed", kind, RANKS_PER_HOST="1").split()[-1]) for kind in ("none", "bfloat16")
    )
    assert plain != compressed
    assert compressed == pytest.approx(plain, rel=0.02)


#: What is said of each way in which rank 1 differs.
DIFFERENCES = {
    "data": "rank 1 on .* has training data",
    "seed": "rank 1 on .* has seed 1; rank 0 on .* has 0",
    "network": "rank 1 on .* has network",
    "weights": "rank 1 on .* has weights",
    "backend": "rank 1 on .* has backend numpy; rank 0 on .* has cython",
    "version": "rank 1 on .* has pynn 9.9; rank 0 on .* has 0.1.0",
    "rows": "rank 1 cannot train: ValueError: x has a NaN in row 3",
    "not a communicator": "comm is 5; expected a communicator of mpi4py",
}


def test_ranks_that_differ_are_refused_by_name():
    out = completed(2, FAULTS, "differs", *DIFFERENCES)
    for fault, named in DIFFERENCES.items():
        assert out.count(f"{fault} refused: ") == 2, out
        assert re.search(f"^{fault} refused: {named}", out, re.MULTILINE), out


@pytest.mark.parametrize("fault", ["callback", "label", "uncaught"])
def test_an_error_on_one_rank_ends_all_and_names_it_and_the_last_checkpoint(tmp_path, fault):
    began = time.perf_counter()
    code, _, err = launch(3, FAULTS, "fails", fault, folder=tmp_path)
    assert code != 0
    assert time.perf_counter() - began < 60  # the start of Python three times on a busy machine included
    assert "rank 1 of 3" in err
    assert "the last checkpoint is run.ckpt" in err
    assert pynn.Trainer.resume(tmp_path / "run.ckpt").epoch >= 1


def test_a_callback_that_changes_the_weights_of_one_rank_ends_all(tmp_path):
    code, _, err = launch(2, FAULTS, "changes", folder=tmp_path)
    assert code != 0
    assert "RanksDifferError: rank 1 on " in err
    assert "has weights with checksum" in err


#: What is said of each way in which rank 1 is supplied with other minibatches.
SUPPLIES = {
    "other": "one of 8 rows with checksum .*; rank 0 on .* has one of 8 rows with checksum",
    "fewer": "none; rank 0 on .* has one of 8 rows",
    "smaller": "one of 6 rows with checksum .*; rank 0 on .* has one of 8 rows",
    "steps": "one of 8 rows with checksum .*; rank 0 on .* has one of 8 rows with checksum",
}


def test_ranks_that_are_supplied_with_other_minibatches_raise():
    out = completed(2, FAULTS, "supplies", *SUPPLIES)
    for fault, named in SUPPLIES.items():
        assert out.count(f"{fault} refused: ") == 2, out
        assert re.search(f"^{fault} refused: rank 1 on .* has as its next minibatch {named}", out, re.MULTILINE), out


def test_a_loss_that_is_not_finite_raises_on_all_ranks(tmp_path):
    assert completed(3, FAULTS, "diverges").count("NonFiniteError") == 3


def test_a_killed_rank_ends_the_others(tmp_path):
    """Within seconds; on a machine with much other work it takes longer."""
    process = start(3, FAULTS, "endless", folder=tmp_path)
    pids = [int(process.stdout.readline().split()[1]) for _ in range(3)]
    while not (tmp_path / "run.ckpt").exists():
        time.sleep(0.05)
    os.kill(pids[1], signal.SIGKILL)
    began = time.perf_counter()
    _, err = process.communicate(timeout=60)
    while any(is_running(pid) for pid in pids):
        assert time.perf_counter() - began < 60
        time.sleep(0.05)
    assert process.returncode != 0
    assert "mpirun noticed that process rank" in err or "KILLED BY SIGNAL: 9" in err  # Open MPI; MPICH
    assert "was told to end, perhaps because another rank died; the last checkpoint is run.ckpt" in err
    assert pynn.Trainer.resume(tmp_path / "run.ckpt").epoch >= 1


def test_the_command_line_trains_on_all_ranks_and_only_rank_0_speaks_and_writes(tmp_path):
    files = []
    for ranks in (1, 3):
        file = tmp_path / f"{ranks}.safetensors"
        code, out, err = launch(ranks, "-c", CLI, "train", "--epochs", 2, "--save", file, folder=tmp_path)
        assert code == 0, err
        assert out.count("model   ") == 1
        assert "failed" not in err  # the monitors of the other ranks see nothing, which no rule may stumble over
        files.append(pynn.load(file).flat.values)
    np.testing.assert_allclose(*files, rtol=0, atol=1e-4)  # float32
    assert sorted(path.name for path in tmp_path.glob("*.safetensors")) == ["1.safetensors", "3.safetensors"]


def test_the_command_line_refuses_cross_fitting_on_several_ranks(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{i},{i % 2}\n" for i in range(60)))
    code, _, err = launch(2, "-c", CLI, "train", "--data", "t.csv", "--target", "b", folder=tmp_path)
    assert code != 0
    assert "pass --folds 0" in err
