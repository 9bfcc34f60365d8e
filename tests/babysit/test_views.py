"""The other views of a watched run: terminal, TensorBoard, matplotlib; and what all of them read."""

import io
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console
from shown_runs import empty_run, made_run, sick_findings, trained_run

import pynn
from pynn.babysit.findings import SYMPTOMS, Finding
from pynn.babysit.monitor.stats import Stats
from pynn.babysit.views import figures, terminal
from pynn.babysit.views.reading import RunFigures, words
from pynn.babysit.views.tensorboard import TensorBoardLogger, write_tensorboard
from pynn.report.text import smoothed


@pytest.fixture(scope="module")
def trained():
    return trained_run()


def test_every_symptom_has_words():
    texts = [words(symptom) for symptom in SYMPTOMS]
    assert len(set(texts)) == len(SYMPTOMS)
    assert not any("_" in text for text in texts)


def test_smoothing_keeps_a_constant_and_leaves_gaps():
    values = np.full(500, 3.0)
    values[100] = np.nan
    np.testing.assert_allclose(smoothed(values), values)


# The terminal


def trainer_at(epoch=3, done=50):
    return SimpleNamespace(epoch=epoch, steps=1550, batches_per_epoch=500, batches_done=done, target_epoch=8, lr=0.1)


def on_terminal(run, width=100):
    out = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None, legacy_windows=False)
    out.print(terminal.render(run, trainer_at(), width))
    return out.file.getvalue()


def test_a_run_that_goes_on_in_another_thread_is_shown_as_it_was(monkeypatch):
    x, y = pynn.datasets.blobs(seed=0)
    model = pynn.Sequential(pynn.Linear(2, 8), pynn.ReLU(), pynn.Linear(8, 3))
    trainer, monitor = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.01)), pynn.Monitor(on_problem="silent")
    trainer.fit(x, y, epochs=1, callbacks=[monitor])
    stats, read = monitor.stats, Stats._column

    def meanwhile(self, name):
        stats.append(np.ones((1, stats._rows.shape[1])))  # what the training thread does
        return read(self, name)

    monkeypatch.setattr(Stats, "_column", meanwhile)
    run, told = RunFigures(monitor), monitor.to_dict(stats=True)["stats"]
    assert len(run.steps) == trainer.steps
    assert {len(figure) for figures in run.layers.values() for figure in figures.values()} == {len(run.steps)}
    assert len(run.loss) == len(run.lr) == len(run.input_rms) == len(run.steps)
    assert len(told["steps"]) == len(told["loss"]) == len(told["lr"]) > len(run.steps)
    assert "<svg" in monitor._repr_html_()


def test_a_report_from_another_thread_leaves_the_steps_of_a_fit_to_it():
    x, y = pynn.datasets.blobs(n=64, seed=0)
    trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(2, 3)), pynn.CrossEntropyLoss(), pynn.SGD(0.01))
    monitor = pynn.Monitor(on_problem="silent")
    told = []

    class Ask(pynn.Callback):
        def on_step_end(self, trainer):
            thread = threading.Thread(target=lambda: told.append(monitor.to_dict()["steps"]))
            thread.start()
            thread.join()

    trainer.fit([(x, y)] * 50, epochs=1, callbacks=[monitor, Ask()])
    assert len(set(told)) < 50  # as often as the fit has looked at its steps
    assert monitor.stats.steps.tolist() == list(range(1, 51))


def test_panel_is_compact_and_has_the_figures_and_findings():
    shown = on_terminal(made_run(findings=sick_findings()))
    lines = shown.splitlines()
    assert len(lines) <= 12
    assert {len(line) for line in lines} == {100}
    for text in ("4/8", "39%", "val 0.2523", "val 94.9%", "update/weight", "dead 24.0% (3.ReLU)", "✖", "▲", "●"):
        assert text in shown
    assert shown.index("Learning rate too high") < shown.index("Dead units")


@pytest.mark.parametrize("width", [20, 40, 79])
def test_panel_fits_a_narrow_terminal(width):
    findings = [Finding("dead_units", "x" * 300, 1, 1, "error", "[bold]evidence", "a")] * 20
    lines = on_terminal(made_run(findings=findings), width).splitlines()
    assert {len(line) for line in lines} == {width}
    assert len(lines) < 16


def test_panel_of_a_run_that_has_not_begun_and_of_one_that_broke():
    assert "no finding so far" in on_terminal(empty_run())
    run = made_run()
    run.stats.columns["loss"][:] = np.nan
    for figures_of in run.stats.per_layer.values():
        for column in figures_of.values():
            column[:] = np.inf
    assert "loss" in on_terminal(run)


@pytest.mark.parametrize("values", [[], [np.nan], [1.0], [1e308, -1e308], [np.inf, 1.0]])
def test_sparkline_of_odd_values(values):
    assert len(terminal.sparkline(np.array(values), 8)) == len(values)


class Scripted(pynn.Callback):
    """Adds findings to a run at given steps, as a monitor would."""

    def __init__(self, run, plan):
        self.run, self.plan = run, plan

    def on_step_end(self, trainer):
        if trainer.steps in self.plan:
            self.plan[trainer.steps](self.run.findings)


def train_with(*callbacks, epochs=2):
    x, y = pynn.datasets.blobs(n=320, seed=0)
    trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(2, 3)), pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    trainer.fit(x, y, epochs=epochs, callbacks=callbacks)


def test_without_a_terminal_a_finding_is_one_line_as_soon_as_it_claims_a_fault_and_when_it_gets_worse():
    run, out = made_run(), Console(file=io.StringIO(), force_terminal=False, width=40)
    finding = Finding("dead_units", "1.ReLU", 3, 3, "info", "[3] units\nare dead", "do this")
    script = {
        3: lambda found: found.append(finding),
        6: lambda found: setattr(found[0], "severity", "warning"),
        9: lambda found: setattr(found[0], "severity", "error"),
    }
    train_with(Scripted(run, script), terminal.Panel(run, out))
    line = "dead_units in 1.ReLU, step 3: [3] units are dead; do this"
    assert out.file.getvalue().splitlines() == [f"warning: {line}", f"error: {line}"]


def test_on_a_terminal_the_panel_is_drawn_in_place_and_the_findings_are_told_at_the_end():
    run = made_run()
    out = Console(file=io.StringIO(), force_terminal=True, width=90, color_system=None, legacy_windows=False)
    train_with(Scripted(run, {3: lambda found: found.extend(sick_findings())}), terminal.Panel(run, out))
    shown = out.file.getvalue()
    assert "\x1b[1A" in shown  # the cursor went up to draw over the panel before
    last_panel, _, told = shown.rpartition("╰")
    assert "2/2" in last_panel.rpartition("╭")[2]
    for finding in sick_findings():
        assert (str(finding) in " ".join(told.split())) == (finding.severity != "info")
    assert max(len(line.replace("\x1b[?25h", "")) for line in told.splitlines()) <= 90
    assert "\x1b[?25h" in shown  # the cursor is back


# TensorBoard


@pytest.fixture
def events():
    """Return a function that reads a folder as TensorBoard does."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def read(folder):
        accumulator = EventAccumulator(str(folder), {"scalars": 0, "histograms": 0, "tensors": 0})
        accumulator.Reload()
        return accumulator

    return read


def test_tensorboard_reads_what_was_recorded(trained, tmp_path, events):
    write_tensorboard(trained, tmp_path)
    read = events(tmp_path)
    loss = read.Scalars("step/loss")
    assert [event.step for event in loss] == trained.stats.steps.tolist()
    np.testing.assert_allclose([event.value for event in loss], trained.stats["loss"], rtol=1e-6)
    spread = read.Scalars("std/1.ReLU")
    np.testing.assert_allclose([event.value for event in spread], trained.stats["1.ReLU"]["std"], rtol=1e-6)
    validation = read.Scalars("epoch/val_accuracy")
    assert validation[-1].step == trained.stats.steps[-1]
    np.testing.assert_allclose([e.value for e in validation], trained.history["val_accuracy"], rtol=1e-6)
    assert "saturated_fraction/1.ReLU" not in read.Tags()["scalars"]
    stored = read.Histograms("activations/1.ReLU")
    assert [event.step for event in stored] == [snapshot.step for snapshot in trained.snapshots]
    original = trained.snapshots[-1].activations["1.ReLU"]
    assert sum(stored[-1].histogram_value.bucket) == original.counts.sum()
    assert stored[-1].histogram_value.max == pytest.approx(original.high)


def test_findings_are_texts_in_tensorboard_and_missing_figures_are_left_out(tmp_path, events):
    run = made_run(rows=50, snapshots=2, findings=sick_findings())
    run.stats.columns["accuracy"][:25] = np.nan
    run.stats.columns["loss"][-1] = np.nan
    run.snapshots[0].gradients["1.ReLU"].low = np.nan
    write_tensorboard(run, tmp_path)
    read = events(tmp_path)
    texts = [event.tensor_proto.string_val[0].decode() for event in read.Tensors("findings/text_summary")]
    assert texts == [str(finding) for finding in run.findings]
    assert len(read.Scalars("step/accuracy")) == 25
    assert np.isnan(read.Scalars("step/loss")[-1].value)
    assert len(read.Histograms("gradients/1.ReLU")) == 1


def test_logger_writes_while_the_run_goes_on_and_no_step_twice(tmp_path, events):
    seen = []

    class Look(pynn.Callback):
        def on_epoch_end(self, trainer):
            seen.append(len(events(tmp_path).Scalars("epoch/loss")))

    monitor = pynn.Monitor(on_problem="silent")
    train_with(monitor, TensorBoardLogger(monitor, tmp_path, every=4), Look(), epochs=3)
    assert seen == [1, 2, 3]
    steps = [event.step for event in events(tmp_path).Scalars("step/loss")]
    assert steps == [1, 5, 9, 13, 17, 21, 25, 29]


def test_without_tensorboardx_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r'pip install "pynn-kernels\[tensorboard\]"'):
        write_tensorboard(made_run(), tmp_path)
    with pytest.raises(ImportError, match=r'pip install "pynn-kernels\[tensorboard\]"'):
        TensorBoardLogger(made_run(), tmp_path)


# Figures


PLOTS = [
    figures.plot_loss,
    figures.plot_activations,
    figures.plot_gradients,
    figures.plot_update_ratios,
    figures.plot_dead_units,
    figures.plot_first_weights,
    lambda run, path=None: figures.plot_histograms(run, "1.ReLU", path),
]


@pytest.mark.parametrize("plot", PLOTS)
def test_every_figure_is_written(trained, tmp_path, plot):
    figure = plot(trained, tmp_path / "figure.png")
    assert figure.axes
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match=r"expected \.png"):
        plot(trained, tmp_path / "figure.gif")


@pytest.mark.parametrize("plot", PLOTS)
def test_figures_of_odd_runs(tmp_path, plot):
    with pytest.raises(ValueError, match="no step to plot"):
        plot(empty_run())
    run = made_run(hidden=("1.ReLU", *(f"{i}.$x^ReLU" for i in range(3, 60))), rows=20, units=3, snapshots=3)
    run.stats.columns["loss"][3:] = np.inf
    for layer in run.stats.layers:
        for column in run.stats[layer].values():
            column[5:] = np.nan
            column[4] = -np.inf
    plot(run, tmp_path / "figure.svg")


def test_figures_show_the_recorded_values(trained):
    (axes,) = figures.plot_update_ratios(trained).axes
    assert axes.get_yscale() == "log"
    curves = {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}
    assert list(curves) == list(RunFigures(trained).figure("update_ratio"))
    for layer, line in curves.items():
        np.testing.assert_allclose(line.get_ydata(), smoothed(trained.stats[layer]["update_ratio"]))
    assert any(np.allclose(line.get_ydata(), 1e-3) for line in axes.lines)


def test_figures_refuse_what_the_run_does_not_have(trained):
    with pytest.raises(KeyError, match=r"no histogram of '9\.ReLU'; there are of .*1\.ReLU"):
        figures.plot_histograms(trained, "9.ReLU")
    run = made_run()
    run.first_weights = None
    with pytest.raises(ValueError, match="no weight matrix"):
        figures.plot_first_weights(run)
    run.stats.per_layer.clear()
    with pytest.raises(ValueError, match="'dead_fraction'"):
        figures.plot_dead_units(run)


def test_without_matplotlib_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(ImportError, match=r'pip install "pynn-kernels\[plot\]"'):
        figures.plot_loss(made_run())
