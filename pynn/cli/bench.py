"""``pynn bench``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from ..backends.processors import usable_processors
from ..backends.selection import MAX_THREADS, why_missing
from ..bench import cases, report, results, roofline
from ..bench.comparison import ContestantError, Field
from ..bench.contestants import CONTESTANTS
from ..report.figures import INSTALL_HINT, plots_available
from ..report.text import counted
from ..utils.streams import FILE_WIDTH, error_console
from .outputs import FileName

#: Rounds per table row: every contestant runs one block in each.
QUICK_ROUNDS, FULL_ROUNDS = 7, 11
PEERS = tuple(name for name in CONTESTANTS if name != "pynn")


def _threads(_: click.Context, __: click.Parameter, text: str) -> list[int]:
    counts = text.split(",")
    if not all(count.isdecimal() and 1 <= int(count) <= MAX_THREADS for count in counts):
        raise click.BadParameter(f"{text!r}; expected numbers from 1 to {MAX_THREADS}, such as 1,2")
    maximum = usable_processors()
    if max(map(int, counts)) > maximum:
        raise click.BadParameter(f"{text!r}; this process may use {counted(maximum, 'processor')}")
    return [int(count) for count in counts]


def _names(known: tuple[str, ...]) -> Callable[[click.Context, click.Parameter, str | None], tuple[str, ...]]:
    def check(_: click.Context, __: click.Parameter, text: str | None) -> tuple[str, ...]:
        names = known if text is None else tuple(filter(None, text.split(",")))
        for name in names:
            if name not in known:
                raise click.BadParameter(f"unknown {name!r}; expected one or more of {','.join(known)}")
        return names

    return check


@click.command(short_help="Benchmark pynn against other installed libraries.")
@click.option("--full", is_flag=True, help="All shapes and more rounds: 20 minutes instead of 4.")
@click.option(
    "--peers",
    callback=_names(PEERS),
    metavar="NAMES",
    help=f"Libraries to compare with, some of {', '.join(PEERS)}.  [default: all that are installed]",
)
@click.option(
    "--only",
    callback=_names(cases.GROUPS),
    metavar="GROUPS",
    help=f"What to measure, some of {', '.join(cases.GROUPS)}.  [default: all]",
)
@click.option(
    "--threads", callback=_threads, default="1", metavar="COUNTS", help="Numbers of threads, such as 1,2: a table each."
)
@click.option(
    "--output",
    type=FileName(),
    metavar="FILE",
    help="Write the figures to this .json file and a picture next to it.",
)
def bench(full: bool, peers: tuple[str, ...], only: tuple[str, ...], threads: list[int], output: Path | None) -> None:
    """Benchmark ops and training steps against other installed libraries.

    Each library runs in its own process, and they take turns. A ratio above 1 means that pynn is that many times
    faster: the median over the rounds. "limit" is the share of this machine's measured peak: the rate of pure
    multiply-adds for arithmetic, that of a copy for memory.
    """
    _check(output)
    names = ["pynn", *(name for name in peers if CONTESTANTS[name].installed())]
    chosen = cases.select(full, only)
    found = []
    for count in threads:
        found.append(_measure(names, chosen, count, FULL_ROUNDS if full else QUICK_ROUNDS))
        _print(found[-1])
        if output is not None:  # after each count: an interruption keeps the earlier ones
            results.save(found, output)
    if output is None:
        return
    click.echo(f"figures: {output}", err=True)
    if plots_available():
        for result in found:
            picture = output.with_name(f"{output.stem}-{result.threads}.png")
            roofline.draw(result, picture)
            click.echo(f"picture: {picture}", err=True)
    else:
        click.echo(f"no picture: {INSTALL_HINT}", err=True)


def _check(output: Path | None) -> None:
    reason = why_missing("cython")
    if reason is not None:
        raise click.ClickException(f"nothing to measure: {reason}")
    if output is not None and output.suffix != ".json":
        raise click.BadParameter(f"{output}; expected a file name ending in .json", param_hint="--output")
    if output is not None and not output.parent.is_dir():
        raise click.BadParameter(f"the folder {output.parent} does not exist", param_hint="--output")


def _measure(names: list[str], chosen: list[cases.Case], threads: int, rounds: int) -> results.Results:
    from rich.progress import Progress

    rows = []
    with Field(names, threads) as field, Progress(console=error_console(), transient=True) as progress:
        task = progress.add_task("measuring the machine", total=len(chosen))
        try:
            limits = field.limits()
        except ContestantError as error:
            raise click.ClickException(f"cannot measure this machine: {error}") from error
        for case in chosen:
            progress.update(task, description=f"{case.group} {case.title}")
            rows.append(field.compare(case, rounds=rounds, block_seconds=0.05))
            progress.advance(task)
    return results.Results(threads, limits, rows, results.setting())


def _print(result: results.Results) -> None:
    import rich.box
    import rich.table
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console.width = FILE_WIDTH
    threads = counted(result.threads, "thread")
    for table in report.tables(result):
        shown = rich.table.Table(title=f"{table.group}, {threads}", title_justify="left", box=rich.box.SIMPLE_HEAD)
        for heading in table.headings:
            shown.add_column(heading, justify="right" if heading else "left", no_wrap=bool(heading))
        for row in table.rows:
            shown.add_row(*row, end_section=row is table.rows[-2], style="bold" if row is table.rows[-1] else None)
        console.print(shown)
    limits = result.limits
    copies = ", ".join(f"{rate / 1e9:.0f} ({size / 1e6:.2g} MB)" for size, rate in limits.copies[::2])
    console.print(
        f"limits of {threads}: {limits.operations['float32'] / 1e9:.0f} GFLOP/s in float32, "
        f"{limits.operations['float64'] / 1e9:.0f} in float64; copies at {copies} GB/s",
        highlight=False,
    )
    console.print(f"half of the rounds are within {report.spread(result):.0%} of a row's ratio", highlight=False)
    for measured in result.rows:
        for reason in measured.failures.values():
            console.print(f"[yellow]failed:[/] {measured.case.title}: {reason}", highlight=False)
