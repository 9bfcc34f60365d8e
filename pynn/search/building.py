"""What a trial begins with: a trainer that `build` has made anew, or one taken from a checkpoint."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..losses import FunctionLoss
from ..parameters import OwnedError
from ..random import manual_seed, unobserved
from ..trainer import Trainer
from .space import Params

if TYPE_CHECKING:
    from .training import Task

Build = Callable[[Params], Trainer]

ADVICE = (
    "build must make the layers, the model, the optimizer and the trainer anew each time it is called; to begin with "
    "trained weights, let it call pynn.load(path) or copy.deepcopy(model)"
)

# Threads of one process take turns with the generators that initialisation draws from.
_building = threading.Lock()
if hasattr(os, "register_at_fork"):  # a thread that held it is not there in a forked process
    os.register_at_fork(after_in_child=lambda: globals().update(_building=threading.Lock()))


class NotNew(ValueError):  # noqa: N818 - what it says of what build returned
    """`build` has returned something that another trial has trained, or trains."""


@dataclass
class _Driven:
    """A search that is driven from this process."""

    leave: Callable[[], bool]
    tried: bool = False


_driven: dict[str, _Driven] = {}
# By id, what trials in this process were given: each belongs to one trial.
_given: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()


@contextlib.contextmanager
def driven(search: str, leave: Callable[[], bool]) -> Iterator[None]:
    """Within the block, trials of the search in this process end when `leave` says so."""
    _driven[search] = _Driven(leave)
    try:
        yield
    finally:
        del _driven[search]


def leaving(search: str) -> bool:
    """Return whether trials of a search in the driver's own process are to end, as it may have done itself."""
    return search not in _driven or _driven[search].leave()


def this_process() -> str:
    """Return what tells this process from others, on other machines too."""
    return f"{socket.gethostname()}:{os.getpid()}"


def begun(task: Task) -> Trainer:
    """Return the trainer that a trial trains.

    Raises
    ------
    NotNew
        If `build` hands out what it has handed out before, or a trainer that has been trained.
    """
    with _building:
        built = _built(task)
        mine = _driven.get(task.search) if task.driver == this_process() else None
        if mine is not None and not mine.tried:
            # Noticed before the first step rather than in the second trial; other processes notice it there.
            mine.tried = True
            try:
                _built(task)
            except NotNew:
                raise
            except Exception:
                pass  # it raises at times: the trials will tell
    return built if task.checkpoint is None else resumed(built, task.checkpoint)


def _built(task: Task) -> Trainer:
    """Return what `build` made, or raise NotNew."""
    try:
        built = _call(task.build, task.trial.params, task.seed)
    except OwnedError as error:
        if _given.get(id(error.part)) is error.part:
            raise NotNew(f"build uses what another trial was given ({error}): {ADVICE}") from error
        raise
    if built.steps or built.epoch:
        raise NotNew(f"build returned a trainer that has taken {built.steps} steps: {ADVICE}")
    parts = _parts(built)
    for part in parts:
        if _given.get(id(part)) is part:
            what = "model" if part is built.model else type(part).__name__
            raise NotNew(f"build returned a {what} that another trial was given: {ADVICE}")
    for part in parts:
        with contextlib.suppress(TypeError):  # a class of the user's whose objects weak references cannot name
            _given[id(part)] = part
    return built


def _parts(trainer: Trainer) -> list[Any]:
    """Return what training changes."""
    model = trainer.model
    buffers = (array for _, array in model.named_buffers())
    return [trainer, model, *model.all_layers(), *model.parameters(), *buffers, trainer.optimizer]


def restore(build: Build, params: Params, seed: int, checkpoint: bytes) -> Trainer:
    """Return the trainer of a trial as its checkpoint has it."""
    with _building:
        built = _call(build, params, seed)
    return resumed(built, checkpoint)


def _call(build: Build, params: Params, seed: int) -> Trainer:
    with unobserved(), _seeded(seed):
        manual_seed(seed)
        built = build(dict(params))
    if not isinstance(built, Trainer):
        hint = "; does it end with `return trainer`?" if built is None else ""
        raise TypeError(f"build returned {built!r}; expected a pynn.Trainer{hint}")
    return built


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Within the block, the generators that Python and NumPy share out begin anew; behind it, they are as before."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - the one that build may draw from
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


def resumed(built: Trainer, checkpoint: bytes) -> Trainer:
    """Return the trainer of a checkpoint, with the functions and classes of `built` that a file cannot hold."""
    with _as_file(checkpoint) as path:
        loss = built.loss.function if isinstance(built.loss, FunctionLoss) else None
        return Trainer.resume(path, loss=loss, custom=_classes_of(built))


def _classes_of(trainer: Trainer) -> list[type]:
    """Return the classes that a checkpoint of such a trainer names; those of pynn are known anyway."""
    parts = [*trainer.model.all_layers(), trainer.loss, trainer.optimizer, trainer.schedule, *trainer.regularizers]
    found = {type(part) for part in parts if part is not None and not type(part).__module__.startswith("pynn.")}
    return sorted(found, key=lambda kind: kind.__name__)


@contextlib.contextmanager
def _as_file(content: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="pynn-search-") as folder:
        path = Path(folder) / "trial.ckpt"
        path.write_bytes(content)
        yield path
