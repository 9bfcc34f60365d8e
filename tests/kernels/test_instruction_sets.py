"""Which instruction sets a build compiles for: those that its maker asks for, or the best of this processor."""

import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

KERNELS = Path(__file__).parents[2] / "kernels"
ALL = ["x86-64-v2", "x86-64-v3", "x86-64-v4"]
# The x86-64 psABI's levels, by the names that Linux gives a few of the instructions that they add.
LEVELS = {
    "x86-64-v4": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
    "x86-64-v3": {"avx2", "fma", "bmi2"},
    "x86-64-v2": {"ssse3", "sse4_2", "popcnt"},
}

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64" or not (KERNELS / "instruction_sets.cmake").exists(),
    reason="reads /proc/cpuinfo of x86-64 Linux, and the source tree",
)


def configured(folder, *options):
    """Return what a CMake project would compile for."""
    (folder / "CMakeLists.txt").write_text(
        f"cmake_minimum_required(VERSION 3.21)\nproject(any LANGUAGES C)\nset(KERNELS {KERNELS}/cython)\n"
        f"include({KERNELS}/instruction_sets.cmake)\n"
    )
    command = [sys.executable, "-m", "cmake", "-G", "Ninja", "-S", folder, "-B", folder / "build", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return re.search("Instruction sets: (.*)", done.stdout).group(1).split(";")


def test_an_installation_compiles_for_this_processor(tmp_path):
    flags = set(re.search(r"^flags\s*: (.*)", Path("/proc/cpuinfo").read_text(), re.M).group(1).split())
    best = next(([level] for level, needed in LEVELS.items() if needed <= flags), ALL)
    assert configured(tmp_path) == best


@pytest.mark.parametrize(
    ("options", "sets"),
    [
        (["-DINSTRUCTION_SETS=all"], ALL),
        (["-DINSTRUCTION_SETS=x86-64-v2;x86-64-v4"], ["x86-64-v2", "x86-64-v4"]),
        (["-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=x86_64"], ALL),  # a cross-compilation
        (["-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=aarch64"], ["generic"]),
    ],
)
def test_a_wheel_for_others_holds_what_they_may_need(options, sets, tmp_path):
    assert configured(tmp_path, *options) == sets
