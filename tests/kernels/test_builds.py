"""Builds that are not whole: an instruction set that was not compiled, files that are missing or damaged."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pynn

compiled = pytest.importorskip("pynn.kernels.cython")
SETS = compiled.processor_instruction_sets()
#: A set with matrix units has the modules of the next one, but for one of its own.
UNITS = tuple(name for name in SETS if name.endswith(compiled.AMX))
BUILT = SETS[len(UNITS) :]
pytestmark = pytest.mark.skipif(len(BUILT) < 2, reason="this processor has one instruction set")
BEST, OLDEST = BUILT[0], BUILT[-1]

SHOW = """
import warnings, numpy as np, pynn, pynn.kernels.cython as compiled
print(compiled.supported_instruction_sets())
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    pynn.ops.relu(np.ones(3))
print(pynn.get_backend(), pynn.backends.selection.instruction_set())
print(*[warning.message for warning in told])
"""


class Build:
    """A copy of the package, as a wheel installs it, with kernels for two instruction sets."""

    def __init__(self, root):
        self.root, self.kernels = root, root / "pynn/kernels/cython"
        without = shutil.ignore_patterns("__pycache__", "*.pyx", "*.h", "*.npz", "*.csv")
        shutil.copytree(Path(pynn.__file__).parent, root / "pynn", ignore=without)
        for name in ("", "cython", "numpy"):
            for place in sys.modules[f"pynn.kernels.{name}".rstrip(".")].__path__:
                shutil.copytree(place, root / "pynn/kernels" / name, ignore=without, dirs_exist_ok=True)
        made = self.folder(compiled.supported_instruction_sets()[0].removesuffix(compiled.AMX)).name
        for name in BUILT:
            if name not in (BEST, OLDEST):
                shutil.rmtree(self.folder(name), ignore_errors=True)
            elif not self.folder(name).exists():
                shutil.copytree(self.kernels / made, self.folder(name))

    def folder(self, name):
        return self.kernels / name.replace("-", "_")

    def run(self, code=SHOW, **environment):
        path = [str(self.root), *(place for place in sys.path if place.endswith("site-packages"))]
        start = [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {path}\n{code}"]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYNN")}
        return subprocess.run(start, env=kept | environment, cwd=self.root, capture_output=True, text=True)


@pytest.fixture
def build(tmp_path):
    import pynn.kernels.numpy  # noqa: F401 - for its folder

    return Build(tmp_path)


def lines(done):
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_whole_build_takes_the_best_set(build):
    assert lines(build.run()) == [str((*UNITS, BEST, OLDEST)), f"cython {SETS[0]}", ""]


def test_a_set_that_was_not_built_is_not_named_and_not_taken(build):
    shutil.rmtree(build.folder(BEST))
    assert lines(build.run()) == [f"('{OLDEST}',)", f"cython {OLDEST}", ""]
    done = build.run(PYNN_ISA=BEST)
    assert f"ValueError: PYNN_ISA={BEST} cannot be used here: it was not built; expected one of {OLDEST}" in done.stderr


@pytest.mark.skipif(not UNITS, reason="needs matrix units (AMX)")
def test_a_set_with_matrix_units_that_was_not_built_is_not_taken(build):
    shutil.rmtree(build.folder(UNITS[0]))
    assert lines(build.run()) == [str((BEST, OLDEST)), f"cython {BEST}", ""]
    assert "it lacks machine; reinstall pynn" in build.run(PYNN_ISA=UNITS[0]).stderr


@pytest.mark.skipif(not UNITS, reason="needs matrix units (AMX)")
def test_the_peak_of_matrix_units_is_counted_in_their_operations(build):
    """A round is four tiles of 16 x 16 sums over 32 products; one of vectors has 12 of 16 sums over one product."""
    code = """
import pynn, pynn.kernels.cython as compiled
pynn.use_backend("cython")
print(compiled.machine.multiply_adds(1, 1, True), compiled.machine.multiply_adds(1, 1, False))
"""
    assert lines(build.run(code)) == [f"{4 * 2 * 16 * 16 * 32} {12 * 2 * 8}"]
    assert lines(build.run(code, PYNN_ISA=BEST)) == [f"{12 * 2 * 16} {12 * 2 * 8}"]


def test_a_set_that_lacks_a_module_is_not_taken(build):
    next(build.folder(BEST).glob("matmul*")).unlink()
    assert lines(build.run()) == [f"('{OLDEST}',)", f"cython {OLDEST}", ""]
    assert "it lacks matmul; reinstall pynn" in build.run(PYNN_ISA=BEST).stderr


def test_a_set_that_does_not_load_gives_way_with_a_warning(build):
    next(build.folder(BEST).glob("matmul*")).write_bytes(b"")
    sets, used, told = lines(build.run())
    assert (sets, used) == (str((*UNITS, BEST, OLDEST)), f"cython {OLDEST}")
    assert f"the kernels for {BEST} do not load" in told and "reinstall" in told
    done = build.run(PYNN_ISA=BEST, PYNN_BACKEND="cython")
    assert "BackendError: the cython backend is not available" in done.stderr and BEST in done.stderr


def test_without_any_set_numpy_serves_with_a_warning(build):
    for name in (BEST, OLDEST):
        shutil.rmtree(build.folder(name))
    sets, used, told = lines(build.run())
    assert (sets, used) == ("()", "numpy None")
    assert "pynn runs on NumPy alone" in told and f"({', '.join(SETS)})" in told
    assert "BackendError" in build.run(PYNN_BACKEND="cython").stderr


def test_sets_that_do_not_load_leave_numpy(build):
    for name in (BEST, OLDEST):
        next(build.folder(name).glob("watch*")).write_bytes(b"")
    _, used, told = lines(build.run())
    assert used == "numpy None" and "pynn runs on NumPy alone" in told and "watch" in told
