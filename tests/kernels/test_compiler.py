"""What an installation does without a C compiler that works."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    not (PROJECT / "CMakeLists.txt").exists() or sys.platform == "win32" or shutil.which("cc") is None,
    reason="needs the source tree, /bin/false and a C compiler",
)


def configured(folder, **environment):
    """Configure the build in a folder as a user with these environment variables does."""
    others = {name: value for name, value in os.environ.items() if name != "CC"}
    command = [sys.executable, "-m", "cmake", "-G", "Ninja", f"-DPython_EXECUTABLE={sys.executable}"]
    return subprocess.run(
        [*command, "-S", PROJECT, "-B", folder], env=others | environment, capture_output=True, text=True
    )


def test_a_compiler_that_comes_later_is_used(tmp_path):
    without = configured(tmp_path, CC="/bin/false")
    assert without.returncode != 0
    assert "no C compiler works" in without.stderr
    later = configured(tmp_path)
    assert later.returncode == 0, later.stderr
