"""What a monitor shows of itself: a line, the output of a notebook cell, a page."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ...report.page import Page, delivered
from ...utils import renamed
from ..findings import Finding, ranked

if TYPE_CHECKING:
    from ...training.trainer import Trainer
    from ..views.reading import Watched
    from .stats import Stats


class Shown:
    """The displays of a `Monitor`."""

    findings: list[Finding]
    stats: Stats
    _trainer: Trainer | None

    @abstractmethod
    def _catch_up(self) -> None:
        """Process the recorded steps of a custom training loop."""

    def to_html(
        self,
        path: str | Path | None = None,
        *,
        about: Mapping[str, str] | None = None,
        tables: Iterable[tuple[str, list[str], list[list[str]]]] = (),
    ) -> Page | None:
        """Write an HTML page with all figures, pictures and findings. It works offline.

        Without a path, return the page: text that shows itself as the result of a notebook cell.

        Parameters
        ----------
        path : path-like, optional
        about : mapping of str to str, optional
            What else the page tells of the run, such as its data. Network, loss, optimiser and date are told anyway.
        tables : iterable of (title, heads, rows), optional
            Tables of text, such as scores on test data.
        """
        from ..views.html import page

        self._catch_up()
        return delivered(page(cast("Watched", self), about=self._about() | dict(about or {}), tables=tables), path)

    def _about(self) -> dict[str, str]:
        """Return what was trained, and when the page was written."""
        told = {"date": time.strftime("%Y-%m-%d %H:%M")}
        if self._trainer is not None:
            parameters = sum(parameter.size for parameter in self._trainer.model.parameters())
            told |= {
                "network": f"{len(self._trainer.model.leaves())} layers, {parameters:,} parameters",
                "loss": type(self._trainer.loss).__name__,
                "optimizer": f"{type(self._trainer.optimizer).__name__}, rate {self._trainer.optimizer.lr:g}",
            }
        return told

    def __repr__(self) -> str:
        faults = ", ".join(dict.fromkeys(finding.symptom for finding in ranked(self.findings)))
        return f"Monitor({len(self.stats.steps)} steps watched: {faults or 'no fault found'})"

    def _repr_html_(self) -> str:
        from ..views.html import notebook

        self._catch_up()
        return notebook(cast("Watched", self))

    report = renamed.method("report", "to_html")
