"""The files that commands write: their default names, the checks before the work, and the errors."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import click

MODEL, CURVES = Path("pynn-model.safetensors"), Path("pynn-curves")

save_option = click.option(
    "--save",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=f"Model file.  [default: {MODEL}, or with a number if that exists]",
)

json_option = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the result as JSON (its keys: docs/json.md); all else goes to standard error.",
)


def unused(*paths: Path) -> list[Path]:
    """Return the paths, with the lowest number in their names for which none of them exists.

    Examples
    --------
    >>> unused(Path("no-such-model.safetensors"))[0].name
    'no-such-model.safetensors'
    """
    for number in itertools.count(1):
        tried = [path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}") for path in paths]
        if not any(path.exists() for path in tried):
            break
    return tried


def check_apart(files: Mapping[str, str | Path | None]) -> None:
    """Raise a usage error if two options or arguments name one file, which would be overwritten.

    Examples
    --------
    >>> check_apart({"--save": Path("m.safetensors"), "--report": Path("run.html"), "--plot": None})
    """
    named: dict[Path, str] = {}
    for option, path in files.items():
        if path is None:
            continue
        other = named.setdefault(Path(path).resolve(), option)
        if other != option:
            raise click.BadOptionUsage(option, f"{other} and {option} name the same file, {path}")


def output_paths(save: Path | None, plot: Path | None, suffix: str) -> tuple[Path, Path]:
    """Return the paths of model and learning curves; those that are not given get the same number, if any."""
    curves = (save or MODEL).with_name(f"{CURVES}{suffix}")
    free = iter(unused(*([] if save else [MODEL]), *([] if plot else [curves])))
    return save or next(free), plot or next(free)


def check_writable(path: Path) -> None:
    """Raise a click error unless `path` can be written."""
    if path.is_dir():
        raise click.ClickException(f"cannot write {path}: it is a folder")
    if path.exists() and not path.is_file():
        raise click.ClickException(f"cannot write {path}: it is not a regular file")
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".pynn-"):
            pass
    except OSError as error:
        raise click.ClickException(f"cannot write {path}: {error.strerror}") from error


def write(path: Path, task: Callable[[], object]) -> None:
    """Run `task`, which writes `path`; raise a click error if that fails."""
    try:
        task()
    except OSError as error:
        raise click.ClickException(f"cannot write {path}: {error.strerror or error}") from error
