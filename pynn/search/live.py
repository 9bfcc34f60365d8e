"""Progress of a search: a live table on a terminal, otherwise one line per ended trial."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Self

from rich import box
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..report.live import NotebookLive
from ..utils.streams import error_console
from .text import ends, figure, outcome, printable, short, value, written
from .trial import ENDED, Trial, ranked

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from .state import SearchState

#: Rows of the table: the best trials, and the latest.
BEST, LATEST = 6, 4
#: Refreshes of the table per second.
REFRESH_RATE = 4
STYLES = {"finished": "", "early": "yellow", "failed": "red", "lost": "red"}


class View:
    """Shows the progress of a search; this base class shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def trial_began(self) -> None:
        """Show that a trial has begun."""

    def trial_ended(self, trial: Trial) -> None:
        """Show that a trial has ended."""


class LogLines(View):
    """Writes one line per trial."""

    def __init__(self, search: SearchState, console: Console) -> None:
        self.search, self.console = search, console

    def trial_ended(self, trial: Trial) -> None:
        width = len(str(self.search.total))
        line = f"trial {trial.number + 1:{width}}/{self.search.total}  {outcome(trial, self.search.metric)}"
        # Text, not str: rich must not read brackets and colons in names or errors as markup or emoji.
        self.console.print(Text(f"{line}  {written(trial.params)}"), soft_wrap=True)


class NotebookTable(View):
    """Draws the live table in a notebook, when a trial begins or ends."""

    def __init__(self, search: SearchState) -> None:
        self._table, self._live = Drawing(search), NotebookLive()
        self._drawn = -math.inf

    def __exit__(self, *_: object) -> None:
        self._live.update(self._table.render())

    def trial_began(self) -> None:
        self._draw()

    def trial_ended(self, trial: Trial) -> None:
        self._draw()

    def _draw(self) -> None:
        if time.monotonic() - self._drawn >= 1 / REFRESH_RATE:
            self._drawn = time.monotonic()
            self._live.update(self._table.render())


class LiveTable(View):
    """Draws a live table."""

    def __init__(self, search: SearchState, console: Console) -> None:
        render = Drawing(search).render
        self._live = Live(get_renderable=render, console=console, refresh_per_second=REFRESH_RATE)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def trial_ended(self, trial: Trial) -> None:
        self._live.refresh()


class Drawing:
    """Draws the state of a search: a heading, and a table of trials."""

    def __init__(self, search: SearchState) -> None:
        self.search = search
        self._began = time.monotonic()

    def render(self) -> RenderableType:
        """Return the current table."""
        search = self.search
        # Copies, because rich renders in another thread.
        ended, running = list(search.ended.values()), list(search.running.values())
        order = ranked(ended, maximize=search.maximize)
        best = order[:BEST]
        shown = {trial.number for trial in best}
        latest = [trial for trial in ended if trial.number not in shown][-LATEST:]
        return Group(self._heading(ended), table(search, best, latest, running))

    def _heading(self, ended: list[Trial]) -> Text:
        search = self.search
        text = Text().append(f"stage {search.stage + 1}/{len(search.stages)}  ", style="bold")
        text.append(f"trials {len(ended)}/{search.total}")
        for kind, count in ends(ended).items():
            if kind != "finished":
                text.append(f"  {count} {ENDED[kind]}", style=STYLES[kind])
        text.append(f"  {time.monotonic() - self._began:.0f} s", style="dim")
        return text


def table(search: SearchState, best: list[Trial], latest: list[Trial], running: list[Trial]) -> Table:
    """Return a table of the best, the latest and the running trials."""
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    shown.add_column("trial", justify="right")
    shown.add_column(Text(printable(search.metric.removeprefix("val_"))), justify="right", no_wrap=True)
    shown.add_column("epochs", justify="right")
    for name, _ in search.space:
        shown.add_column(Text(printable(name)), justify="right", overflow="ellipsis", no_wrap=True)
    shown.add_column("", overflow="ellipsis", no_wrap=True)
    groups = ((best, "bold"), (latest, ""), (running, "dim"))
    for group, style in groups:
        for trial in group:
            under_way = group is running
            note = "running" if under_way else "" if trial.ended == "finished" else short(trial.reason)
            score = "" if under_way or trial.ended != "finished" else figure(trial.score, search.metric)
            values = [value(trial.params[name]) if name in trial.params else "" for name, _ in search.space]
            row_style = style or STYLES[trial.ended]
            epochs = "" if under_way else str(trial.epochs)
            cells = map(Text, (str(trial.number + 1), score, epochs, *values, note))  # Text, not markup
            shown.add_row(*cells, style=row_style)
        if group:
            shown.add_section()
    return shown


def view(search: SearchState, progress: bool) -> View:
    """Return the view of the search."""
    if not progress:
        return View()
    console = error_console()
    if console.is_jupyter:
        return NotebookTable(search)
    return LiveTable(search, console) if console.is_terminal else LogLines(search, console)
