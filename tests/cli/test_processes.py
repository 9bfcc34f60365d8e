"""The command as a process: its environment, Ctrl-C, closed pipes, full devices, and terminals."""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import pynn

# SIGINT may be ignored where the tests run in the background; a terminal's program has Python's handler.
PROGRAM = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from pynn.cli import main; main()"
POSIX = sys.platform != "win32"


def program(*arguments, **environment):
    """Start pynn as a process of its own."""
    command = [sys.executable, "-W", "error", "-c", PROGRAM, *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )


@pytest.mark.skipif(not POSIX, reason="Windows has no SIGINT for one process")
@pytest.mark.parametrize("closed", ["", "2>&-"])
def test_ctrl_c_during_imports(closed, tmp_path):
    (tmp_path / "numpy.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(60)\n")
    script = tmp_path / "program.py"
    script.write_text(PROGRAM.replace("pynn.cli", "pynn_command"))
    process = subprocess.Popen(
        ["sh", "-c", f'exec "$0" "$@" {closed}', sys.executable, str(script), "info"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert process.stdout.readline() == "importing\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate()[1] == ("" if closed else "pynn: error: interrupted\n")
    assert process.returncode == 130


def test_the_program_is_that_of_the_package():
    script = Path(sys.executable).with_name("pynn")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"pynn {pynn.__version__}\n"


@pytest.mark.parametrize("environment", [{"PYNN_BACKEND": "cuda"}, {"PYNN_BACKEND": "auto", "PYNN_ISA": "cuda"}])
def test_a_wrong_environment(environment, tmp_path):
    if "PYNN_ISA" in environment and "cython" not in pynn.available_backends():
        environment = {"PYNN_BACKEND": "cuda"}
    process = program("train", "--save", tmp_path / "m", **environment)
    assert process.communicate()[1].count("\n") == 1
    assert process.returncode == 2
    process = program("info", **environment)
    out, err = process.communicate()
    assert "backend       none" in out
    assert err.startswith("pynn: error: ")
    assert err.count("\n") == 1
    assert process.returncode == 1


def test_ctrl_c_saves_what_there_is(tmp_path):
    process = program("train", "--epochs", 100000, "--save", tmp_path / "m.safetensors")
    for line in process.stderr:
        if "epoch      2/" in line:
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted in epoch" in err
    assert "Traceback" not in err
    assert "test " in out
    assert pynn.load(tmp_path / "m.safetensors").class_names is not None
    assert (tmp_path / "pynn-curves.png").exists()


@pytest.fixture
def many_rows(tmp_path):
    """Return a command that predicts for more rows than a pipe holds."""
    model = pynn.Sequential(pynn.Linear(4, 3))
    pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    model.save(tmp_path / "m.safetensors")
    np.savez(tmp_path / "x.npz", x=np.zeros((60000, 4)))
    return ["predict", tmp_path / "m.safetensors", tmp_path / "x.npz"]


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_closed_pipe_is_no_noise(many_rows, unbuffered):
    with program(*many_rows, PYTHONUNBUFFERED=unbuffered) as process:
        assert process.stdout.readline() == "label,probability\n"
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


if POSIX:
    import fcntl
    import pty
    import struct
    import termios

    @pytest.mark.parametrize("arguments", [["info"], ["--help"], ["train", "-q", "--epochs", "1"]])
    def test_a_full_device(tmp_path, arguments):
        if not os.path.exists("/dev/full"):
            return
        with open("/dev/full", "w") as full:
            command = [sys.executable, "-c", PROGRAM, *arguments]
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path, check=False)
        assert done.stderr == "pynn: error: cannot write standard output: No space left on device\n"
        assert done.returncode == 1

    @pytest.mark.parametrize("width", [100, 60])
    def test_on_a_terminal(tmp_path, width):
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
        environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "FORCE_COLOR")}
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "train", "--epochs", "12"],
            stdout=theirs,
            stderr=theirs,
            cwd=tmp_path,
            env={**environment, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"},
        )
        os.close(theirs)
        written = bytearray()
        reader = threading.Thread(target=read_all, args=(ours, written))
        reader.start()
        assert process.wait(timeout=60) == 0
        reader.join(timeout=60)
        os.close(ours)
        text = written.decode()
        assert "\x1b[" in text
        assert "12/12 " in text
        plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)
        panel = [line for line in re.split(r"[\r\n]+", plain) if line.startswith(("│", "╭", "╰"))]
        assert panel and all(len(line) <= width for line in panel)
        assert any("val " in line for line in panel)

    def read_all(descriptor, into):
        try:
            while chunk := os.read(descriptor, 65536):
                into += chunk
        except OSError:  # how Linux says that nobody holds the other end
            pass
