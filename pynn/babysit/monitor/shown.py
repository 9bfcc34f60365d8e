"""What a monitor shows of itself: a line, the output of a notebook cell, a page."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ...report.page import Page, delivered
from ...utils import renamed
from ...utils.json_values import plain
from ...utils.validation import data_parts, flag, mapping, several
from ..findings import Finding, ranked

if TYPE_CHECKING:
    from ...training.history import History
    from ..views.reading import Watched
    from .stats import Stats
    from .watchable import Watchable


class Shown:
    """The displays of a `Monitor`."""

    findings: list[Finding]
    stats: Stats
    history: History
    _trainer: Watchable | None

    @abstractmethod
    def _catch_up(self) -> None:
        """Process the recorded steps of a custom training loop."""

    def to_dict(self, *, stats: bool = False) -> dict[str, Any]:
        """Return what was found, in the form of ``docs/json.md``: what JSON can hold, in a form that stays.

        Parameters
        ----------
        stats : bool
            Whether to include all recorded statistics, up to 2048 values per figure and layer.

        Examples
        --------
        >>> import json, pynn
        >>> json.dumps(pynn.Monitor().to_dict()["verdict"])
        '[]'
        """
        stats = flag(stats, "stats")
        self._catch_up()
        about = self._about()
        del about["date"]
        figures = self.stats.copied()
        steps = figures.steps
        record = {
            "format": "pynn.monitor",
            "version": 1,
            "about": about,
            "steps": steps[-1] if steps.size else 0,
            "verdict": [finding.to_dict() for finding in ranked(self.findings)],
            "findings": [finding.to_dict() for finding in self.findings],
            "history": {"epoch": self.history.epoch, **self.history.history},
        }
        if stats:
            course = {name: figures[name] for name in ("loss", "lr", "accuracy")}
            layers = {layer: figures[layer] for layer in figures.layers}
            record["stats"] = {"steps": steps, **course, "layers": layers}
        return dict(plain(record))

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
            Further facts about the run, such as its data; network, loss, optimiser and date are always shown.
        tables : iterable of (title, heads, rows), optional
            Tables of text, such as scores on test data.
        """
        from ..views.html import page

        more = {} if about is None else mapping(about, "about", '{"data": "MNIST"}')
        for name, text in more.items():
            if not isinstance(name, str) or not isinstance(text, str):
                raise TypeError(f"about has {name!r}: {text!r}; expected text for text")
        tables = [data_parts(each, "one of tables", "(title, heads, rows)", (3,)) for each in several(tables, "tables")]
        self._catch_up()
        return delivered(page(cast("Watched", self), about=self._about() | more, tables=tables), path)

    def _about(self) -> dict[str, str]:
        """Return what was trained, and when the page was written."""
        about = {"date": time.strftime("%Y-%m-%d %H:%M")}
        if self._trainer is not None:
            layers = len(self._trainer.model.leaves())
            parameters = sum(parameter.size for parameter in self._trainer.model.parameters())
            about |= {
                "network": f"{layers} layer{'' if layers == 1 else 's'}, {parameters:,} parameters",
                "loss": type(self._trainer.loss).__name__,
                "optimizer": f"{type(self._trainer.optimizer).__name__}, rate {self._trainer.optimizer.lr:g}",
            }
        return about

    def __repr__(self) -> str:
        faults = ", ".join(dict.fromkeys(finding.symptom for finding in ranked(self.findings)))
        return f"Monitor({len(self.stats.steps)} steps watched: {faults or 'no fault found'})"

    def _repr_html_(self) -> str:
        from ..views.html import notebook

        self._catch_up()
        return notebook(cast("Watched", self))

    report = renamed.method("report", "to_html")
