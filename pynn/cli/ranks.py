"""The ranks on which ``mpirun`` has started a command."""

from __future__ import annotations

import os
from typing import Any

import click

from ..training.ranks import INSTALL_HINT

#: What launchers tell the processes that they start: Open MPI; MPICH and Intel MPI; srun.
SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS")
#: Connections between two hosts, a setting of Open MPI: over one, sums of 14 MB took 1.7 times as long (docs/mpi.md).
CONNECTIONS = {"OMPI_MCA_btl_tcp_links": "4"}


def communicator() -> Any:
    """Return the communicator of all ranks if a launcher has started several, else None."""
    size = next((int(os.environ[name]) for name in SIZES if os.environ.get(name, "").isdigit()), 1)
    if size == 1:
        return None
    for name, value in CONNECTIONS.items():
        os.environ.setdefault(name, value)  # before MPI starts
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise click.ClickException(f"{size} processes were started, to train together: {INSTALL_HINT}") from error
    if MPI.COMM_WORLD.Get_size() != size:
        raise click.ClickException(
            f"the launcher started {size} processes, but mpi4py sees {MPI.COMM_WORLD.Get_size()}: its MPI library is "
            "another one than the launcher's; install mpi4py and the launcher for the same MPI"
        )
    return MPI.COMM_WORLD
