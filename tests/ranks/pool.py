"""Searches on a pool of MPI ranks: ``mpirun -n N python -m mpi4py.futures pool.py searches|deadly FILE [FOLDER]``."""

import pickle
import sys
import warnings
from pathlib import Path

from mpi4py.futures import MPIPoolExecutor
from search.test_engines import SEARCHES
from search_builds import build_and_die_once, find

from pynn.search import Choice


def main(what, file, folder=None):
    with MPIPoolExecutor() as executor:
        options = {"executor": executor, "workers": executor.num_workers}
        if what == "searches":
            results = {name: find(**settings, **options) for name, settings in SEARCHES.items()}
            found = {name: [(t.number, t.params, t.score) for t in each.trials] for name, each in results.items()}
        else:
            space = {"kind": Choice(f"{folder}/deadly", "harmless")}
            result = find(build_and_die_once, space, trials=6, seed=1, folder=f"{folder}/run", **options)
            found = [trial.ended for trial in result.trials]
    Path(file).write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(*sys.argv[1:])
