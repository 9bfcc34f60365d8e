"""What the commands import: they begin quickly."""

import os
import subprocess
import sys


def test_nothing_heavy_is_imported_early():
    code = """
import sys
import pynn
assert not {"click", "importlib.resources", "numpy.random", "rich"} & sys.modules.keys()
from pynn.cli import main
sys.argv = ["pynn", "--help"]
try:
    main()
except SystemExit:
    pass
assert not {"matplotlib", "numba", "rich", "pooch"} & sys.modules.keys()
"""
    environment = {name: value for name, value in os.environ.items() if name != "PYNN_BACKEND"}
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, env=environment)


def test_a_command_waits_for_no_module_that_it_does_not_need(tmp_path):
    """Importing scikit-learn takes longer than a short training, and what trainings need longer than predictions."""
    program = """
import sys
from pynn.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code
print(*sys.modules)
"""

    def modules(*arguments):
        command = [sys.executable, "-c", program, *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        return set(done.stdout.splitlines()[-1].split())

    assert not {"sklearn", "scipy", "pandas"} & modules("train", "--hidden", "4", "--epochs", "1", "-q")
    (tmp_path / "x.csv").write_text(("0," * 63 + "0\n") * 2)
    found = modules("predict", "pynn-model.safetensors", "x.csv", "--output", "y.csv")
    assert not {"sklearn", "matplotlib", "pynn.babysit"} & found
    assert (tmp_path / "y.csv").exists()
