"""Write the C of all Cython modules into a folder: ``python -P transpile.py FOLDER NAME.pyx ...``.

As many processes as processors: one for each module takes four times as long, as each parses NumPy's declarations and
Cython's own code anew.
A file whose content stays is not touched, so that a change to one module compiles one module. Without -P, the folder
`numpy` beside this file would hide NumPy.
"""

import filecmp
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from Cython.Compiler.Main import compile as transpile

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "embedsignature": True,  # for inspect.signature
    "embedsignature.format": "clinic",
    "binding": False,  # functions of C, not of Cython's own type: GCC takes 0.6 s less for each module
}


def write(folder: Path, source: Path) -> bool:
    """Write the C of one module, and return whether it could be translated."""
    target = folder / f"{source.stem}.c"
    new = target.with_suffix(".new.c")
    if transpile(str(source), output_file=str(new), compiler_directives=DIRECTIVES).num_errors:
        return False
    if target.exists() and filecmp.cmp(new, target, shallow=False):
        new.unlink()
    else:
        os.replace(new, target)
    return True


if __name__ == "__main__":
    folder, *sources = map(Path, sys.argv[1:])
    with ProcessPoolExecutor(os.cpu_count()) as processes:
        for source, done in zip(sources, processes.map(partial(write, folder), sources), strict=True):
            if not done:
                sys.exit(f"{source} cannot be translated to C")
