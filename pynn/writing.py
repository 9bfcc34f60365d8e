"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import socket
import stat
import sys
import time

if sys.platform == "win32":
    fcntl = None
else:
    import fcntl

#: Temporary files are called .pynn-FILE-HOST-RANDOM.part, the first two being hashes: short, whatever the names are.
SUFFIX = ".part"
#: Seconds after which a temporary file counts as abandoned where no lock can tell.
ABANDONED = 86400.0
#: What fsync says on a file system that has no such call.
NO_SYNC = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EROFS)

# Those that this process is writing: on NFS a process does not see its own locks.
_writing: set[str] = set()


def check_target(path: str | os.PathLike[str]) -> None:
    """Raise an OSError that names `path` unless a file of this name can be written, as far as can be told without it.

    For what writes after long work: a folder that is missing is better told before.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If the folder does not exist, or is a file.
    IsADirectoryError
        If `path` is a folder itself.
    PermissionError
        If the folder does not allow it.

    Examples
    --------
    >>> try:
    ...     check_target("no/such/folder/model.safetensors")
    ... except FileNotFoundError as error:
    ...     print(error.strerror)
    the folder no/such/folder does not exist; make it first
    """
    given = os.fsdecode(path)
    if not given:
        raise FileNotFoundError(errno.ENOENT, "the name is empty; expected that of a file", given)
    if _stream_number(given) is not None:
        return
    found = _found(given)
    if found is not None and stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, "this is a folder; expected the name of a file", given)
    if found is not None and not stat.S_ISREG(found.st_mode):
        if not _may(given, os.W_OK):
            raise PermissionError(errno.EACCES, "no permission to write to it", given)
        return
    # The new file is made beside what a symbolic link points to.
    folder = os.path.dirname(os.path.realpath(given) if os.path.islink(given) else given) or "."
    if not os.path.exists(folder):
        raise FileNotFoundError(errno.ENOENT, f"the folder {folder} does not exist; make it first", given)
    if not os.path.isdir(folder):
        raise NotADirectoryError(errno.ENOTDIR, f"{folder} is a file; expected a folder", given)
    if not _may(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, f"no permission to write into the folder {folder}", given)


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Replace the file by `content`.

    Whatever happens, a killed process or a full disk included, `path` holds the old content or the new, whole. A file
    that is there keeps its permissions and, as far as the system allows, its owner; what killed processes have left of
    earlier attempts is removed. A pipe, a device or a stream such as /dev/stdout is written to as it is.

    Raises
    ------
    OSError
        It names `path`.
    """
    given = os.fsdecode(path)
    try:
        number = _stream_number(given)
        found = _found(given)
        if number is not None:
            with os.fdopen(os.dup(number), "wb") as stream:
                stream.write(content)
        elif found is None or stat.S_ISREG(found.st_mode):
            _replace(os.path.realpath(given), content, found)  # what a symbolic link points to, not the link
        else:  # as root, os.replace would put a file in the place of a device
            with open(given, "wb") as stream:
                stream.write(content)
    except OSError as error:
        check_target(given)
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, given) from None


def _replace(target: str, content: bytes, found: os.stat_result | None) -> None:
    folder, name = os.path.split(target)
    prefix = f".pynn-{_hash(name)}-"
    _remove_abandoned(folder, prefix)
    handle, temporary = _new_temporary(folder, prefix, 0o666 if found is None else 0o600)
    try:
        try:
            _write(handle, content)
            if found is not None:
                _keep_owner_and_mode(target, temporary, found)
            _sync(handle)
            if fcntl is not None:
                os.replace(temporary, target)
        finally:
            os.close(handle)
        if fcntl is None:  # Windows does not rename a file that is open
            os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    finally:
        _writing.discard(temporary)
    _sync_folder(folder)


def _new_temporary(folder: str, prefix: str, mode: int) -> tuple[int, str]:
    """Return a new file, open and, as long as this process has it open, locked."""
    while True:
        temporary = os.path.join(folder, f"{prefix}{_hash(socket.gethostname())}-{secrets.token_hex(4)}{SUFFIX}")
        _writing.add(temporary)
        try:
            handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
        except BaseException:
            _writing.discard(temporary)
            raise
        # Another process may have taken it for abandoned in the moment before it was locked, and have removed it.
        try:
            if _lock(handle) is not False and os.fstat(handle).st_nlink:
                return handle, temporary
        except BaseException:  # no memory, Ctrl-C
            _writing.discard(temporary)
            os.unlink(temporary)
            os.close(handle)
            raise
        os.close(handle)
        _writing.discard(temporary)


def _remove_abandoned(folder: str, prefix: str) -> None:
    """Remove the temporary files of this target whose writers are gone."""
    own = prefix + _hash(socket.gethostname())
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not (entry.name.startswith(prefix) and entry.name.endswith(SUFFIX)) or entry.path in _writing:
                continue
            with contextlib.suppress(OSError):
                # Locks of another machine may not be seen on this one, and Windows has none.
                old = time.time() - entry.stat(follow_symlinks=False).st_mtime > ABANDONED
                if old or (entry.name.startswith(own) and fcntl is not None):
                    _remove_unless_locked(entry.path)


def _remove_unless_locked(path: str) -> None:
    handle = os.open(path, os.O_RDWR)
    try:
        if _lock(handle):
            os.unlink(path)
    finally:
        os.close(handle)
    if fcntl is None:
        os.unlink(path)  # which Windows refuses if another process has it open


def _lock(handle: int) -> bool | None:
    """Lock a file, and return whether that could be done; None if there are no locks here."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _write(handle: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(handle, left[: 1 << 30]) :]


def _keep_owner_and_mode(target: str, temporary: str, found: os.stat_result) -> None:
    """Give the new file owner, permissions and extended attributes of the one that it replaces, as far as allowed."""
    if hasattr(os, "chown"):
        for owner in ((found.st_uid, found.st_gid), (-1, found.st_gid)):
            try:
                os.chown(temporary, *owner)
                break
            except OSError:
                continue
    with contextlib.suppress(OSError):
        shutil.copystat(target, temporary)
        os.utime(temporary)


def _may(path: str, mode: int) -> bool:
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def _found(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _stream_number(path: str) -> int | None:
    """Return the number of the open stream that a path such as /dev/stdout stands for, or None for other paths."""
    for _ in range(8):
        folder, name = os.path.split(path)
        if name.isdecimal() and os.path.realpath(folder) in ("/dev/fd", f"/proc/{os.getpid()}/fd"):
            return int(name)
        if not path.startswith(("/dev/", "/proc/")) or not os.path.islink(path):
            return None
        path = os.path.join(folder, os.readlink(path))
    return None


def _hash(name: str) -> str:
    return hashlib.blake2s(os.fsencode(name), digest_size=4).hexdigest()


def _sync(handle: int) -> None:
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise


def _sync_folder(folder: str) -> None:
    # Makes the rename itself durable. The file is in its place by now, so that a folder which cannot be opened (on
    # Windows, or without the permission to read it) or synchronised is no failure.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
