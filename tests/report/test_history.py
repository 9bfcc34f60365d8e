import subprocess
import sys

import pytest

from pynn.plots import plot_history, plots_available
from pynn.training.history import History

SIGNATURES = {"png": b"\x89PNG\r\n\x1a\n", "svg": b"<?xml", "pdf": b"%PDF"}


def history_of(epochs, **columns):
    history = History()
    for epoch in range(1, epochs + 1):
        history.append(epoch, {name: value(epoch) for name, value in columns.items()})
    return history


@pytest.fixture
def classification():
    return history_of(
        20,
        loss=lambda epoch: 2 / epoch**2,
        accuracy=lambda epoch: 1 - 0.5 / epoch,
        val_loss=lambda epoch: 2.2 / epoch,
        val_accuracy=lambda epoch: 1 - 0.6 / epoch,
        lr=lambda epoch: 0.1,
    )


def test_two_panels_show_training_and_validation(classification):
    loss, accuracy = plot_history(classification).axes
    for axes, name in ((loss, "loss"), (accuracy, "accuracy")):
        training, validation = axes.lines
        assert list(training.get_ydata()) == classification[name]
        assert list(validation.get_ydata()) == classification[f"val_{name}"]
        assert list(training.get_xdata()) == classification.epoch
        assert training.get_color() != validation.get_color()
        assert axes.get_xlabel() == "epoch"
        assert [text.get_text() for text in axes.get_legend().get_texts()] == ["training", "validation"]
    assert loss.get_title(loc="left") == "Loss (log scale)"
    assert loss.get_yscale() == "log"
    assert accuracy.get_title(loc="left") == "Accuracy"
    assert accuracy.yaxis.get_major_formatter()(0.925, 0) == "92.5%"


def test_regression_has_one_panel_and_a_small_range_a_linear_scale():
    (axes,) = plot_history(history_of(3, loss=lambda epoch: 1 / epoch)).axes
    assert axes.get_yscale() == "linear"
    assert axes.get_title(loc="left") == "Loss"
    assert len(axes.lines) == 1


@pytest.mark.parametrize("values", [[0.5], [float("nan"), 1.0], [0.0, 0.0], [float("nan")], [1e30, 1e-30], [-1.0, 5.0]])
def test_odd_values_are_drawn(values, tmp_path):
    history = history_of(len(values), loss=lambda epoch: values[epoch - 1])
    plot_history(history, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 1000


@pytest.mark.parametrize("suffix", SIGNATURES)
def test_writes_the_format_that_the_name_asks_for(classification, tmp_path, suffix):
    path = tmp_path / f"curves.{suffix}"
    path.write_text("old")
    plot_history(classification, path)
    assert path.read_bytes().startswith(SIGNATURES[suffix])
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_refuses_what_it_cannot_draw(classification, tmp_path):
    with pytest.raises(ValueError, match="no finished epoch"):
        plot_history(History())
    with pytest.raises(ValueError, match=r"expected \.png, \.svg, \.pdf"):
        plot_history(classification, tmp_path / "curves.gif")
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_says_what_to_install(classification, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    assert not plots_available()
    with pytest.raises(ImportError, match=r'pip install "pynn-kernels\[plot\]"'):
        plot_history(classification)


def test_leaves_the_global_state_of_matplotlib_alone():
    code = """
import sys
from pynn.report.history import plot_history
from pynn.training.history import History
history = History()
history.append(1, {"loss": 1.0})
plot_history(history)
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
