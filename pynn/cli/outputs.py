"""The files that commands read and write: their names, the checks before the work, and the errors."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from ..report import figures

#: Suffixes that say what a file holds.
FORMATS = frozenset(
    (
        *(".csv", ".tsv", ".txt", ".md", ".html", ".htm", ".json", ".jsonl", ".parquet", ".xlsx", ".npy", ".npz"),
        *(".png", ".svg", ".pdf", ".onnx", ".safetensors", ".pt", ".pth", ".pkl", ".h5", ".keras"),
    )
)
MODEL, CURVES = Path("pynn-model.safetensors"), Path("pynn-curves")


class FileName(click.Path):
    """A path; an empty one, as of a variable that is not set, would be that of the working folder."""

    def __init__(self, **options: Any) -> None:
        super().__init__(path_type=Path, **options)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("the name is empty", param, ctx)
        return super().convert(value, param, ctx)


save_option = click.option(
    "--save",
    type=FileName(),
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


def check_format(path: Path, *suffixes: str) -> None:
    """Raise a usage error if a file's name has the suffix of another format than it will hold.

    Examples
    --------
    >>> check_format(Path("run.html"), ".html", ".htm")
    >>> check_format(Path("run-2.1"), ".html", ".htm")
    """
    if path.suffix.lower() in FORMATS.difference(suffixes):
        raise click.UsageError(
            f"{path} is the name of a {path.suffix} file, and a {suffixes[0]} file would be written; name it "
            f"{path.with_suffix(suffixes[0])}"
        )


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


def check_results(
    read: Mapping[str, str],
    *,
    save: Path | None = None,
    report: Path | None = None,
    plot: Path | None = None,
    drawn: str = "",
) -> None:
    """Raise a click error unless model, page and picture, as far as they are wanted, can be written.

    Parameters
    ----------
    read : mapping of str to str
        The files that the command reads, by the options that name them.
    save, report, plot : Path, optional
    drawn : str
        The suffix of pictures that are drawn without matplotlib.
    """
    for path in filter(None, (save, plot, report)):
        check_writable(path)
    check_apart({**read, "--save": save, "--plot": plot, "--report": report})
    if save is not None:
        check_format(save, ".safetensors")
    if report is not None:
        check_format(report, ".html", ".htm")
    if plot is not None:
        _check_picture(plot, drawn)


def _check_picture(plot: Path, drawn: str) -> None:
    try:
        figures.check_format(plot)
    except ValueError as error:
        raise click.BadOptionUsage("--plot", f"--plot: {error}") from error
    if plot.suffix.lower() != drawn and not figures.plots_available():
        without = f"; {drawn} does not" if drawn else ""
        raise click.ClickException(f"--plot {plot} needs matplotlib: {figures.INSTALL_HINT}{without}")


def write(path: Path, task: Callable[[], object]) -> None:
    """Run `task`, which writes `path`; raise a click error if that fails."""
    try:
        task()
    except OSError as error:
        raise click.ClickException(f"cannot write {path}: {error.strerror or error}") from error
