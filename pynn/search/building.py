"""Builds the trainer of a trial: a new one from `build`, or one restored from a checkpoint."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..babysit.isolation import seed_generators, unnoticed
from ..nn.loss import FunctionLoss
from ..nn.parameters import OwnedError
from ..nn.random import manual_seed
from ..preprocessing import NotFittedError
from ..training.checkpoint import packed_checkpoint
from ..training.trainer import Trainer
from ..utils.config import is_own, objects_in
from .space import Params
from .task import Build, Task

ADVICE = (
    "build must create new layers, a new model, optimizer and trainer on every call; to start from trained weights, "
    "call pynn.load(path) or copy.deepcopy(model) in it"
)

# Initialisation draws from global generators, so the threads of a process build one at a time.
_building = threading.Lock()
if hasattr(os, "register_at_fork"):  # a thread that held the lock does not exist in a forked process
    os.register_at_fork(after_in_child=lambda: globals().update(_building=threading.Lock()))


class NotNew(ValueError):  # noqa: N818 - describes the result of build
    """`build` returned an object that another trial has trained or is training."""


@dataclass
class _Driven:
    """A search whose driver is this process."""

    leave: Callable[[], bool]
    tried: bool = False


_driven: dict[str, _Driven] = {}
# Objects given to trials of this process, by id: each belongs to one trial.
_given: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()


@contextlib.contextmanager
def driven(search: str, leave: Callable[[], bool]) -> Iterator[None]:
    """Within the block, trials of the search in this process end when `leave` returns true."""
    _driven[search] = _Driven(leave)
    try:
        yield
    finally:
        del _driven[search]


def leaving(search: str) -> bool:
    """Return whether trials in the driver's process must end: its search is over or about to end."""
    return search not in _driven or _driven[search].leave()


def this_process() -> str:
    """Return an identifier of this process that is unique across machines."""
    return f"{socket.gethostname()}:{os.getpid()}"


def begun(task: Task) -> Trainer:
    """Return the trainer of a trial.

    Raises
    ------
    NotNew
        If `build` returns an object that it returned before, or a trained trainer.
    TypeError
        If the trainer cannot be saved, as the search does when the trial ends.
    """
    with _building:
        built = _built(task)
        mine = _driven.get(task.search) if task.driver == this_process() else None
        if mine is not None and not mine.tried:
            # Detects shared objects before the first step, not in the second trial as in other processes.
            mine.tried = True
            try:
                _built(task)
            except NotNew:
                raise
            except Exception:
                pass  # build fails sometimes: the trials will record it
    if task.checkpoint is not None:
        return resumed(built, task.checkpoint)
    with contextlib.suppress(NotFittedError):  # a transformer that `fit` fits
        packed_checkpoint(built)  # raises now what it would raise after the training
    return built


def _built(task: Task) -> Trainer:
    """Return the trainer that `build` returns, or raise NotNew."""
    try:
        built = _call(task.build, task.trial.params, task.seed)
    except OwnedError as error:
        if _given.get(id(error.part)) is error.part:
            raise NotNew(f"build reuses an object of another trial ({error}): {ADVICE}") from error
        raise
    if built.steps or built.epoch:
        raise NotNew(f"build returned a trainer that has taken {built.steps} steps: {ADVICE}")
    parts = _parts(built)
    for part in parts:
        if _given.get(id(part)) is part:
            what = "model" if part is built.model else type(part).__name__
            raise NotNew(f"build returned a {what} that belongs to another trial: {ADVICE}")
    for part in parts:
        with contextlib.suppress(TypeError):  # a user class without weak references
            _given[id(part)] = part
    return built


def _parts(trainer: Trainer) -> list[Any]:
    """Return the objects that training modifies."""
    model = trainer.model
    buffers = (array for _, array in model.named_buffers())
    return [trainer, model, *model.all_layers(), *model.parameters(), *buffers, trainer.optimizer]


def restore(build: Build, params: Params, seed: int, checkpoint: bytes) -> Trainer:
    """Return the trainer of a trial, restored from its checkpoint."""
    with _building:
        built = _call(build, params, seed)
    return resumed(built, checkpoint)


def _call(build: Build, params: Params, seed: int) -> Trainer:
    with unnoticed():
        seed_generators(seed)
        manual_seed(seed)
        built = build(dict(params))
    if not isinstance(built, Trainer):
        hint = "; does it end with `return trainer`?" if built is None else ""
        raise TypeError(f"build returned {built!r}; expected a pynn.Trainer{hint}")
    return built


def resumed(built: Trainer, checkpoint: bytes) -> Trainer:
    """Restore the trainer of a checkpoint, with the functions and classes of `built`, which a file cannot hold."""
    with _as_file(checkpoint) as path:
        loss = built.loss.function if isinstance(built.loss, FunctionLoss) else None
        return Trainer.resume(path, loss=loss, custom=_classes_of(built))


def _classes_of(trainer: Trainer) -> list[type]:
    """Return the user classes that a checkpoint of this trainer refers to, also those of parts of parts."""
    parts: list[Any] = [trainer.model, trainer.optimizer, trainer.schedule, trainer.regularizers, trainer.averaging]
    if not isinstance(trainer.loss, FunctionLoss):
        parts.append(trainer.loss)
    found = {type(part) for part in objects_in(parts) if is_own(part)}
    return sorted(found, key=lambda kind: kind.__name__)


@contextlib.contextmanager
def _as_file(content: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="pynn-search-") as folder:
        path = Path(folder) / "trial.ckpt"
        path.write_bytes(content)
        yield path
