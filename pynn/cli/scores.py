"""How good a network is, part by part: printed, and as tables for the report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import numpy as np

from ..report.text import amount
from ..training import formulas
from ..training.class_scores import MOST_SHOWN, ClassScores
from ..training.metrics import of_logits
from ..utils.json_values import plain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Rows = list[list[str]]

#: The width down to which names are shortened in a narrow terminal, and one that no table has.
_LEAST_NAME, _UNLIMITED = 8, 1 << 20


class ScoredPart(NamedTuple):
    """A part of the data and the network's outputs for it: logits (n, classes), or values in the target's units (n,).

    `loss` is NaN for regression.
    """

    name: str
    y: np.ndarray
    output: np.ndarray
    loss: float = math.nan


class Scores:
    """The scores of a network on several parts of the data, of which the last one counts.

    Parameters
    ----------
    parts : sequence of ScoredPart
    class_names : list of str or None
        None for regression.
    """

    def __init__(self, parts: Sequence[ScoredPart], class_names: list[str] | None) -> None:
        self.parts, self.class_names = parts, class_names
        self.heads = ["part", "examples", "RMSE", "R2", "MAE"]
        if class_names is not None:
            self.heads = ["part", "examples", "loss", "ROC AUC", "F1", "accuracy"]
        self.rows = [[part.name, f"{len(part.y)}", *self._figures(part)] for part in parts]

    def _figures(self, part: ScoredPart) -> list[str]:
        numbers = self._numbers(part)
        if self.class_names is None:
            return [amount(value) for value in numbers.values()]
        found = of_logits(part.output, part.y)
        shares = [_share(formula(found)) for formula in (formulas.roc_auc, formulas.f1)]
        return [f"{numbers['loss']:.4f}", *shares, f"{numbers['accuracy']:.2%}"]

    def by_class(self) -> tuple[list[str], Rows]:
        """Return heads and rows of a table of the last part's classes; no rows for regression, or of many classes."""
        if self.class_names is None or len(self.class_names) > MOST_SHOWN:
            return [], []
        part = self.parts[-1]
        return ClassScores.of(part.y, part.output.argmax(axis=1), self.class_names).table()

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Return the scores of each part by name, as numbers."""
        return {part.name: plain({"examples": len(part.y), **self._numbers(part)}) for part in self.parts}

    def _numbers(self, part: ScoredPart) -> dict[str, float]:
        if self.class_names is None:
            return errors(part.output, part.y)
        return {"loss": part.loss, "accuracy": float((part.output.argmax(axis=1) == part.y).mean())}

    def show(self) -> None:
        """Print the parts, and precision, recall and F1 of each class."""
        _show(self.heads, self.rows, bold=len(self.rows) - 1)
        heads, rows = self.by_class()
        if rows:
            _show([f"{heads[0]} ({self.parts[-1].name})", *heads[1:5]], [row[:5] for row in rows])
        click.echo()

    def tables(self) -> list[tuple[str, list[str], Rows]]:
        """Return title, heads and rows of the tables for a report."""
        heads, rows = self.by_class()
        found = [("Scores", self.heads, self.rows)]
        if rows:
            found.append((f"Classes of the {self.parts[-1].name} part", heads, rows))
        return found


def _show(heads: list[str], rows: Rows, bold: int | None = None) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for place, heading in enumerate(heads):
        table.add_column(heading, justify="right" if place else "left", overflow="ellipsis", no_wrap=True)
    for number, row in enumerate(rows):
        cells = (" ".join(cell.splitlines()).replace("[", "\\[") for cell in row)
        table.add_row(*cells, style="bold" if number == bold else None)
    out = Console(highlight=False)
    _shorten_names(table, out)
    out.print()
    out.print(table)


def _shorten_names(table: Table, out: Console) -> None:
    """Limit the first column of a table to the width that the others leave, since Rich would shorten numbers too."""
    from rich.measure import Measurement

    unlimited = out.options.update(max_width=_UNLIMITED)
    whole = Measurement.get(out, unlimited, table).maximum
    if whole <= out.width:
        return
    names = table.columns[0]
    names.max_width = _LEAST_NAME
    least = Measurement.get(out, unlimited, table).maximum
    names.max_width += max(0, out.width - least)
    out.width = max(out.width, least)  # lines too long for a terminal are better than numbers without digits


def _share(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"


def errors(values: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Return root mean square error, R2, which is NaN where all targets are alike, and mean absolute error."""
    found = formulas.Predictions(y, values, None, None)
    r2 = formulas.r2(found) if np.ptp(y) else math.nan
    return {"rmse": formulas.rmse(found), "r2": r2, "mae": formulas.mae(found)}
