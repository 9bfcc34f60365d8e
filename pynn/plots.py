"""Matplotlib figures of training: each function returns a `Figure`, which a notebook shows, and saves it if asked.

Reached as ``pynn.plots``, loaded on first use; matplotlib is imported when a figure is drawn.

Examples
--------
>>> import pynn
>>> x, y = pynn.datasets.blobs(seed=0)
>>> model = pynn.Sequential(pynn.Linear(2, 8), pynn.ReLU(), pynn.Linear(8, 3))
>>> trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1))
>>> history = trainer.fit(x, y, epochs=2)
>>> len(pynn.plots.plot_history(history).axes)  # loss, and accuracy
2
"""

from .babysit.views.figures import (
    plot_activations,
    plot_dead_units,
    plot_first_weights,
    plot_gradients,
    plot_histograms,
    plot_loss,
    plot_update_ratios,
)
from .report.figures import FORMATS, INSTALL_HINT, check_format, plots_available
from .report.history import plot_history

__all__ = [
    "FORMATS",
    "INSTALL_HINT",
    "check_format",
    "plot_activations",
    "plot_dead_units",
    "plot_first_weights",
    "plot_gradients",
    "plot_histograms",
    "plot_history",
    "plot_loss",
    "plot_update_ratios",
    "plots_available",
]
