"""``pynn lecture``."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..backends.processors import usable_processors
from ..report.figures import INSTALL_HINT, plots_available
from ..utils.interrupt import interrupted_by
from ..utils.streams import error_console, say, wrapped
from .options import Count, Rate
from .outputs import FileName

if TYPE_CHECKING:
    from ..lecture import Experiment, ExperimentResult

COLOURS = {"good": "green", "warning": "yellow", "error": "red", "info": "bright_black"}


@click.command("lecture", short_help="Test the lecture's claims by experiment.")
@click.argument("names", nargs=-1, metavar="[list | NAMES...]")
@click.option("--seeds", type=Count(2), metavar="N", default=5, help="Runs of each experiment.")
@click.option("--processes", type=Count(1), metavar="N", help="Runs at a time.  [default: the number of processors]")
@click.option(
    "--minutes",
    type=Rate(0, min_open=True),
    metavar="N",
    help="Time limit per run of experiments without a fixed length (maxout-mnist).  [default: 12]",
)
@click.option(
    "--output",
    type=FileName(file_okay=False),
    metavar="FOLDER",
    default="pynn-lecture",
    help="Folder for page, figures and pictures; other results in it are kept.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show no progress, only the results.")
@click.pass_context
def lecture(
    context: click.Context,
    names: tuple[str, ...],
    seeds: int,
    processes: int | None,
    minutes: float | None,
    output: Path,
    quiet: bool,
) -> None:
    """Test the lecture's claims: each claim is an experiment.

    NAMES are experiments, or parts of the lecture: activations, preprocessing, initialisation, batchnorm, babysitting,
    search. Without names, all possible ones run: some need MNIST or CIFAR-10 in the folder that PYNN_DATA names.
    "pynn lecture list" shows all of them.

    Writes lecture.html (a page that works offline), lecture.json (every figure of every run) and one picture per
    experiment. Ctrl-C stops early and keeps the results so far.

    \b
    Examples:
      pynn lecture list
      pynn lecture dead-relu
      pynn lecture batchnorm initialisation
      PYNN_DATA=folder pynn lecture maxout-mnist --minutes 60
    """  # noqa: D301 - click reads the backslash
    from ..lecture import select
    from ..lecture.entry import label_of

    if names == ("list",):
        _list(select(()))
        return
    try:
        chosen = select(names)
    except ValueError as error:
        raise click.UsageError(str(error), context) from error
    chosen = _possible(chosen, named=bool(names))
    book = _Book(output)
    began = time.monotonic()
    settings = {} if minutes is None else {"minutes": minutes}
    interrupted = _run(chosen, book, quiet, seeds=seeds, processes=processes or usable_processors(), settings=settings)
    counts = Counter(label_of(result).words for result in book.new)
    found = ", ".join(f"{count} {words}" for words, count in counts.items()) or "nothing was finished"
    click.echo(f"{found} in {(time.monotonic() - began) / 60:.1f} minutes")
    click.echo(f"page: {book.page}")
    if interrupted:
        say("pynn: interrupted; these are the results so far")
        context.exit(128 + interrupted_by())
    context.exit(1 if any(result.failure for result in book.new) else 0)


class _Book:
    """The folder with the page, the figures and the pictures, updated after each experiment."""

    def __init__(self, folder: Path) -> None:
        from ..lecture import load

        folder.mkdir(parents=True, exist_ok=True)
        self.page, self._json, self._pictures = folder / "lecture.html", folder / "lecture.json", folder / "pictures"
        self._results = {result.experiment.name: result for result in (load(self._json) if self._json.exists() else [])}
        self.new: list[ExperimentResult] = []
        if plots_available():
            self._pictures.mkdir(exist_ok=True)
        else:
            click.echo(f"no pictures: {INSTALL_HINT}", err=True)

    def add(self, result: ExperimentResult) -> None:
        from ..lecture import save
        from ..lecture.page import write_page

        self.new.append(result)
        self._results[result.experiment.name] = result
        results = list(self._results.values())
        save(results, self._json)
        write_page(results, self.page)
        if result.trials and plots_available():
            from ..lecture.pictures import write_picture

            write_picture(result, self._pictures / f"{result.experiment.name}.png")


def _possible(chosen: list[Experiment], *, named: bool) -> list[Experiment]:
    """Leave out experiments whose data or libraries are missing; if all that were named lack data, download them."""
    from ..lecture.data import HINTS, LOADERS, is_at_hand

    missing = {need for need in {item.needs for item in chosen} - {""} if not is_at_hand(need)}
    if named and all(item.needs in missing & LOADERS.keys() for item in chosen):
        for need in missing:  # once here, before the worker processes start
            LOADERS[need]()
        return chosen
    for item in chosen:
        if item.needs in missing:
            click.echo(f"not run: {item.name} {HINTS[item.needs]}", err=True)
    possible = [item for item in chosen if item.needs not in missing]
    if not possible:
        raise click.ClickException(f"{chosen[0].name} {HINTS[chosen[0].needs]}")
    return possible


def _run(chosen: Sequence[Experiment], book: _Book, quiet: bool, **options: Any) -> bool:
    """Run experiments and show each result; return whether Ctrl-C ended it."""
    from ..lecture.running import Interrupted, run

    with _live(chosen, quiet) as (tell, on_trial):
        try:
            for result in run(chosen, on_trial=on_trial, **options):
                book.add(result)
                tell(result)
        except Interrupted as interrupted:
            # Fewer seeds than requested are shown as such, unless it is one, which has no spread.
            if len(interrupted.result.trials) > 1:
                book.add(interrupted.result)
                tell(interrupted.result)
            return True
    return False


@contextmanager
def _live(chosen: Sequence[Experiment], quiet: bool) -> Iterator[Any]:
    """Yield two callbacks, for results and for progress: a bar on a terminal, lines elsewhere."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = error_console()
    if quiet or not console.is_terminal:
        yield (lambda result: _show(result, single=len(chosen) == 1)), None
        return
    description = TextColumn("{task.description}", markup=False)
    columns = (description, BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, redirect_stdout=True) as bar:
        task = bar.add_task("", total=len(chosen))
        places = {item.name: place for place, item in enumerate(chosen)}

        def on_trial(item: Experiment, done: int, total: int) -> None:
            bar.update(task, description=f"{item.name} {done}/{total}", completed=places[item.name] + done / total)

        def tell(result: ExperimentResult) -> None:
            bar.stop()
            _show(result, single=len(chosen) == 1)
            bar.start()

        yield tell, on_trial


def _show(result: ExperimentResult, *, single: bool) -> None:
    """Print a result: in full if it is the only one, otherwise one line."""
    from ..lecture.entry import headline, label_of, spread

    label = label_of(result)
    item = result.experiment
    outcome = click.style(f"{label!s:<19}", fg=COLOURS[label.kind])
    if not single:
        text = result.failure or headline(item, result)
        click.echo(f"{outcome} {item.name:<24} {' '.join(text.split())}, {result.seconds:.1f} s")
        return
    click.echo(f"{click.style(item.claim, bold=True)}\n{item.source}\n\n{item.setup}")
    if item.analogue:
        click.echo(f"Scaled-down analogue. {item.analogue}")
    click.echo()
    if result.failure:
        click.echo(result.failure)
    for band in item.bands if result.trials and not result.failure else ():
        values = result.figures[band.figure]
        click.echo(
            f"{band.figure}: {spread(values)}, expected {band} ({sum(map(band.holds, values))} of {len(values)})"
        )
        click.echo(f"    {band.why}")
    click.echo(f"\n{outcome.rstrip()} ({len(result.trials)} seeds, {result.seconds:.1f} s)")
    if item.remark:
        click.echo(item.remark)


def _list(chosen: Sequence[Experiment]) -> None:
    """Print name and claim of each experiment, section by section."""
    from ..lecture.catalogue import SECTIONS
    from ..lecture.data import HINTS

    width = max(len(item.name) for item in chosen)
    for section, title in SECTIONS.items():
        click.echo(f"{click.style(title, bold=True)} ({section})\n")
        for item in chosen:
            if item.section == section:
                more = f" ({HINTS[item.needs]})" if item.needs else ""
                for line in wrapped(item.claim + more, f"  {item.name:<{width}}  ", " " * (width + 4)):
                    click.echo(line)
        click.echo()
