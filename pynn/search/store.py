"""Storage of ended trials in an Optuna study: a journal file, a database, or none."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..utils.files import FileFormatError, load_tensors, write_atomically
from ..utils.validation import shortened
from .samplers import INSTALL_HINT, frozen, load_optuna, quiet_optuna
from .space import Params, Space
from .stages import Stage
from .text import written
from .trial import Trial, check_belongs

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study

#: Names in the folder of a search.
JOURNAL, LOCK, CHECKPOINTS, BEST = "trials.journal", "lock", "checkpoints", "best.safetensors"
#: pynn's attributes of the study and its trials; the last is a digest of the record.
SEARCH, RECORD, DIGEST = "pynn.search", "pynn.trial", "pynn.digest"
#: Version of the format. Format 1 may hold trials trained on data that another trial had modified.
FORMAT = 2
#: Attempts to open a database, and seconds between them.
ATTEMPTS, PAUSE = 3, 0.5
#: Default name of the study.
STUDY = "pynn"


class StoreError(ValueError):
    """A store belongs to another search, is in use, or is unreadable.

    Examples
    --------
    >>> import tempfile
    >>> import pynn
    >>> from pynn import search
    >>> x, y = pynn.datasets.blobs(seed=0)
    >>> def build(params):
    ...     return pynn.Trainer(pynn.Sequential(pynn.Linear(2, 3)), pynn.CrossEntropyLoss(), pynn.SGD(params["lr"]))
    >>> space = {"lr": search.LogUniform(1e-6, 1e-5)}
    >>> folder = tempfile.TemporaryDirectory()
    >>> options = {"trials": 2, "epochs": 1, "workers": 1, "folder": folder.name}
    >>> result = search.run(build, {"lr": search.Uniform(0.1, 0.2)}, (x, y), (x, y), **options)
    >>> try:
    ...     search.run(build, {"lr": search.Uniform(0.1, 0.3)}, (x, y), (x, y), **options)
    ... except search.StoreError as error:
    ...     print(type(error).__name__)
    StoreError
    >>> folder.cleanup()
    """


class Store:
    """Persistent trials of a search.

    Each trial is one entry, written when the trial ends; trials that a killed process was running are missing.

    Parameters
    ----------
    folder : Path or None
    url : str or None
        SQLAlchemy URL of a database that replaces the folder's journal.
    description : dict
        Identity of the search, ready for JSON; "stages" has the trials, epochs and survivors of each.
    space : Space
    metric : str
    maximize : bool
    shared : bool
        Whether several drivers write to it.

    Attributes
    ----------
    trials : dict of int to Trial
        Stored trials, by number.
    """

    def __init__(
        self,
        folder: Path | None,
        url: str | None,
        description: dict[str, Any],
        space: Space,
        metric: str,
        *,
        maximize: bool,
        shared: bool = False,
    ) -> None:
        self.folder, self.space, self.metric, self._shared = folder, space, metric, shared
        self._stages = [Stage(*stage) for stage in description["stages"]]
        self._name = _hidden(url) if url is not None else str(folder)
        self.trials: dict[int, Trial] = {}
        self._study: Study | None = None
        self._storage: BaseStorage | None = None
        self._checkpoints: dict[int, bytes] = {}
        self._lock = None if folder is None else _locked(folder)
        if folder is None and url is None:
            return
        try:
            with quiet_optuna():
                self._open(_storage(folder, url), description | {"format": FORMAT}, maximize)
        except BaseException:
            self.close()
            raise

    def _open(self, storage: BaseStorage, description: dict[str, Any], maximize: bool) -> None:
        optuna = load_optuna()
        self._storage = storage
        with _readable(self._name):
            # Not load_if_exists, which would write into a store that may belong to another search.
            names = optuna.get_all_study_names(storage)
            name = self._study_name(names)
            if name not in names:
                with contextlib.suppress(optuna.exceptions.DuplicatedStudyError):  # another driver was faster
                    direction = "maximize" if maximize else "minimize"
                    optuna.create_study(study_name=name, storage=storage, direction=direction)
            study = optuna.load_study(study_name=name, storage=storage)
            stored = study.user_attrs.get(SEARCH)
            trials = study.get_trials(deepcopy=False)
            known = None if stored is None else dict(json.loads(stored))
        if known is None and trials:
            raise StoreError(f"the study {name!r} was not written by pynn; choose another store or folder")
        if known is not None:
            _compare(known, description, self._name)
        if known != description:
            study.set_user_attr(SEARCH, json.dumps(description))
        self._study = study
        self.refresh()

    def refresh(self) -> None:
        """Read the trials that are in the store."""
        if self._study is None:
            return
        for trial in self._study.get_trials(deepcopy=False):
            if RECORD in trial.user_attrs:
                found = self._trial(trial.user_attrs[RECORD], trial.user_attrs.get(DIGEST))
                self.trials.setdefault(found.number, found)

    def claim(self, number: int) -> bool:
        """Return whether this driver is the first to claim a trial; True if it is the only driver.

        A claim is an empty study: its name is unique in the database, whichever database it is.
        """
        if not self._shared:
            return True
        optuna = load_optuna()
        try:
            with quiet_optuna():
                optuna.create_study(study_name=f"{STUDY}, claim of trial {number}", storage=self._storage)
        except optuna.exceptions.DuplicatedStudyError:
            return False
        return True

    def _study_name(self, names: list[str]) -> str:
        """Return the name of the study. A folder holds one, which keeps its name if the folder is renamed."""
        if self.folder is None:
            return STUDY
        return names[0] if len(names) == 1 else self.folder.resolve().name if names else STUDY

    def _trial(self, record: Any, digest: Any) -> Trial:
        """Return the trial of a record, or raise StoreError."""
        advice = "delete its line, and the trial will run again" if self.folder is not None else "delete that trial"
        if not isinstance(record, str) or digest != _digest(record):
            raise StoreError(f"the store {self._name!r} has a damaged record, {str(record)[:40]!r}...: {advice}")
        try:
            trial = Trial.of_record(json.loads(record))
            check_belongs(trial, self.space, self._stages)
        except (TypeError, ValueError, RecursionError) as error:
            raise StoreError(
                f"the store {self._name!r} has an invalid record, {record[:40]!r}...: {shortened(error)}; {advice}"
            ) from error
        return trial

    def add(self, trial: Trial) -> None:
        """Store an ended trial."""
        if self._shared:  # another driver may have taken the trial over
            self.refresh()
            if trial.number in self.trials:
                return
        self.trials[trial.number] = trial
        if self._study is None:
            return
        record = json.dumps(trial.as_record())
        attributes = {RECORD: record, DIGEST: _digest(record)}
        try:
            with quiet_optuna():
                self._study.add_trial(frozen(trial, self.space, attributes, self.metric))
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror}; stored trials are kept", self._name) from error
        except Exception as error:  # a database raises its own classes
            raise StoreError(f"cannot write to the store {self._name!r}: {_first_line(error)}") from error

    def keep_checkpoint(self, number: int, checkpoint: bytes) -> None:
        """Store the checkpoint of a trial."""
        self._checkpoints[number] = checkpoint
        if self.folder is not None:
            (self.folder / CHECKPOINTS).mkdir(exist_ok=True)
            write_atomically(self._checkpoint(number), checkpoint)

    def checkpoint(self, number: int) -> bytes | None:
        """Return the checkpoint of a trial, or None."""
        if number not in self._checkpoints and self.folder is not None:
            # A damaged checkpoint counts as missing: its trial is retrained.
            with contextlib.suppress(FileNotFoundError, FileFormatError):
                load_tensors(self._checkpoint(number), "checkpoint")
                self._checkpoints[number] = self._checkpoint(number).read_bytes()
        return self._checkpoints.get(number)

    def drop_checkpoints(self, kept: set[int]) -> None:
        """Delete the checkpoints of all other trials."""
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
        """Release the folder, and close the connections to the database."""
        engine = getattr(self._storage, "engine", None)
        if engine is not None:
            self._storage.remove_session()  # type: ignore[union-attr]
            engine.dispose()
        if self._lock is not None:
            self._lock.release()


def _locked(folder: Path) -> Any:
    """Create the folder and return the lock on it, which the system releases if this process is killed."""
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
            return _database(url, storages.RDBStorage)
    assert folder is not None
    path = folder / JOURNAL
    _mend(path)
    backend = storages.journal.JournalFileBackend(str(path), lock_obj=_SystemLock(folder / f"{JOURNAL}.flock"))
    with _readable(str(path)):
        return storages.JournalStorage(backend)


def _database(url: str, make: Callable[[str], Any]) -> Any:
    """Open a database; try again if it fails to create its tables because another driver does so at the same time."""
    from sqlalchemy.exc import DatabaseError

    for _ in range(ATTEMPTS - 1):
        try:
            return make(url)
        except DatabaseError:
            time.sleep(PAUSE)
    return make(url)


def _hidden(url: str) -> str:
    """Return a database's URL without the password in it."""
    before, at, path = url.rpartition("@")
    scheme, slashes, user = before.partition("://")
    return f"{scheme}{slashes}{user.partition(':')[0]}{at}{path}"


def _digest(record: str) -> str:
    return hashlib.blake2b(record.encode(), digest_size=8).hexdigest()


class _SystemLock:
    """A journal lock that the system releases with its process; Optuna's locks outlive a kill by half a minute."""

    def __init__(self, path: Path) -> None:
        import filelock

        self._lock = filelock.FileLock(path)

    def acquire(self) -> bool:
        self._lock.acquire()
        return True

    def release(self) -> None:
        self._lock.release()


def _mend(journal: Path) -> None:
    """Remove a truncated last entry, left by a killed process or a full disk.

    Raises
    ------
    StoreError
        If another line is damaged; the message names it.
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
                    "delete that line, and its trial will run again"
                )
        if whole < len(content):
            file.truncate(whole)


@contextlib.contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except (StoreError, OSError, ImportError):
        raise
    except Exception as error:  # damaged journals and databases raise many classes
        raise StoreError(f"cannot read the store {name!r}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    text = str(error).splitlines()
    return text[0] if text else type(error).__name__


def _compare(stored: dict[str, Any], wanted: dict[str, Any], name: str) -> None:
    """Raise StoreError if the store belongs to another search; the last stage may have grown."""
    format_of = stored.get("format", 1)
    if format_of != FORMAT:
        age = "an older" if isinstance(format_of, int) and format_of < FORMAT else "a newer"
        raise StoreError(
            f"the store {name!r} was written by {age} version of pynn, whose trials cannot be mixed with those of "
            "this one; choose another folder"
        )
    ignored = {"python"}
    if stored.get("python") != wanted["python"]:  # digests differ between Python versions
        ignored.add("code of build")
    keys = [key for key in dict.fromkeys((*wanted, *stored)) if key not in ignored]
    differing = [key for key in keys if stored.get(key) != wanted.get(key)]
    longer = differing == ["stages"] and wanted["sampler"] != "grid"
    if longer and _is_longer(stored["stages"], wanted["stages"]):
        return
    if differing:
        changed = "; ".join(f"{key} was {_shown(stored, key)} and is {_shown(wanted, key)}" for key in differing)
        raise StoreError(
            f"the store {name!r} belongs to another search: {changed}; choose another folder, or restore these settings"
        )


def _shown(settings: dict[str, Any], key: str) -> str:
    return shortened(json.dumps(settings.get(key)), 200)


def _is_longer(stored: list[list[int]], wanted: list[list[int]]) -> bool:
    *before, last = stored
    *same, longer = wanted
    return before == same and last[1:] == longer[1:] and last[0] <= longer[0]


def check_same(known: Trial, params: Params) -> None:
    """Raise StoreError unless a stored trial has the parameters that this search proposes."""
    if known.params != params:
        raise StoreError(
            f"trial {known.number} of the store has {written(known.params)}, but this search proposes "
            f"{written(params)}: the store is from another search or another version of Optuna"
        )
