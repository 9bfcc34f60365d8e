"""Writes the lists of operators in docs/onnx.md; with --check, only says whether they are up to date.

``python docs/onnx_operators.py`` after a change to what `pynn.onnx` reads or runs.
"""

import sys
from pathlib import Path

from pynn.interop.onnx.operators import OPERATORS
from pynn.interop.onnx.spans import READERS

PAGE = Path(__file__).parent / "onnx.md"


def lists():
    """Return the lists by the names of their places in the page."""
    read = {*READERS, "Reshape", "Resize", "Sum"} - {"Glu", "LogSigmoid", "SoftLimit"}  # names of pynn's own
    return {name: ", ".join(f"`{op}`" for op in sorted(ops)) for name, ops in (("load", read), ("backend", OPERATORS))}


def with_lists(text):
    """Return the page with the lists in their places."""
    for name, line in lists().items():
        start, stop = f"<!-- operators of {name}: docs/onnx_operators.py -->", f"<!-- end of operators of {name} -->"
        before, _, rest = text.partition(start)
        _, _, after = rest.partition(stop)
        text = f"{before}{start}\n\n{line}\n\n{stop}{after}"
    return text


def main():
    """Write the page, or compare it."""
    text = PAGE.read_text()
    if "--check" not in sys.argv:
        PAGE.write_text(with_lists(text))
    elif text != with_lists(text):
        sys.exit("docs/onnx.md is out of date: run python docs/onnx_operators.py")


if __name__ == "__main__":
    main()
