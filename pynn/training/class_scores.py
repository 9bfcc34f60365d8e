"""How well each class is recognised: precision, recall, F1, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from ..report.page import fragment, table
from .examples import prepare_later
from .formulas import Counts
from .metrics import predictions

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .trainer import Trainer

#: With more classes, the confusion matrix is not shown.
MOST_SHOWN = 12


@dataclass(frozen=True)
class ClassScores:
    """How well each class is recognised.

    Attributes
    ----------
    names : list of str
    confusion : ndarray, shape (classes, classes)
        The number of examples, or the sum of their weights, of each true class (row) and predicted class (column).

    Notes
    -----
    With c the confusion matrix: precision_j = c_jj / sum_i c_ij, recall_i = c_ii / sum_j c_ij, and F1 their harmonic
    mean; 0 where the denominator is 0.

    Examples
    --------
    >>> import numpy as np
    >>> from pynn.training.class_scores import ClassScores
    >>> scores = ClassScores.of(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), ["cat", "dog"])
    >>> scores.confusion
    array([[1, 1],
           [0, 2]])
    >>> scores.recall
    array([0.5, 1. ])
    >>> print(scores)
    class  examples  precision  recall     F1  as cat  as dog
    cat           2      1.000   0.500  0.667       1       1
    dog           2      0.667   1.000  0.800       0       2
    """

    names: list[str]
    confusion: np.ndarray

    @classmethod
    def of(
        cls, y: np.ndarray, labels: np.ndarray, names: Sequence[str], weights: np.ndarray | None = None
    ) -> ClassScores:
        """Return the scores of true class numbers `y` and predicted ones `labels`, both (n,)."""
        counts = np.zeros((len(names), len(names)), np.int64 if weights is None else np.float64)
        np.add.at(counts, (y, labels), 1 if weights is None else weights)
        return cls(list(names), counts)

    @property
    def examples(self) -> np.ndarray:
        """The number of examples of each class, or the sum of their weights."""
        return self.confusion.sum(axis=1)

    @property
    def precision(self) -> np.ndarray:
        """Of the examples that are predicted to be of a class, the share that is."""
        return self._counts.precision

    @property
    def recall(self) -> np.ndarray:
        """Of the examples of a class, the share that is predicted to be."""
        return self._counts.recall

    @property
    def f1(self) -> np.ndarray:
        """The harmonic mean of precision and recall."""
        return self._counts.f1

    @property
    def _counts(self) -> Counts:
        return Counts(self.confusion.diagonal(), self.confusion.sum(axis=0), self.examples)

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Return heads and rows of a table; with many classes, it lacks the confusion matrix."""
        shown = self.names if len(self.names) <= MOST_SHOWN else []
        heads = ["class", "examples", "precision", "recall", "F1", *(f"as {name}" for name in shown)]
        figures = zip(self.precision, self.recall, self.f1, strict=True)
        rows = [
            [name, f"{self.examples[place]:.6g}", *(f"{value:.3f}" for value in values)]
            + [f"{count:.6g}" for count in self.confusion[place, : len(shown)]]
            for place, (name, values) in enumerate(zip(self.names, figures, strict=True))
        ]
        return heads, rows

    def __str__(self) -> str:
        heads, rows = self.table()
        widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
            for row in (heads, *rows)
        ]
        return "\n".join(line.rstrip() for line in lines)

    def _repr_html_(self) -> str:
        heads, rows = self.table()
        cells = [[name, *map(escape, figures)] for name, *figures in rows]
        return fragment(table("Classes and confusion matrix", heads, cells))


def class_scores(
    trainer: Trainer,
    x: ArrayLike,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    batch_size: int | None = None,
) -> ClassScores:
    """Return how well a trainer's network recognises each class in some data.

    Parameters
    ----------
    trainer : Trainer
    x, y, sample_weight, batch_size
        As in `Trainer.evaluate`. Examples whose label the loss ignores do not count.

    Raises
    ------
    ValueError
        If the network predicts amounts, and as `Trainer.evaluate` does.

    Examples
    --------
    >>> import pynn
    >>> pynn.manual_seed(0)
    >>> x, y = pynn.datasets.blobs(n=120, classes=3, seed=0)
    >>> trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(2, 3)), pynn.CrossEntropyLoss(), pynn.Adam(0.1))
    >>> history = trainer.fit(x, y, epochs=20)
    >>> bool((pynn.class_scores(trainer, x, y).recall > 0.8).all())
    True
    """
    loss, model = trainer.loss, trainer.model
    if loss.output_kind == "values":
        raise ValueError(f"{type(loss).__name__} is for amounts; expected a loss of classes")
    examples = prepare_later(model, loss, x, y, sample_weight)
    output = model.infer(examples.x, batch_size)
    found = predictions(model, loss, output, examples.y, examples.weights)
    assert found.labels is not None
    classes = 2 if loss.output_kind == "binary" else output.shape[1]
    names = [str(name) for name in model.class_names or range(classes)]
    return ClassScores.of(found.y, found.labels, names, found.weights)
