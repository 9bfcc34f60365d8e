"""Atomic file writes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import platform
import shutil
import stat
import sys
import time

if sys.platform == "win32":
    fcntl = None
else:
    import fcntl

#: Temporary files are named .pynn-FILE-HOST-RANDOM.part; FILE and HOST are hashes, so that any name stays short.
SUFFIX = ".part"
#: Seconds after which a temporary file counts as abandoned if locks are not available.
ABANDONED = 86400.0
#: The error numbers of fsync on file systems that do not support it.
NO_SYNC = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EROFS)

# Temporary files that this process is writing: on NFS a process does not see its own locks.
_writing: set[str] = set()


def check_target(path: str | os.PathLike[str]) -> None:
    """Raise an OSError that names `path` if a file of this name cannot be written, as far as that can be checked.

    Call it before long work whose result is written at the end, so that a missing folder is reported first.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If the folder does not exist, or is a file.
    IsADirectoryError
        If `path` is a folder itself.
    PermissionError
        If the folder is not writable.

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
        raise FileNotFoundError(errno.ENOENT, "the name is empty; expected the name of a file", given)
    if _stream_number(given) is not None:
        return
    found = _found(given)
    if found is not None and stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, "this is a folder; expected the name of a file", given)
    if found is not None and not stat.S_ISREG(found.st_mode):
        if not _may(given, os.W_OK):
            raise PermissionError(errno.EACCES, "no permission to write to it", given)
        return
    # The new file is created next to the target of a symbolic link.
    folder = os.path.dirname(os.path.realpath(given) if os.path.islink(given) else given) or "."
    if not os.path.exists(folder):
        raise FileNotFoundError(errno.ENOENT, f"the folder {folder} does not exist; make it first", given)
    if not os.path.isdir(folder):
        raise NotADirectoryError(errno.ENOTDIR, f"{folder} is a file; expected a folder", given)
    if not _may(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, f"no permission to write into the folder {folder}", given)


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Replace the file by `content`.

    The replacement is atomic: even if the process is killed or the disk is full, `path` has either the complete old or
    the complete new content. An existing file keeps its permissions and, as far as the system allows, its owner.
    Temporary files left by killed processes are removed. A pipe, a device or a stream such as /dev/stdout is written to
    directly.

    Raises
    ------
    OSError
        If writing fails; the error names `path`.
    """
    given = os.fsdecode(path)
    try:
        number = _stream_number(given)
        found = _found(given)
        if number is not None:
            with os.fdopen(os.dup(number), "wb") as stream:
                stream.write(content)
        elif found is None or stat.S_ISREG(found.st_mode):
            _replace(os.path.realpath(given), content, found)  # replace the target of a symbolic link, not the link
        else:  # as root, os.replace would replace a device by a file
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
        if fcntl is None:  # Windows cannot rename an open file
            os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    finally:
        _writing.discard(temporary)
    _sync_folder(folder)


def _new_temporary(folder: str, prefix: str, mode: int) -> tuple[int, str]:
    """Return a new open file, locked for as long as this process has it open."""
    while True:
        temporary = os.path.join(folder, f"{prefix}{_hash(platform.node())}-{os.urandom(4).hex()}{SUFFIX}")
        _writing.add(temporary)
        try:
            handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
        except BaseException:
            _writing.discard(temporary)
            raise
        # Before the lock was acquired, another process may have removed the file as abandoned.
        try:
            if _lock(handle) is not False and os.fstat(handle).st_nlink:
                return handle, temporary
        except BaseException:  # out of memory, Ctrl-C
            _writing.discard(temporary)
            os.unlink(temporary)
            os.close(handle)
            raise
        os.close(handle)
        _writing.discard(temporary)


def _remove_abandoned(folder: str, prefix: str) -> None:
    """Remove abandoned temporary files of this target."""
    own = prefix + _hash(platform.node())
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not (entry.name.startswith(prefix) and entry.name.endswith(SUFFIX)) or entry.path in _writing:
                continue
            with contextlib.suppress(OSError):
                # Locks of other machines may be invisible here, and Windows has none.
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
        os.unlink(path)  # fails on Windows if another process has it open


def _lock(handle: int) -> bool | None:
    """Lock a file and return whether that succeeded; None if locks are not available."""
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
    """Copy owner, permissions and extended attributes of the replaced file to the new one, as far as allowed."""
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
    """Return the file descriptor that a path such as /dev/stdout refers to, or None for other paths."""
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
    # fsync of the folder makes the rename durable. The file is already in place, so it is no error if the folder cannot
    # be opened (on Windows, or without read permission) or synchronised.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
