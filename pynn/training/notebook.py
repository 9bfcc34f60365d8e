"""What a trainer shows of itself in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..report.history import NO_METRICS, history_charts
from ..report.page import facts, fragment
from ..report.text import metric_words, percent, written

if TYPE_CHECKING:
    from .state import TrainingState


def trainer_html(trainer: TrainingState) -> str:
    """Return settings, progress and last metrics as tiles, the history as charts, and the model as a table."""
    pairs = [
        ("loss", type(trainer.loss).__name__),
        ("optimiser", type(trainer.optimizer).__name__),
        ("learning rate", written(trainer.optimizer.lr)),
        ("epochs", f"{trainer.epoch:,}"),
        ("steps", f"{trainer.steps:,}"),
    ]
    if trainer.schedule is not None:
        pairs.insert(3, ("schedule", type(trainer.schedule).__name__))
    for name, column in trainer.history.history.items():
        if name not in NO_METRICS:
            part = "validation" if name.startswith("val_") else "training"
            label = f"{part} {metric_words(name.removeprefix('val_'))}"
            pairs.append((label, percent(column[-1]) if name.endswith("accuracy") else written(column[-1])))
    table = trainer.model.summary().html_table()
    model = f"<details{'' if len(trainer.history) else ' open'}><summary>Model</summary>{table}</details>"
    return fragment(facts(pairs) + history_charts(trainer.history) + model)
