"""``pynn info``."""

from __future__ import annotations

import importlib
import json
import os
import platform
from importlib import metadata
from typing import Any

import click
import numpy as np

from .. import __version__
from ..backends import selection as backend
from ..backends.precision import get_matmul_precision


@click.command(short_help="Show versions, backends and settings.")
@click.option("--json", "as_json", is_flag=True, help="Print the facts as JSON.")
def info(as_json: bool) -> int:
    """Show versions, backends and settings.

    Fails if an environment variable names a setting that is not available here.
    """
    facts = collect()
    click.echo(json.dumps(facts, indent=2) if as_json else _text(facts))
    if facts["problem"]:
        raise click.ClickException(facts["problem"])
    return 0


def collect() -> dict[str, Any]:
    """Return all facts, ready for JSON; a backend maps to None if usable, else to the reason why not."""
    try:
        in_use, instructions, problem = backend.get_backend(), backend.instruction_set(), None
        threads, precision = backend.get_num_threads(), get_matmul_precision()
    except (ValueError, backend.BackendError, ImportError) as error:
        in_use, instructions, problem, threads, precision = None, None, str(error), None, None
    return {
        "pynn": __version__,
        "other_pynn": _other_pynn(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
        "backend": in_use,
        "backends": {name: _reason(name) for name in backend.BACKENDS},
        "instruction_set": instructions,
        "supported_instruction_sets": _instruction_sets(),
        "matmul_precision": precision,
        "threads": threads,
        "environment": {name: value for name, value in sorted(os.environ.items()) if name.startswith("PYNN_")},
        "problem": problem,
    }


def _reason(name: str) -> str | None:
    try:
        return backend.why_missing(name)
    except (ValueError, ImportError) as error:  # a bad PYNN_ISA, or compiled files that fail to load
        return str(error)


def _instruction_sets() -> list[str]:
    try:
        return list(importlib.import_module("pynn.kernels.cython").supported_instruction_sets())
    except (ValueError, ImportError):
        return []


def _text(facts: dict[str, Any]) -> str:
    sets = facts["supported_instruction_sets"]
    lines = [
        ("pynn", facts["pynn"]),
        ("Python", f"{facts['python']} on {facts['machine']}"),
        ("NumPy", facts["numpy"]),
        ("backend", _with_speed(facts["backend"])),
        *((f"  {name}", reason or "available") for name, reason in facts["backends"].items()),
        ("instructions", facts["instruction_set"] or "-"),
        ("  supported", ", ".join(sets) or "-"),
        ("precision", facts["matmul_precision"] or "-"),
        ("threads", "-" if facts["threads"] is None else str(facts["threads"])),
        ("environment", ", ".join(f"{k}={v}" for k, v in facts["environment"].items()) or "no PYNN_ variables set"),
    ]
    if facts["other_pynn"] is not None:
        lines.append(("beware", f"PyNN {facts['other_pynn']} is installed, too (pip install pynn): another project"))
    return "\n".join(f"{name:14}{value}" for name, value in lines)


def _with_speed(name: str | None) -> str:
    return f"numpy, {backend.SLOWER} than cython" if name == "numpy" else name or "none"


def _other_pynn() -> str | None:
    """Return the version of the project that PyPI calls pynn; where case is ignored, it shares pynn's folder."""
    try:
        return metadata.version("pynn")
    except metadata.PackageNotFoundError:
        return None
