"""Fuzzes as a program: as often as it is told, without pytest and hypothesis, and to the end whatever it finds.

    PYTHONPATH=tests python -m fuzz --calls 1000000 --hostile 100000 --files 100000 --backend cython --seed 0
    PYTHONPATH=tests python -m fuzz --calls 5000 --op matmul --op conv2d

What goes wrong is listed, each with the seed that makes it again; the exit code says whether there was any.
"""

import argparse
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from fuzz import files, hostile
from fuzz.driver import CASES, DTYPES, call_once

import pynn

#: Wrong ones that are shown; the rest is counted.
SHOWN = 30


class Tally:
    """Counts what was tried and what went wrong."""

    def __init__(self):
        self.wrong = 0

    def attempt(self, function, *arguments):
        try:
            function(*arguments)
        except AssertionError as error:
            self.wrong += 1
            if self.wrong <= SHOWN:
                sys.stdout.write(f"{error}\n")

    def all(self, what, attempts):
        """Make all attempts, and say how many there were."""
        before, began, count = self.wrong, time.perf_counter(), 0
        for count, (function, *arguments) in enumerate(attempts, 1):  # noqa: B007 - the count is wanted after the loop
            self.attempt(function, *arguments)
        seconds = time.perf_counter() - began
        sys.stdout.write(f"{count:,} {what} in {seconds:.0f} s: {self.wrong - before} wrong\n")
        sys.stdout.flush()


def main():
    """Try as much as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=0, help="calls of ops, compared with float64")
    parser.add_argument("--hostile", type=int, default=0, help="calls of ops with arguments that make no sense")
    parser.add_argument("--files", type=int, default=0, help="damaged files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backend", default="cython", choices=pynn.available_backends())
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--op", choices=CASES, action="append", help="only these ops")
    parser.add_argument("--format", choices=files.FORMATS, action="append", help="only these formats")
    given = parser.parse_args()
    names, formats = given.op or list(CASES), given.format or list(files.FORMATS)
    warnings.simplefilter("ignore")
    pynn.set_num_threads(given.threads)
    tally, seed, batch = Tally(), given.seed, 20
    with pynn.use_backend(given.backend), np.errstate(all="ignore"), tempfile.TemporaryDirectory() as folder:
        calls = ((call_once, names[i % len(names)], [seed, i], DTYPES[i // len(names) % 2]) for i in range(given.calls))
        tally.all(f"calls of ops on {given.backend}", calls)
        tally.all("calls that make no sense", ((hostile.call_hostile, [seed, i]) for i in range(given.hostile)))
        rounds = range(-(-given.files // batch))
        tally.all(
            f"rounds of {batch} damaged files",
            ((files.read_damaged, formats[i % len(formats)], [seed, i], Path(folder), batch) for i in rounds),
        )
    sys.exit(bool(tally.wrong))


if __name__ == "__main__":
    main()
