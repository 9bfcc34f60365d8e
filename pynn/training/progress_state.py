"""Validation of the progress stored in a checkpoint."""

from __future__ import annotations

from typing import Any

from ..backends.precision import checked
from ..utils.validation import count, number

#: The largest accepted number of steps, epochs or examples: the range of NumPy's int64.
MOST = 2**63 - 1


def checked_progress(state: Any) -> dict[str, Any]:
    """Return `state` unchanged, or raise ValueError unless it has the form of `Trainer.progress_state`."""
    if not isinstance(state, dict):
        raise ValueError("the state of the trainer is not a dictionary")
    for name in ("epoch", "steps", "batch", "seed", "optimizer_steps"):
        _whole(state[name], name)
    _whole(state["random"]["seed"], "seed of the random stream", maximum=2**64 - 1)
    _whole(state["random"]["offset"], "offset of the random stream", maximum=2**64 - 1)
    for name in ("lr", "last_loss"):
        _real(state[name], name)
    for name in ("clip_norm", "clip_value"):
        if state[name] is not None:
            number(state[name], name, above=0)
    if state.get("matmul_precision") is not None:
        checked(state["matmul_precision"], "matmul_precision")
    _check_sums(state["sums"])
    if state["run"] is not None:
        _check_run(state["run"])
    _check_history(state["history"])
    return state


def _check_sums(sums: Any) -> None:
    for name, value in sums.items():
        _real(value, f"{name} of the running epoch")


def _check_run(run: Any) -> None:
    _whole(run["until"], "until")
    _whole(run.get("since", 0), "since")
    count(run["batch_size"], "batch_size")
    for name in ("examples", "steps"):
        if run[name] is not None:
            _whole(run[name], name)
    if not isinstance(run["shuffle"], bool):
        raise ValueError(f"shuffle is {run['shuffle']!r}; expected true or false")
    if not (isinstance(run["augment"], list) and all(isinstance(name, str) for name in run["augment"])):
        raise ValueError("augment is not a list of names")


def _check_history(history: Any) -> None:
    epochs, columns = history["epoch"], history["columns"]
    if not isinstance(epochs, list) or not isinstance(columns, dict):
        raise ValueError("the history is not made of lists")
    for epoch in epochs:
        _whole(epoch, "an epoch of the history")
    for name, column in columns.items():
        if not isinstance(column, list) or len(column) != len(epochs):
            raise ValueError(f"column {name} of the history does not have one row per epoch")
        for value in column:
            _real(value, f"a value of column {name} of the history")


def _whole(value: Any, name: str, maximum: int = MOST) -> None:
    if count(value, name, minimum=0) > maximum:
        raise ValueError(f"{name} is {value}; expected at most {maximum}")


def _real(value: Any, name: str) -> None:
    # NaN and infinity are valid: a training run may end with them.
    if isinstance(value, bool) or not isinstance(value, int | float) or (isinstance(value, int) and abs(value) > MOST):
        raise ValueError(f"{name} is {value!r}; expected a number")
