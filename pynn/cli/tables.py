"""Tables on the command line: the options that say how they are read, the choice of the target, and what was read."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import numpy as np

from ..datasets.tables.names import is_table
from ..report.text import amount
from ..utils.streams import error_stream, say

if TYPE_CHECKING:
    from ..datasets import Table
    from ..datasets.tables.options import ColumnOptions
    from ..datasets.tables.source import RawTable

#: Maximum numbers of classes whose shares are printed, and of columns that a message lists.
MOST_CLASSES, MOST_COLUMNS = 8, 30


SOURCES = "digits, mnist, cifar10, a table (.csv, .tsv, .txt, .csv.gz, .parquet, .xlsx, .json, .jsonl), or .npz or .npy"


class DataOptions(NamedTuple):
    """The options that say which data are used, and how they are read."""

    source: str = "digits"
    target: str | None = None
    task: Any = None
    drop: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    date: tuple[str, ...] = ()
    header: bool | None = None
    missing: tuple[str, ...] = ()
    decimal: str | None = None
    thousands: str | None = None
    encoding: str | None = None

    def is_table(self) -> bool:
        """Return whether the data are a table."""
        return self.source not in BUNDLED and is_table(self.source)

    def files(self) -> dict[str, str]:
        """Return the files that are read, by the options that name them."""
        if self.source in BUNDLED:
            return {}
        targets = {"--target": self.target} if self.source.endswith(".npy") and self.target else {}
        return {"--data": self.source, **targets}

    def words(self) -> list[str]:
        """Return the words of a command line that give these options.

        Examples
        --------
        >>> DataOptions("t.csv", drop=("id", "name"), header=False).words()
        ['--data', 't.csv', '--drop', 'id', '--drop', 'name', '--no-header']
        """
        words: list[str] = []
        for name, value in self._asdict().items():
            if value == self._field_defaults[name]:
                continue
            if name == "header":
                words.append("--header" if value else "--no-header")
                continue
            for each in value if isinstance(value, tuple) else (value,):
                words += ["--data" if name == "source" else f"--{name}", each]
        return words

    def refuse_those_of_tables(self) -> None:
        """Raise a usage error if an option is given that only tables have."""
        for name in self._fields[3:]:
            if getattr(self, name) not in (None, ()):
                raise click.BadOptionUsage(f"--{name}", f"--{name} is for tables; {self.source} is none")


BUNDLED = ("digits", "mnist", "cifar10")


def _columns(option: str, text: str, metavar: str = "COLUMNS") -> Callable[..., Any]:
    return click.option(option, multiple=True, metavar=metavar, help=text)


header_option = click.option(
    "--header/--no-header", default=None, help="Whether the first row names the columns.  [default: detected]"
)
encoding_option = click.option(
    "--encoding", metavar="NAME", help="Encoding of a file of text, such as cp1252.  [default: detected]"
)
_OPTIONS = (
    click.option("--data", "source", metavar="DATA", default=DataOptions().source, help=f"{SOURCES}."),
    click.option(
        "--target",
        metavar="COLUMN",
        help="Name or index of a table's target column; for an .npy file, the .npy file of targets.  [default: the "
        "evident column, else a question]",
    ),
    click.option(
        "--task",
        type=click.Choice(["classification", "regression"]),
        help="What the target is.  [default: regression for fractions and for many different whole numbers]",
    ),
    _columns("--drop", "Columns of a table to ignore, separated by commas."),
    _columns("--numeric", "Columns that are numbers, whatever they look like."),
    _columns("--categorical", "Columns that are categories, such as codes made of digits."),
    _columns("--date", "Columns of dates; with the format as in strptime if it is ambiguous: when=%d/%m/%Y."),
    header_option,
    _columns("--missing", "Words for a missing value, besides NA and the like.", metavar="WORDS"),
    click.option("--decimal", type=click.Choice([".", ","]), help="Decimal mark of numbers.  [default: detected]"),
    click.option("--thousands", metavar="MARK", help="Thousands separator of numbers.  [default: detected]"),
    encoding_option,
)


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of `DataOptions` to a command, which gets them as its argument `chosen`."""

    @functools.wraps(command)
    def completed(*arguments: Any, **options: Any) -> Any:
        chosen = DataOptions(**{name: options.pop(name) for name in DataOptions._fields})
        return command(*arguments, chosen=chosen, **options)

    for option in reversed(_OPTIONS):
        completed = option(completed)
    return completed


def read_table(options: DataOptions) -> tuple[Table, DataOptions]:
    """Read the table that the options describe; ask for the target if it is not evident.

    Return also options that read the table again without a question.
    """
    from ..datasets.tables.columns import check_names
    from ..datasets.tables.source import opened
    from ..datasets.tables.table import table_of

    source = opened(options.source, options.header, options.target, encoding=options.encoding)
    columns = _column_options(options, source.frame.columns)
    check_names(source, columns)
    target = _target(source, options.task, columns) if options.target is None else options.target
    settled = options._replace(target=target, header=source.named)
    return table_of(source, target, options.task, columns), settled


def _column_options(options: DataOptions, columns: list[str]) -> ColumnOptions:
    from ..datasets.tables.options import ColumnOptions

    drop, numeric, categorical = (
        frozenset(_separated(given, columns)) for given in (options.drop, options.numeric, options.categorical)
    )
    dates = dict(_date(given, columns) for given in _separated(options.date, columns))
    missing = tuple(_separated(options.missing, []))
    return ColumnOptions(drop, numeric, categorical, dates, missing, options.decimal, options.thousands)


def _separated(values: Iterable[str], columns: list[str]) -> list[str]:
    """Return the names in the values of an option; a column's name may contain commas."""
    return [name for value in values for name in ([value] if value in columns else value.split(","))]


def _date(given: str, columns: list[str]) -> tuple[str, str]:
    name, _, form = given.partition("=")
    return (given, "") if given in columns else (name, form)


def _target(source: RawTable, task: str | None, options: ColumnOptions) -> str:
    """Return the target if it is evident; ask for it on a terminal; else raise an error that lists the columns."""
    from ..datasets.tables.target import described, evident_target

    evident = evident_target(source, task, options)
    if evident is not None:
        return evident
    columns = described(source)
    shown = [f"{name} ({kind})" for name, kind in columns]
    if (more := len(columns) - MOST_COLUMNS) > 0:  # the last column is often the target
        shown[MOST_COLUMNS - 1 : -1] = [f"{more} more"]
    if not (sys.stdin is not None and sys.stdin.isatty() and error_stream().isatty()):
        raise click.UsageError(
            f"which column of {source.name} is the target? Name it with --target; the columns are: {', '.join(shown)}"
        )
    say(f"{source.name} has the columns: {', '.join(shown)}")
    names = [name for name, _ in columns]
    return str(click.prompt("Which one is to be predicted?", type=click.Choice(names), show_choices=False, err=True))


def table_notes(table: Table) -> tuple[str, ...]:
    """Return in a few lines what is predicted, and what was decided about the columns."""
    assert table.y is not None
    name = table.schema["target"]["name"]
    if table.class_names is None:
        lines = [f"target: {name}, regression, {amount(table.y.min(), 6)} to {amount(table.y.max(), 6)}"]
    else:
        shares = np.bincount(table.y, minlength=len(table.class_names)) / len(table.y)
        order = np.argsort(-shares, kind="stable")[:MOST_CLASSES]
        shown = [f"{table.class_names[place]} {_percent(shares[place])}" for place in order]
        more = [f"and {len(shares) - MOST_CLASSES} more"] if len(shares) > MOST_CLASSES else []
        lines = [f"target: {name}, {len(shares)} classes: {', '.join([*shown, *more])}"]
    if table.remarks:
        lines.append(f"file: {'; '.join(table.remarks)}")
    if table.without_target:
        lines.append(f"left out: {table.without_target} rows without a target")
    notes = table.notes.items()
    dropped = [f"{column} ({note.removeprefix('dropped: ')})" for column, note in notes if note.startswith("dropped")]
    read = [f"{column} ({note})" for column, note in notes if not note.startswith("dropped")]
    missing = [f"{column} {count}" for column, count in table.missing.items()]
    for what, parts in (("dropped", dropped), ("read", read), ("missing (numbers get the mean)", missing)):
        if parts:
            lines.append(f"{what}: {_some(parts)}")
    return tuple(lines)


def _percent(share: float) -> str:
    """Return a share, of which one near 0 or 1 keeps its digits."""
    return f"{share:.0%}" if 0.01 <= share <= 0.99 else f"{100 * share:.3g}%"


def _some(parts: list[str]) -> str:
    shown = parts[:MOST_CLASSES]
    return ", ".join(shown) + (f" and {len(parts) - MOST_CLASSES} more" if len(parts) > MOST_CLASSES else "")
