"""Writing files: whole or not at all, under any name, as open to others as before, and with nothing left behind."""

import contextlib
import errno
import os
import subprocess
import sys
import textwrap
import threading
import time

import pytest

import pynn
from pynn.utils import files, writing

linux = pytest.mark.skipif(sys.platform != "linux", reason="how Linux names streams and limits files")


def run(script, *arguments, **options):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)], check=True, timeout=120, **options
    )


def temporaries(folder):
    return [name for name in os.listdir(folder) if name.endswith(".part")]


@pytest.mark.parametrize("length", [1, 200, 248, 255])
def test_a_name_as_long_as_the_file_system_takes(length, tmp_path):
    path = tmp_path / ("m" * length)
    for content in (b"old", b"new"):
        files.write_atomically(path, content)
        assert path.read_bytes() == content
    assert os.listdir(tmp_path) == [path.name]


def test_a_longer_name_is_refused_by_its_name(tmp_path):
    path = tmp_path / ("m" * 256)
    with pytest.raises(OSError, match="mmmmmm") as error:
        files.write_atomically(path, b"content")
    assert error.value.errno == errno.ENAMETOOLONG
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o400, 0o666])
def test_a_file_keeps_its_permissions(mode, tmp_path):
    path = tmp_path / "m"
    path.write_bytes(b"old")
    path.chmod(mode)
    before = time.time() - 1000
    os.utime(path, (before, before))
    files.write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o7777 == mode
    assert path.stat().st_mtime > before + 500


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away")
def test_a_file_keeps_its_owner(tmp_path):
    path = tmp_path / "m"
    path.write_bytes(b"old")
    path.chmod(0o640)
    os.chown(path, 1234, 4321)
    files.write_atomically(path, b"new")
    assert (path.stat().st_uid, path.stat().st_gid, path.stat().st_mode & 0o777) == (1234, 4321, 0o640)


def test_an_owner_that_cannot_be_kept_is_no_failure(tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    path = tmp_path / "m"
    path.write_bytes(b"old")
    for name in ("chown", "chmod", "utime"):
        monkeypatch.setattr(os, name, refuse)
    files.write_atomically(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_new_file_has_the_permissions_that_the_umask_gives(tmp_path):
    previous = os.umask(0o027)
    try:
        files.write_atomically(tmp_path / "file", b"content")
    finally:
        os.umask(previous)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_a_symbolic_link_stays_one(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    for content in (b"old", b"new"):  # at first what it points to does not exist
        with contextlib.suppress(FileExistsError):
            link.symlink_to(target)
        files.write_atomically(link, content)
        assert link.is_symlink() and target.read_bytes() == content


@pytest.mark.parametrize("failing", ["fsync", "replace", "write"])
@pytest.mark.parametrize("existing", [True, False])
def test_a_full_disk_keeps_the_old_file_and_leaves_nothing(failing, existing, tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "m"
    if existing:
        path.write_bytes(b"old")
    monkeypatch.setattr(os, failing, full)
    with pytest.raises(OSError, match="No space left") as error:
        files.write_atomically(path, b"new")
    monkeypatch.undo()
    assert error.value.filename == str(path)
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == ([("m", b"old")] if existing else [])


@linux
def test_a_limit_in_the_middle_of_the_content(tmp_path):
    script = """
        import errno, os, resource, sys
        from pynn.utils import files

        path = sys.argv[1]
        files.write_atomically(path, b"old")
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
        try:
            files.write_atomically(path, bytes(100_000))
        except OSError as error:
            assert error.errno == errno.EFBIG and error.filename == path
        else:
            sys.exit(1)
        assert open(path, "rb").read() == b"old"
    """
    run(script, tmp_path / "m")
    assert os.listdir(tmp_path) == ["m"]


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EACCES, errno.EIO, errno.ENOSYS])
def test_a_folder_that_refuses_fsync(code, tmp_path, monkeypatch):
    synchronize = os.fsync

    def refuse(handle):
        if os.path.isdir(f"/proc/self/fd/{handle}") or os.fstat(handle).st_mode & 0o170000 == 0o040000:
            raise OSError(code, os.strerror(code))
        synchronize(handle)

    monkeypatch.setattr(os, "fsync", refuse)
    files.write_atomically(tmp_path / "m", b"content")
    assert (tmp_path / "m").read_bytes() == b"content"


def test_a_file_system_without_fsync(tmp_path, monkeypatch):
    def refuse(handle):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refuse)
    files.write_atomically(tmp_path / "m", b"content")
    assert (tmp_path / "m").read_bytes() == b"content"


KILLED = """
    import os, signal, sys
    from pynn.utils import files, writing

    def die(*arguments):
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(os, sys.argv[2], die)
    files.write_atomically(sys.argv[1], b"never")
"""


@pytest.mark.skipif(writing.fcntl is None, reason="needs locks")
@pytest.mark.parametrize("place", ["write", "fsync", "replace"])
@pytest.mark.parametrize("mode", [0o644, 0o400])
def test_what_a_killed_save_leaves_goes_with_the_next(place, mode, tmp_path):
    path = tmp_path / "m"
    files.write_atomically(path, b"old")
    path.chmod(mode)
    with pytest.raises(subprocess.CalledProcessError):
        run(KILLED, path, place)
    assert len(temporaries(tmp_path)) == 1
    files.write_atomically(tmp_path / "other", b"of another file")
    assert len(temporaries(tmp_path)) == 1
    files.write_atomically(path, b"new")
    assert temporaries(tmp_path) == [] and path.read_bytes() == b"new"


WRITING = """
    import os, sys
    from pynn.utils import files

    def wait(handle):
        print("writing", flush=True)
        sys.stdin.readline()

    os.fsync = wait
    files.write_atomically(sys.argv[1], b"theirs")
"""


@pytest.mark.skipif(writing.fcntl is None, reason="needs locks")
def test_what_another_process_is_writing_stays(tmp_path):
    path = tmp_path / "m"
    command = [sys.executable, "-c", textwrap.dedent(WRITING), str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"writing\n"
        for _ in range(3):
            files.write_atomically(path, b"mine")
        assert len(temporaries(tmp_path)) == 1
        process.stdin.write(b"\n\n")
        process.stdin.flush()
        assert process.wait(60) == 0
    assert path.read_bytes() == b"theirs"
    assert temporaries(tmp_path) == []


def test_what_another_machine_has_left_stays_for_a_day(tmp_path, monkeypatch):
    path = tmp_path / "m"
    monkeypatch.setattr(writing.platform, "node", lambda: "elsewhere")
    handle, temporary = writing._new_temporary(str(tmp_path), f".pynn-{writing._hash('m')}-", 0o666)
    os.close(handle)
    writing._writing.clear()
    monkeypatch.undo()
    files.write_atomically(path, b"content")
    assert os.path.exists(temporary)
    os.utime(temporary, (time.time() - 2 * writing.ABANDONED,) * 2)
    files.write_atomically(path, b"content")
    assert not os.path.exists(temporary)


def test_threads_and_processes_write_one_file(tmp_path):
    """Every write succeeds, and the file is that of one of them."""
    path = tmp_path / "m"
    script = """
        import sys
        from pynn.utils import files
        for _ in range(100):
            files.write_atomically(sys.argv[1], sys.argv[2].encode() * 3000)
    """
    contents = [bytes([97 + index]) * 3000 for index in range(6)]
    failures = []

    def write(content):
        try:
            for _ in range(50):
                files.write_atomically(path, content)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents[:4]]
    processes = [
        subprocess.Popen([sys.executable, "-c", textwrap.dedent(script), str(path), letter]) for letter in ("e", "f")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.wait(120) for process in processes] == [0, 0]
    assert not failures
    assert path.read_bytes() in contents
    assert os.listdir(tmp_path) == ["m"]


@linux
@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_standard_output_as_a_path(name, kind, tmp_path):
    script = """
        import sys
        from pynn.utils import files
        print("before", flush=True)
        files.check_target(sys.argv[1])
        files.write_atomically(sys.argv[1], b"content\\n")
        print("after")
    """
    if kind == "pipe":
        written = run(script, name, stdout=subprocess.PIPE).stdout
    else:
        with open(tmp_path / "out", "wb") as out:
            run(script, name, stdout=out)
        written = (tmp_path / "out").read_bytes()
    assert written == b"before\ncontent\nafter\n"


def test_a_device_and_a_pipe_are_written_to(tmp_path):
    files.write_atomically(os.devnull, b"content")
    assert not os.path.isfile(os.devnull)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = threading.Thread(target=lambda: received.append(fifo.read_bytes()))
    received = []
    reader.start()
    files.write_atomically(fifo, b"content")
    reader.join()
    assert received == [b"content"]


def unusable(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere" / "m")
    return [
        (tmp_path / "none" / "m", FileNotFoundError, "the folder .*none does not exist; make it first"),
        (tmp_path / "dangling", FileNotFoundError, "the folder .*nowhere does not exist"),
        (tmp_path / "file" / "m", NotADirectoryError, "file is a file; expected a folder"),
        (tmp_path / "folder", IsADirectoryError, "this is a folder"),
        ("", FileNotFoundError, "the name is empty"),
    ]


@pytest.mark.parametrize("place", range(5))
def test_what_cannot_be_written_is_told_beforehand_and_by_its_name(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path, error, message = unusable(tmp_path)[place]
    model = pynn.Sequential(pynn.Linear(2, 2))
    before = sorted(os.listdir(tmp_path))
    for attempt in (files.check_target, lambda path: files.write_atomically(path, b"content"), model.save):
        with pytest.raises(error, match=message) as told:
            attempt(path)
        assert told.value.filename == str(path)
    assert sorted(os.listdir(tmp_path)) == before


def test_a_folder_without_permission(tmp_path, monkeypatch):
    def refuse(path, *arguments, **options):
        return str(path) != str(tmp_path)

    monkeypatch.setattr(os, "access", refuse)
    with pytest.raises(PermissionError, match="no permission to write into the folder"):
        files.check_target(tmp_path / "m")


def test_check_target_leaves_everything_as_it_was(tmp_path):
    files.check_target(tmp_path / "new")
    (tmp_path / "old").write_bytes(b"old")
    files.check_target(tmp_path / "old")
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [("old", b"old")]
