"""The build's translation of Cython to C: what has not changed is not compiled again."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

KERNELS = Path(__file__).parents[2] / "kernels"
pytestmark = pytest.mark.skipif(not (KERNELS / "transpile.py").exists(), reason="needs the source tree")


def transpile(folder, *sources):
    """Run the script as CMakeLists.txt does."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    command = [sys.executable, "-P", KERNELS / "transpile.py", folder, *sources]
    return subprocess.run(command, env=kept, capture_output=True, text=True, check=False)


def test_only_what_changes_is_written_anew(tmp_path):
    shutil.copytree(KERNELS / "cython", tmp_path / "kernels", ignore=shutil.ignore_patterns("*.h"))
    sources = [tmp_path / "kernels" / f"{name}.pyx" for name in ("cpu", "dropout")]
    out = tmp_path / "out"
    out.mkdir()
    assert transpile(out, *sources).returncode == 0
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert sorted(before) == ["cpu.c", "dropout.c"]
    sources[0].write_text(sources[0].read_text() + "\nchanged = 1\n")
    assert transpile(out, *sources).returncode == 0
    after = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert after["dropout.c"] == before["dropout.c"] and after["cpu.c"] > before["cpu.c"]


def test_an_error_ends_the_build_and_names_the_module(tmp_path):
    (tmp_path / "wrong.pyx").write_text("def f(:\n")
    done = transpile(tmp_path, tmp_path / "wrong.pyx")
    assert done.returncode != 0 and "wrong.pyx" in done.stderr
    assert not (tmp_path / "wrong.c").exists()
