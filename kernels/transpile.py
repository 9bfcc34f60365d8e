"""Write the C of all Cython modules into a folder: ``python -P transpile.py FOLDER NAME.pyx ...``.

One process for all takes 6 s; one for each takes 25 s, as each parses NumPy's declarations and Cython's own code anew.
A file whose content stays is not touched, so that a change to one module compiles one module. Without -P, the folder
`numpy` beside this file would hide NumPy.
"""

import filecmp
import os
import sys
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

folder, *sources = map(Path, sys.argv[1:])
for source in sources:
    target = folder / f"{source.stem}.c"
    new = target.with_suffix(".new.c")
    if transpile(str(source), output_file=str(new), compiler_directives=DIRECTIVES).num_errors:
        sys.exit(f"{source} cannot be translated to C")
    if target.exists() and filecmp.cmp(new, target, shallow=False):
        new.unlink()
    else:
        os.replace(new, target)
