"""Trials kept as they end, in an Optuna study: in a journal file, in a database, or nowhere."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import FileFormatError, load_tensors, write_atomically
from .samplers import INSTALL_HINT, frozen, load_optuna, quiet_optuna
from .space import Space
from .trial import Trial

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study

#: Names in the folder of a search.
JOURNAL, LOCK, CHECKPOINTS, BEST = "trials.journal", "lock", "checkpoints", "best.safetensors"
#: Attributes of the study and of its trials that are pynn's; the last is a digest of the record.
SEARCH, RECORD, DIGEST = "pynn.search", "pynn.trial", "pynn.digest"
#: What a store is like. Stores of format 1 may hold trials that were trained on data that another trial left behind.
FORMAT = 2
#: The name of the study, where there is no other.
STUDY = "pynn"


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
        description: dict[str, Any],
        space: Space,
        metric: str,
        *,
        maximise: bool,
    ) -> None:
        self.folder, self.space, self.metric = folder, space, metric
        self._name = _hidden(url) if url is not None else str(folder)
        self.trials: dict[int, Trial] = {}
        self._study: Study | None = None
        self._checkpoints: dict[int, bytes] = {}
        self._lock = None if folder is None else _locked(folder)
        if folder is None and url is None:
            return
        try:
            with quiet_optuna():
                self._open(_storage(folder, url), description | {"format": FORMAT}, maximise)
        except BaseException:
            self.close()
            raise

    def _open(self, storage: BaseStorage, description: dict[str, Any], maximise: bool) -> None:
        optuna = load_optuna()
        with _readable(self._name):
            # Not load_if_exists: that would write into a store which may turn out to be another search's.
            names = optuna.get_all_study_names(storage)
            name = self._study_name(names)
            if name in names:
                study = optuna.load_study(study_name=name, storage=storage)
            else:
                direction = "maximize" if maximise else "minimize"
                study = optuna.create_study(study_name=name, storage=storage, direction=direction)
            stored = study.user_attrs.get(SEARCH)
            trials = study.get_trials(deepcopy=False)
            known = None if stored is None else dict(json.loads(stored))
        if known is None and trials:
            raise StoreError(f"the study {name!r} is not pynn's; choose another name or folder")
        if known is not None:
            _compare(known, description, self._name)
        if known != description:
            study.set_user_attr(SEARCH, json.dumps(description))
        for trial in trials:
            if RECORD in trial.user_attrs:
                found = self._trial(trial.user_attrs[RECORD], trial.user_attrs.get(DIGEST))
                self.trials.setdefault(found.number, found)
        self._study = study

    def _study_name(self, names: list[str]) -> str:
        """Return the name of the study: a folder has one, which keeps its name where the folder is renamed."""
        if self.folder is None:
            return STUDY
        return names[0] if len(names) == 1 else self.folder.resolve().name if names else STUDY

    def _trial(self, record: Any, digest: Any) -> Trial:
        """Return the trial of a record, or raise StoreError."""
        advice = "delete its line, and the trial is run again" if self.folder is not None else "delete that trial"
        if not isinstance(record, str) or digest != _digest(record):
            raise StoreError(f"the store {self._name!r} has a damaged record, {str(record)[:40]!r}...: {advice}")
        with _readable(self._name):
            return Trial.of_record(json.loads(record))

    def add(self, trial: Trial) -> None:
        """Keep a trial that has ended."""
        self.trials[trial.number] = trial
        if self._study is None:
            return
        record = json.dumps(trial.as_record())
        attributes = {RECORD: record, DIGEST: _digest(record)}
        try:
            with quiet_optuna():
                self._study.add_trial(frozen(trial, self.space, attributes, self.metric))
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror}; what is stored stays", self._name) from error
        except Exception as error:  # whatever a database may come up with
            raise StoreError(f"cannot write to the store {self._name!r}: {_first_line(error)}") from error

    def keep_checkpoint(self, number: int, checkpoint: bytes) -> None:
        """Keep where a trial stands."""
        self._checkpoints[number] = checkpoint
        if self.folder is not None:
            (self.folder / CHECKPOINTS).mkdir(exist_ok=True)
            write_atomically(self._checkpoint(number), checkpoint)

    def checkpoint(self, number: int) -> bytes | None:
        """Return where a trial stands, if that was kept."""
        if number not in self._checkpoints and self.folder is not None:
            # A damaged one is as good as none: what needs it is trained anew.
            with contextlib.suppress(FileNotFoundError, FileFormatError):
                load_tensors(self._checkpoint(number), "checkpoint")
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
        with _readable(_hidden(url)):
            return storages.RDBStorage(url)
    assert folder is not None
    path = folder / JOURNAL
    _mend(path)
    backend = storages.journal.JournalFileBackend(str(path), lock_obj=_SystemLock(folder / f"{JOURNAL}.flock"))
    with _readable(str(path)):
        return storages.JournalStorage(backend)


def _hidden(url: str) -> str:
    """Return a database's URL without the password in it."""
    before, at, behind = url.rpartition("@")
    scheme, slashes, user = before.partition("://")
    return f"{scheme}{slashes}{user.partition(':')[0]}{at}{behind}"


def _digest(record: str) -> str:
    return hashlib.blake2b(record.encode(), digest_size=8).hexdigest()


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
    """Cut off an entry of which only the beginning was written, by a process that was killed or on a full disk.

    Raises
    ------
    StoreError
        If another line is damaged; it says which.
    """
    if not journal.exists():
        return
    with journal.open("r+b") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        for number, line in enumerate(content[:whole].splitlines(), 1):
            try:
                damaged = not isinstance(json.loads(line), dict)
            except (ValueError, RecursionError):
                damaged = True
            if damaged:
                raise StoreError(
                    f"cannot read the store {str(journal)!r}: line {number} is damaged, {line[:40]!r}; "
                    "delete that line, and the trial that it held is run again"
                )
        if whole < len(content):
            file.truncate(whole)


@contextlib.contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except (StoreError, OSError, ImportError):
        raise
    except Exception as error:  # whatever a journal with garbage in it, or a database, may come up with
        raise StoreError(f"cannot read the store {name!r}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    text = str(error).splitlines()
    return text[0] if text else type(error).__name__


def _compare(stored: dict[str, Any], wanted: dict[str, Any], name: str) -> None:
    """Raise StoreError if a store is another search's; the last stage may have more trials than it had."""
    written = stored.get("format", 1)
    if written != FORMAT:
        age = "an older" if isinstance(written, int) and written < FORMAT else "a newer"
        raise StoreError(
            f"the store {name!r} was written by {age} version of pynn, whose trials cannot be mixed with those of "
            "this one; choose another folder"
        )
    ignored = {"python"}
    if stored.get("python") != wanted["python"]:  # the same code then has another digest
        ignored.add("code of build")
    keys = [key for key in dict.fromkeys((*wanted, *stored)) if key not in ignored]
    differing = [key for key in keys if stored.get(key) != wanted.get(key)]
    longer = differing == ["stages"] and wanted["sampler"] != "grid"
    if longer and _is_longer(stored["stages"], wanted["stages"]):
        return
    if differing:
        told = "; ".join(f"{key} was {_short(stored.get(key))} and is {_short(wanted.get(key))}" for key in differing)
        raise StoreError(f"the store {name!r} is of another search: {told}; choose another folder, or what it was")


def _is_longer(stored: list[list[int]], wanted: list[list[int]]) -> bool:
    *before, last = stored
    *same, longer = wanted
    return before == same and last[1:] == longer[1:] and last[0] <= longer[0]


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else f"{text[:197]}..."
