"""Trials and parameters as text, for tables, pages and messages."""

from __future__ import annotations

from collections.abc import Sequence

from ..report.text import counted, metric_words
from .space import Params
from .trial import ENDED, Ended, Trial

#: Maximum length of a stored error; longer ones keep their beginning and end.
MAX_SAID = 2000


def outcome(trial: Trial, metric: str) -> str:
    """Return how a trial ended."""
    if trial.ended == "finished":
        return f"{metric} {figure(trial.score, metric)} after {counted(trial.epochs, 'epoch')}"
    return f"{ENDED[trial.ended]}: {short(trial.reason, 300)}"


def score_or_end(trial: Trial, metric: str) -> str:
    """Return the score of a trial that finished; of another, how it ended."""
    return figure(trial.score, metric) if trial.ended == "finished" else ENDED[trial.ended]


def ends(trials: Sequence[Trial]) -> dict[Ended, int]:
    """Return how many trials ended in each way, without ways in which none did."""
    counts = {kind: sum(trial.ended == kind for trial in trials) for kind in ENDED}
    return {kind: count for kind, count in counts.items() if count}


def said(error: BaseException) -> str:
    r"""Return an error as text that is safe for files, pages and terminals.

    Examples
    --------
    >>> said(ValueError("no \x1b[31mfile"))
    'ValueError: no \\x1b[31mfile'
    """
    try:
        text = str(error)
    except Exception:  # __str__ of a user's exception class
        text = "an error without a printable message"
    text = printable(f"{type(error).__name__}: {text}" if text else type(error).__name__, keep="\n\t")
    if len(text) > MAX_SAID:
        text = f"{text[: MAX_SAID * 3 // 4]} [...] {text[-MAX_SAID // 4 :]}"
    return text


def printable(text: str, keep: str = "") -> str:
    """Return the text with control characters and lone surrogates escaped."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in keep else char.encode("unicode_escape").decode("ascii") for char in text
    )


def figure(score: float, metric: str) -> str:
    """Return a score as text."""
    return f"{score:.2%}" if metric.endswith("accuracy") else f"{score:.4g}"


def metric_title(metric: str) -> str:
    """Return a column of the history in words.

    Examples
    --------
    >>> metric_title("val_roc_auc"), metric_title("loss")
    ('validation ROC AUC', 'loss')
    """
    words = metric_words(metric.removeprefix("val_"))
    return f"validation {words}" if metric.startswith("val_") else words


def value(found: object) -> str:
    """Return a parameter's value as text."""
    return f"{found:.3g}" if isinstance(found, float) else printable(str(found))


def written(params: Params) -> str:
    """Return parameters as text.

    Examples
    --------
    >>> written({"lr": 0.0123456, "activation": "relu"})
    'lr=0.0123 activation=relu'
    """
    return " ".join(f"{printable(name)}={value(found)}" for name, found in params.items())


def short(reason: str, maximum: int = 60) -> str:
    """Return the beginning of a reason, on one line."""
    return printable(" ".join(reason.split()))[:maximum]
