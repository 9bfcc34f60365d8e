"""Trials kept as they end, in an Optuna study: in a journal file, in a database, or nowhere."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import write_atomically
from .samplers import INSTALL_HINT, frozen, load_optuna, quiet_optuna
from .space import Space
from .trial import Trial

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study

#: Names in the folder of a search.
JOURNAL, LOCK, CHECKPOINTS, BEST = "trials.journal", "lock", "checkpoints", "best.safetensors"
#: Attributes of the study and of its trials that are pynn's.
SEARCH, RECORD = "pynn.search", "pynn.trial"


class StoreError(ValueError):
    """A store cannot be used: it is another search's, is in use, or cannot be read."""


class Store:
    """What remains of a search when its process does not.

    A trial is one entry, written when the trial has ended; what was running when the process was killed is not there.

    Parameters
    ----------
    folder : Path or None
    url : str or None
        A database, as SQLAlchemy names it, instead of the folder's journal.
    name : str
        Of the Optuna study.
    description : dict
        What tells this search from others, as JSON can hold it.
    space : Space
    metric : str
    maximise : bool

    Attributes
    ----------
    trials : dict of int to Trial
        Those of before, by number.
    """

    def __init__(
        self,
        folder: Path | None,
        url: str | None,
        name: str,
        description: dict[str, Any],
        space: Space,
        metric: str,
        *,
        maximise: bool,
    ) -> None:
        self.folder, self.space, self.metric = folder, space, metric
        self.trials: dict[int, Trial] = {}
        self._study: Study | None = None
        self._checkpoints: dict[int, bytes] = {}
        self._lock = None if folder is None else _locked(folder)
        if folder is None and url is None:
            return
        try:
            with quiet_optuna():
                self._open(_storage(folder, url), name, description, maximise)
        except BaseException:
            self.close()
            raise

    def _open(self, storage: BaseStorage, name: str, description: dict[str, Any], maximise: bool) -> None:
        optuna = load_optuna()
        direction = "maximize" if maximise else "minimize"
        with _readable(name):
            # Not load_if_exists: that would write into a store which may turn out to be another search's.
            if name in optuna.get_all_study_names(storage):
                study = optuna.load_study(study_name=name, storage=storage)
            else:
                study = optuna.create_study(study_name=name, storage=storage, direction=direction)
            stored = study.user_attrs.get(SEARCH)
            trials = study.get_trials(deepcopy=False)
        if stored is None and trials:
            raise StoreError(f"the study {name!r} is not pynn's; choose another name or folder")
        if stored is not None:
            _compare(json.loads(stored), description, name)
        if stored is None or json.loads(stored) != description:
            study.set_user_attr(SEARCH, json.dumps(description))
        for trial in trials:
            record = trial.user_attrs.get(RECORD)
            if record is not None:
                known = Trial.of_record(json.loads(record))
                self.trials.setdefault(known.number, known)
        self._study = study

    def add(self, trial: Trial) -> None:
        """Keep a trial that has ended."""
        self.trials[trial.number] = trial
        if self._study is not None:
            with quiet_optuna():
                record = {RECORD: json.dumps(trial.as_record())}
                self._study.add_trial(frozen(trial, self.space, record, self.metric))

    def keep_checkpoint(self, number: int, checkpoint: bytes) -> None:
        """Keep where a trial stands."""
        self._checkpoints[number] = checkpoint
        if self.folder is not None:
            (self.folder / CHECKPOINTS).mkdir(exist_ok=True)
            write_atomically(self._checkpoint(number), checkpoint)

    def checkpoint(self, number: int) -> bytes | None:
        """Return where a trial stands, if that was kept."""
        if number not in self._checkpoints and self.folder is not None:
            with contextlib.suppress(FileNotFoundError):
                self._checkpoints[number] = self._checkpoint(number).read_bytes()
        return self._checkpoints.get(number)

    def drop_checkpoints(self, kept: set[int]) -> None:
        """Forget where all trials but some stand."""
        for number in set(self._checkpoints) - kept:
            del self._checkpoints[number]
        if self.folder is not None and (self.folder / CHECKPOINTS).is_dir():
            for path in (self.folder / CHECKPOINTS).glob("*.ckpt"):
                if path.stem.isdecimal() and int(path.stem) not in kept:
                    path.unlink(missing_ok=True)

    def _checkpoint(self, number: int) -> Path:
        assert self.folder is not None
        return self.folder / CHECKPOINTS / f"{number}.ckpt"

    def close(self) -> None:
        """Let another process have the folder."""
        if self._lock is not None:
            self._lock.release()


def _locked(folder: Path) -> Any:
    """Make the folder and return the lock on it, which the system releases if this process is killed."""
    try:
        import filelock
    except ImportError as error:
        raise ImportError(f"a search in a folder needs filelock: {INSTALL_HINT}") from error
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"{folder} is a file; expected a folder for the search")
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise StoreError(f"another search is running in {folder}") from None
    return lock


def _storage(folder: Path | None, url: str | None) -> BaseStorage:
    storages = load_optuna().storages
    if url is not None:
        with _readable(url):
            return storages.RDBStorage(url)
    assert folder is not None
    path = folder / JOURNAL
    _mend(path)
    backend = storages.journal.JournalFileBackend(str(path), lock_obj=_SystemLock(folder / f"{JOURNAL}.flock"))
    with _readable(str(path)):
        return storages.JournalStorage(backend)


class _SystemLock:
    """A lock for the journal that a killed process does not leave behind, as Optuna's do, for half a minute."""

    def __init__(self, path: Path) -> None:
        import filelock

        self._lock = filelock.FileLock(path)

    def acquire(self) -> bool:
        self._lock.acquire()
        return True

    def release(self) -> None:
        self._lock.release()


def _mend(journal: Path) -> None:
    """Cut off an entry of which only the beginning was written, by a process that was killed or on a full disk."""
    if not journal.exists():
        return
    with journal.open("r+b") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            file.truncate(whole)


@contextlib.contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except (StoreError, OSError, ImportError):
        raise
    except Exception as error:  # whatever a journal with garbage in it, or a database, may come up with
        text = str(error).splitlines()
        raise StoreError(f"cannot read the store {name!r}: {text[0] if text else type(error).__name__}") from error


def _compare(stored: dict[str, Any], wanted: dict[str, Any], name: str) -> None:
    """Raise StoreError if a store is another search's; the last stage may have more trials than it had."""
    differing = [key for key in wanted if stored.get(key) != wanted[key]]
    if differing == ["stages"] and wanted["sampler"] != "grid" and _is_longer(stored["stages"], wanted["stages"]):
        return
    if differing:
        told = "; ".join(f"{key} was {_short(stored.get(key))} and is {_short(wanted[key])}" for key in differing)
        raise StoreError(f"the store {name!r} is of another search: {told}")


def _is_longer(stored: list[list[int]], wanted: list[list[int]]) -> bool:
    *before, last = stored
    *same, longer = wanted
    return before == same and last[1:] == longer[1:] and last[0] <= longer[0]


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else f"{text[:197]}..."
