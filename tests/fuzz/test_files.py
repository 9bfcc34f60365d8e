"""Files of every format with bytes flipped, cut, added and claiming too much are read, or refused as documented."""

import contextlib
import resource
from pathlib import Path

import numpy as np
import pytest
from fuzz.files import FORMATS, read_damaged
from fuzz.tried import amounts, each_seed

#: Damaged files that are made of one whole file.
FILES = 20
#: What reading may take at most beside what there is; a small file must not claim more.
ROOM = 2 << 30


@contextlib.contextmanager
def little_memory():
    """Let this process have no more than `ROOM` on top."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="limits memory as Linux does")
@pytest.mark.parametrize("name", FORMATS)
@amounts
def test_damaged_files_are_refused_or_read(name, amount, tmp_path, record_property):
    tried = 0

    def check(seed):
        nonlocal tried
        with np.errstate(all="ignore"):
            read_damaged(name, seed, tmp_path, FILES)
        tried += FILES

    try:
        with little_memory():
            each_seed(10 * amount, check)
    finally:
        record_property("tried: damaged files", tried)
