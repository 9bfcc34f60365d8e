"""One rank that takes training steps and times them; started by ``bench.ranks.run`` with mpirun.

    python -m bench.ranks.worker KIND WORKLOAD BATCH SECONDS STORE

KIND is "pynn", "pynn, norm per rank", "pynn, bfloat16", "pynn, nothing exchanged" (each rank trains on its share of
the batch as if it were alone) or "torch" (DistributedDataParallel on gloo, whose ranks meet in the file STORE). Rank 0
prints the median seconds of a step and, if it is in a network namespace of its own, the bytes that it has sent per
step. All ranks take as many steps as rank 0 has time for.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from pynn.bench.cases import WORKLOADS

WARM_UP = 5
RANK, SIZE = (int(os.environ.get(f"OMPI_COMM_WORLD_{name}", default)) for name, default in (("RANK", 0), ("SIZE", 1)))


def pynn_step(kind, workload):
    """Return a step of pynn's, and a function that gives all ranks the answer of rank 0."""
    from mpi4py import MPI

    import pynn
    from pynn.bench.contestants import own
    from pynn.bench.data import batch

    pynn.set_num_threads(1)
    model = own.network(workload)
    for layer in model.all_layers():
        if hasattr(layer, "sync"):
            layer.sync = kind != "pynn, norm per rank"
    compression = "bfloat16" if kind == "pynn, bfloat16" else None
    optimizer = own._OPTIMIZERS[workload.optimizer]()
    loss = pynn.CrossEntropyLoss() if workload.loss == "cross_entropy" else pynn.MSELoss()
    apart = kind == "pynn, nothing exchanged"
    comm = MPI.COMM_SELF if apart else MPI.COMM_WORLD
    trainer = pynn.Trainer(model, loss, optimizer, comm=comm, compression=compression)
    x, y = batch(workload._replace(batch=workload.batch // SIZE) if apart else workload)
    return lambda: trainer.step(x, y), lambda value: bool(MPI.COMM_WORLD.bcast(value))


def torch_step(workload, store):
    """Return a step of PyTorch's, and a function that gives all ranks the answer of rank 0."""
    import torch
    from torch import distributed

    from pynn.bench.contestants import torch as peer
    from pynn.bench.data import batch

    torch.set_num_threads(1)
    if cards():
        os.environ["GLOO_SOCKET_IFNAME"] = cards()[0].name
    model = peer.network(workload)
    if SIZE > 1:
        distributed.init_process_group("gloo", init_method=f"file://{store}", rank=RANK, world_size=SIZE)
        model = torch.nn.parallel.DistributedDataParallel(model)
    optimizer = peer.make_optimizer(workload.optimizer, list(model.parameters()))
    criterion = torch.nn.CrossEntropyLoss() if workload.loss == "cross_entropy" else torch.nn.MSELoss()
    x, y = (torch.from_numpy(array[RANK * len(array) // SIZE :][: len(array) // SIZE]) for array in batch(workload))

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    def agreed(value):
        if SIZE == 1:
            return value
        flag = torch.tensor([int(value)])
        distributed.broadcast(flag, 0)
        return bool(flag.item())

    return step, agreed


def cards():
    """Return the network cards of a namespace made by hosts.sh, else nothing."""
    return [card for card in Path("/sys/class/net").iterdir() if card.name.startswith("veth-")]


def sent_bytes():
    """Return the bytes that have left this network namespace."""
    return sum(int((card / "statistics/tx_bytes").read_text()) for card in cards())


def main(kind, name, batch, seconds, store):
    """Take steps for so many seconds, and print how long they take."""
    workload = WORKLOADS[name]._replace(batch=int(batch))
    step, agreed = torch_step(workload, store) if kind == "torch" else pynn_step(kind, workload)
    for _ in range(WARM_UP):
        step()
    times, until, sent = [], time.perf_counter() + float(seconds), sent_bytes()
    going = True
    while going:
        began = time.perf_counter()
        for _ in range(5):
            step()
        times.append((time.perf_counter() - began) / 5)
        going = agreed(time.perf_counter() < until)
    if RANK == 0:
        figures = {"seconds": float(np.median(times)), "sent": (sent_bytes() - sent) / (5 * len(times))}
        sys.stdout.write(json.dumps(figures) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
