"""Training on 1 and 2 ranks of one thread each, beside PyTorch's DistributedDataParallel on gloo.

    python -m bench.ranks.run --workload D --output bench/ranks/results.json
    bench/ranks/hosts.sh up 1gbit; python -m bench.ranks.run --workload D --network; bench/ranks/hosts.sh down

The contestants take turns, round by round; a speed-up is the median of the ratios within a round. Two ranks that
exchange nothing show what the machine allows: processors that share a core, its caches or its memory slow each other
down. Needs Open MPI's mpirun, mpi4py and two processors that nothing else uses.
"""

import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from pynn.bench import results
from pynn.bench.cases import WORKLOADS
from pynn.utils.json_values import write_json

#: The contestants. On one host nothing is compressed; over a network, what the processors allow is not the limit.
KINDS = ("pynn", "pynn, norm per rank", "pynn, nothing exchanged", "torch")
NETWORK_KINDS = ("pynn", "pynn, norm per rank", "pynn, bfloat16", "torch")
SINGLE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYNN_NUM_THREADS": "1"}


#: How mpirun, on the first of the hosts that hosts.sh makes, starts the second, and which network it uses.
HOSTS = Path(__file__).with_name("hosts.sh")
NETWORK = [
    *("--mca", "plm_rsh_agent", f"{HOSTS} agent", "--mca", "btl", "tcp,self"),
    *("--mca", "btl_tcp_if_include", "10.77.0.0/24", "--mca", "oob_tcp_if_include", "10.77.0.0/24"),
    *("--mca", "btl_tcp_links", "4"),  # with one, both directions together are as fast as one alone
    *("--host", "pynn-a:1,pynn-b:1"),
]


def timed(kind, name, batch, ranks, seconds, network=False):
    """Return what rank 0 tells of its steps."""
    with tempfile.TemporaryDirectory() as folder:
        launcher = ["mpirun", "--allow-run-as-root", *(NETWORK if network else []), "-n", str(ranks)]
        worker = [sys.executable, "-m", "bench.ranks.worker", kind, name, str(batch), str(seconds)]
        command = [*launcher, *worker, str(Path(folder) / "store")]
        if network:
            command = [str(HOSTS), "agent", "pynn-a", shlex.join(command)]
        done = subprocess.run(command, env=os.environ | SINGLE, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{kind} on {ranks} ranks ended with {done.returncode}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def measured(name, rounds, seconds, network):
    """Return the seconds of a step with 1 and 2 ranks, and the speed-ups."""
    batch = WORKLOADS[name].batch
    kinds = NETWORK_KINDS if network else KINDS
    found = {kind: {"1": [], "2": []} for kind in kinds}
    for _ in range(rounds):
        for kind in kinds:
            # On one rank, the kinds of pynn are the same.
            single = found["pynn"]["1"][-1:] if kind not in ("pynn", "torch") else []
            found[kind]["1"].append(single[0] if single else timed(kind, name, batch, 1, seconds)["seconds"])
            pair = timed(kind, name, batch, 2, seconds, network)
            found[kind]["2"].append(pair["seconds"])
            found[kind]["sent"] = pair["sent"]
    for times in found.values():
        times["speed-up"] = statistics.median(one / two for one, two in zip(times["1"], times["2"], strict=True))
    return {"batch": batch, "parameters": WORKLOADS[name].parameters, "kinds": found}


@click.command()
@click.option("--workload", type=click.Choice(list(WORKLOADS)), required=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--seconds", default=1.0, show_default=True, help="Of each measurement.")
@click.option("--network", is_flag=True, help="Run the second rank on the second host of hosts.sh.")
@click.option("--output", type=click.Path(path_type=Path), help="JSON file, whose other workloads stay.")
def main(workload, rounds, seconds, network, output):
    """Measure a workload."""
    figures = measured(workload, rounds, seconds, network)
    table = Table("", "1 rank, ms", "2 ranks, ms", "speed-up", "MB sent per step", title=f"workload {workload}")
    for kind, times in figures["kinds"].items():
        one, two = (f"{1e3 * statistics.median(times[ranks]):.2f}" for ranks in ("1", "2"))
        table.add_row(kind, one, two, f"{times['speed-up']:.2f}", f"{times['sent'] / 1e6:.2f}" if network else "")
    Console().print(table)
    if output is not None:
        known = json.loads(output.read_text()) if output.exists() else {}
        known |= {"setting": results.setting(), f"{workload}, network" if network else workload: figures}
        write_json(output, known, sort_keys=True)


if __name__ == "__main__":
    main()
