"""What the compiler makes of the innermost loops: times vary, instructions can be counted.

The counts hold for GCC from 12 and clang from 16; other compilers skip.
"""

import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HEADERS = Path(__file__).parents[2] / "kernels" / "cython"
FLAGS = ("-O3", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-march=x86-64-v3")

OLDEST = {"GCC": 12, "clang": 16}


def compiler():
    """Return the name and major version of the C compiler, both from its own macros."""
    done = subprocess.run(["cc", "-dM", "-E", "-x", "c", "/dev/null"], capture_output=True, text=True)
    macros = dict(re.findall(r"#define (\w+) (\d+)", done.stdout))
    for name, macro in (("clang", "__clang_major__"), ("GCC", "__GNUC__")):  # clang defines both
        if macro in macros:
            return name, int(macros[macro])
    return "unknown", 0


@pytest.fixture(scope="module", autouse=True)
def known_compiler():
    """Skip where the counts do not apply."""
    if not HEADERS.is_dir():
        pytest.skip("the headers are in the source tree")
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler")
    if sys.platform != "linux" or platform.machine() != "x86_64":
        pytest.skip("reads the assembly of x86-64 Linux")
    name, version = compiler()
    if version < OLDEST.get(name, 1):
        known = " and ".join(f"{known} from {oldest}" for known, oldest in OLDEST.items())
        pytest.skip(f"the counts are those of {known}; cc is {name} {version}")


def loops(source, name, *flags):
    """Return the instructions of each innermost loop of a function, compiled for x86-64-v3."""
    done = subprocess.run(
        ["cc", *FLAGS, *flags, "-I", HEADERS, "-S", "-x", "c", "-o", "-", "-"],
        input=source, capture_output=True, text=True, check=True,
    )  # fmt: skip
    text = re.sub(r"[ \t]*#.*", "", done.stdout)  # clang comments on labels and instructions
    body = re.search(rf"^{name}:\n(.*?)\n\s*\.size\s+{name}", text, re.S | re.M).group(1)
    if re.search(r"movq\s+%rsp, %rbp", body):
        body = body.replace("%rbp", "%rsp")  # the frame pointer; without one %rbp is a register like others
    lines = [line.strip() for line in body.splitlines() if line.strip() and ".loc" not in line]
    labels = {line[:-1]: index for index, line in enumerate(lines) if re.fullmatch(r"\.\w+:", line)}
    found = []
    for index, line in enumerate(lines):
        jump = re.fullmatch(r"j\w+\s+(\.\w+)", line)
        if jump and labels.get(jump[1], index) < index:
            inside = lines[labels[jump[1]] : index]
            if not any(re.match(r"j\w+\s", other) for other in inside):
                found.append([other for other in inside if not other.startswith(".")])
    return found


@pytest.mark.parametrize("copying", [0, 1])
@pytest.mark.parametrize(
    ("suffix", "kind", "a_row", "a_k"), [("f32", "float", 1, 6), ("f32", "float", 100, 1), ("f64", "double", 1, 6)]
)
def test_the_tile_is_twelve_multiply_adds_and_nothing_spilled(suffix, kind, a_row, a_k, copying):
    b_k = 200 if copying else "PN_VECTOR_BYTES / (ptrdiff_t)sizeof *b * 2"
    source = f"""
#include "gemm/gemm.h"
void tile(ptrdiff_t k, const {kind} *a, const {kind} *b, {kind} *panel, {kind} *c, ptrdiff_t ldc, ptrdiff_t columns) {{
    pn_tile_{suffix}(6, 1, {copying}, {a_row} == 1, k, a, {a_row}, {a_k}, b, {b_k}, panel, c, ldc, columns, 0, NULL);
}}
"""
    busy = [loop for loop in loops(source, "tile") if any("vfmadd" in line for line in loop)]
    assert len(busy) == 1
    (loop,) = busy
    operations = [line.split()[0] for line in loop]
    assert sum(operation.startswith("vfmadd") for operation in operations) == 12
    assert sum(operation.startswith("vbroadcast") for operation in operations) == 6
    assert not [line for line in loop if "%rsp" in line], "an accumulator was spilled"
    assert sum(operation.startswith("prefetch") for operation in operations) <= 2 + 2 * copying
    assert len(loop) <= 28 + 5 * copying  # the loads of B, pointers, the test; and the stores


@pytest.mark.parametrize(
    "code", ["PN_RELU", "PN_SIGMOID", "PN_TANH", "PN_SOFTPLUS", "PN_GELU", "PN_SILU", "PN_MISH", "PN_HARDSWISH"]
)
def test_activations_work_on_whole_vectors_and_call_nothing(code):
    source = f"""
#include "activations/activate.c"
__attribute__((flatten)) void activate(const float *restrict x, float *restrict y, ptrdiff_t n) {{
    pn_activate_f32(x, y, n, {code}, 1.0f);
}}
"""
    vectors = [loop for loop in loops(source, "activate") if any("%ymm" in line for line in loop)]
    assert vectors
    assert not any("call" in line for loop in vectors for line in loop)


@pytest.mark.parametrize("suffix", ["f32", "f64"])
@pytest.mark.parametrize(("name", "operands"), [("", "x"), ("_backward", "x, x")])
def test_activations_have_vectors_in_a_large_module_too(name, operands, suffix):
    # There, GCC inlines less: what it inlines late became branches, and a sigmoid in float64 took 5 times as long.
    real = {"f32": "float", "f64": "double"}[suffix]
    source = f"""
#include "activations/activate.c"
void map(const {real} *x, {real} *y, ptrdiff_t n, int code, {real} alpha) {{
    pn_map{name}_{suffix}({operands}, y, n, code, alpha);
}}
"""
    flags = ["-finline-limit=10"] if compiler()[0] == "GCC" else []
    vectors = [
        loop for loop in loops(source, f"pn_activate{name}_{suffix}", *flags) if any("%ymm" in op for op in loop)
    ]
    assert len(vectors) >= 17  # of 18 functions; the identity's gradient is a copy


def test_the_largest_of_a_row_is_found_in_vectors():
    source = """
#include "common/reductions.h"
float largest(const float *x, ptrdiff_t n) { return pn_row_largest_f32(x, n); }
"""
    vectors = [loop for loop in loops(source, "largest") if any(line.startswith("vmaxps") for line in loop)]
    assert vectors
    for loop in vectors:
        assert sum("%ymm" in line and line.startswith("vmaxps") for line in loop) >= 4  # 32 numbers
        assert not [line for line in loop if "%rsp" in line], "a partial result was spilled"
