"""The command line where streams are closed, broken or ASCII, where signals end it, and with odd file names."""

import io
import os
import signal
import subprocess
import sys

import pytest

import pynn
from pynn.training.progress_bar import ProgressBar
from pynn.utils.interrupt import InterruptGuard, Terminated, termination_heeded

POSIX = sys.platform != "win32"
# The tests may run in the background (SIGINT ignored) or under nohup (SIGHUP ignored), and a new process inherits that.
PROGRAM = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "signal.signal(signal.SIGHUP, signal.SIG_DFL); from pynn.cli import main; main()"
)
TRAIN = ["train", "--hidden", "4", "--epochs", "1"]


@pytest.fixture
def table(tmp_path):
    """Write a table whose column and class are spelt as markup and outside ASCII."""
    rows = "".join(f"{i * 7 % 11}.5,{i * 5 % 13}.5,{('[red]é', '[/]')[i % 2]}\n" for i in range(40))
    (tmp_path / "[bold] t é.csv").write_text("[link=x]a,b,label\n" + rows, encoding="utf-8")
    return "[bold] t é.csv"


def shell(folder, line, *arguments, **environment):
    """Run pynn in a shell line that has "$@" where the command goes."""
    command = ["sh", "-c", line, "sh", sys.executable, "-c", PROGRAM, *map(str, arguments)]
    environment = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=300, check=False)


if POSIX:

    @pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"])
    @pytest.mark.parametrize("quiet", [[], ["-q"]])
    def test_a_training_needs_no_streams(tmp_path, closed, quiet):
        done = shell(tmp_path, f'"$@" {closed}', *TRAIN, *quiet)
        assert done.returncode == 0, done
        assert b"rror" not in done.stderr
        assert pynn.load(tmp_path / "pynn-model.safetensors").class_names is not None

    @pytest.mark.parametrize("line", ['"$@" 2>&1 | head -1', '"$@" | head -1', '("$@" | true) 2>&1 | true'])
    def test_a_reader_that_leaves_costs_no_training(tmp_path, line):
        done = shell(tmp_path, line, *TRAIN)
        assert b"Traceback" not in done.stdout + done.stderr
        assert pynn.load(tmp_path / "pynn-model.safetensors").class_names is not None
        assert (tmp_path / "pynn-curves.png").exists()

    def test_a_result_that_nobody_would_get_is_refused(tmp_path, table):
        shell(tmp_path, '"$@"', *TRAIN, "--data", table)
        done = shell(tmp_path, '"$@" >&-', "predict", "pynn-model.safetensors", table)
        assert done.returncode == 1
        assert done.stderr.startswith(b"pynn: error: standard output is closed")
        done = shell(tmp_path, '"$@" >&-', "predict", "pynn-model.safetensors", table, "--output", "y.csv")
        assert done.returncode == 0
        assert (tmp_path / "y.csv").read_text(encoding="utf-8").startswith("label,probability\n")

    @pytest.mark.parametrize(
        "environment",
        [
            {"PYTHONIOENCODING": "ascii"},
            {"PYTHONIOENCODING": "latin-1"},
            {"LANG": "C", "LC_ALL": "C"},
            {"TERM": "dumb"},
            {"NO_COLOR": "1", "FORCE_COLOR": "1"},
            {"HOME": "/nonexistent"},
            {"PYTHONUTF8": "0", "LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0"},
        ],
    )
    def test_any_locale_and_terminal(tmp_path, table, environment):
        done = shell(tmp_path, '"$@"', *TRAIN, "--data", table, "--save", "[red] mé.safetensors", **environment)
        assert done.returncode == 0, done
        assert b"Traceback" not in done.stderr
        assert b"[red] m" in done.stdout
        assert b"[bold] t " in done.stderr
        assert pynn.load(tmp_path / "[red] mé.safetensors").class_names == ["[/]", "[red]é"]

    def test_labels_that_standard_output_cannot_take_are_not_altered(tmp_path, table):
        shell(tmp_path, '"$@"', *TRAIN, "--data", table)
        done = shell(tmp_path, '"$@"', "predict", "pynn-model.safetensors", table, PYTHONIOENCODING="ascii")
        if done.returncode == 0:
            assert "é" not in done.stdout.decode("ascii")
        else:
            assert done.stdout == b""
            assert b"standard output is ascii, which cannot encode '\\xe9'; give --output FILE" in done.stderr

    def test_names_of_any_bytes(tmp_path):
        name = b"m\xff[x] .safetensors"
        done = shell(tmp_path, '"$@" --save "$(printf \'m\\377[x] .safetensors\')"', *TRAIN)
        assert done.returncode == 0, done
        assert name in os.listdir(os.fsencode(tmp_path))

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
    def test_a_signal_ends_the_training_and_saves_it(tmp_path, number, code):
        command = [sys.executable, "-c", PROGRAM, "train", "--epochs", "100000", "--save", tmp_path / "m.safetensors"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            for line in process.stderr:
                if "epoch      2/" in line:
                    break
            process.send_signal(number)
            try:
                out, err = process.communicate(timeout=120)
            finally:
                process.kill()  # else leaving the block waits for as long as it trains
        assert process.returncode == code
        assert "Traceback" not in err
        assert "interrupted in epoch" in err
        assert "test " in out
        assert pynn.load(tmp_path / "m.safetensors").class_names is not None

    def test_sigterm_saves_also_where_ctrl_c_is_ignored(tmp_path):
        program = PROGRAM.replace("signal.default_int_handler", "signal.SIG_IGN")
        command = [sys.executable, "-c", program, "train", "--epochs", "100000"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=tmp_path) as process:
            for line in process.stderr:
                if b"epoch      2/" in line:
                    break
            process.terminate()
            try:
                process.communicate(timeout=120)
            finally:
                process.kill()
        assert process.returncode == 143
        assert (tmp_path / "pynn-model.safetensors").exists()

    def test_termination_is_a_request_and_then_an_order():
        before = signal.getsignal(signal.SIGTERM)
        with termination_heeded():
            with InterruptGuard() as guard:
                signal.raise_signal(signal.SIGTERM)
                assert guard.requested
                with pytest.raises(Terminated):
                    signal.raise_signal(signal.SIGTERM)
            with pytest.raises(Terminated):
                signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) == before


class OnlyWrites:
    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text


class Refuses:
    def write(self, text):
        raise OSError("full")

    def flush(self):
        raise ValueError("closed")

    def isatty(self):
        raise ValueError("closed")


def fit(rng):
    x = rng.standard_normal((40, 2))
    trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(2, 2)), pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    return trainer.fit(x, (x[:, 0] > 0).astype(int), epochs=2, progress=True)


def closed_stream():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize(
    "stream",
    [OnlyWrites(), Refuses(), None, closed_stream(), io.TextIOWrapper(io.BytesIO(), encoding="ascii")],
    ids=["write only", "refusing", "none", "closed", "ascii"],
)
def test_progress_on_any_stream(rng, monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream)
    assert len(fit(rng)) == 2
    if isinstance(stream, OnlyWrites):
        assert stream.text.count("epoch ") == 2


def test_progress_shows_names_letter_by_letter(rng, monkeypatch):
    class Named(pynn.Callback):
        def on_epoch_end(self, trainer):
            trainer.history.history.setdefault("[/red] é", []).append(1.0)

    stream = OnlyWrites()
    monkeypatch.setattr(sys, "stderr", stream)
    x = rng.standard_normal((40, 2))
    trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(2, 2)), pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    trainer.fit(x, (x[:, 0] > 0).astype(int), epochs=1, callbacks=[Named(), ProgressBar()])
    assert "[/red] é 1.0000" in stream.text
