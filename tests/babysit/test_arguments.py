"""What the babysitter's public functions cannot use is refused by name, before any work."""

import pytest
from odd_arguments import among, refused

import pynn
from pynn.babysit import Thresholds
from pynn.babysit.preflight import preflight
from pynn.babysit.remedies import diagnose
from pynn.babysit.views.tensorboard import write_tensorboard
from pynn.babysit.views.terminal import Panel
from pynn.babysit.views.trackers import Tracker

X, Y = pynn.datasets.blobs(n=60, classes=3, seed=0)


def trainer():
    return pynn.Trainer(pynn.Sequential(pynn.Linear(2, 3)), pynn.CrossEntropyLoss(), pynn.SGD(0.1))


@pytest.mark.parametrize(
    ("name", "but"),
    [
        ("every", among(3)),
        ("budget", among(None)),
        ("ignore", among()),
        ("thresholds", among(None)),
        ("on_problem", callable),
        ("rules", among()),
    ],
)
def test_settings_of_a_monitor(name, but):
    refused(lambda value: pynn.Monitor(**{name: value}), name, but=but)


def test_thresholds():
    refused(Thresholds.of, "thresholds", but=among(None))


def test_a_monitor_watches_trainers_alone():
    monitor, run = pynn.Monitor(), trainer()
    refused(monitor.watch, "trainer")
    refused(monitor.on_train_begin, "trainer")
    monitor.watch(run)  # nothing of the others is left in it
    assert run.observer is not None


def test_a_callback_may_unwatch():
    class Enough(pynn.Callback):
        def on_step_end(self, trainer):
            monitor.unwatch()

    monitor = pynn.Monitor(on_problem="silent")
    trainer().fit(X, Y, epochs=2, callbacks=[monitor, Enough()])
    assert len(monitor.stats.steps) == 1


def test_what_a_monitor_shows():
    monitor = pynn.Monitor()
    refused(lambda value: monitor.to_dict(stats=value), "stats", but=among(True))
    refused(lambda value: monitor.to_html(about=value), "about", but=among(None))
    refused(lambda value: monitor.to_html(tables=value), "tables")
    refused(lambda value: monitor.stats[value], "nothing is recorded under")


@pytest.mark.parametrize(
    "show",
    [
        Panel,
        lambda monitor: Tracker(monitor, None),
        lambda monitor: write_tensorboard(monitor, "unused"),
        pynn.plots.plot_loss,
        pynn.plots.plot_gradients,
    ],
)
def test_views_show_monitors_alone(show, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(lambda value: show(object if value is None else value), "monitor")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "but"),
    [
        ("trainer", among()),
        ("validation", among(None)),
        ("batch_size", among(None, 3)),
        ("seed", among(3)),
    ],
)
def test_checks_before_training(name, but):
    given = {"trainer": trainer(), "x": X, "y": Y}
    refused(lambda value: preflight(**given | {name: value}), name, but=but)


@pytest.mark.parametrize(
    ("name", "but"),
    [
        ("trainer", among()),
        ("validation", among(None)),
        ("epochs", among(None, 3)),
        ("batch_size", among(None, 3)),
        ("shuffle", among(True)),
        ("callbacks", among()),
        ("augment", among(len)),
        ("seconds", among(3)),
        ("seed", among(3)),
        ("on_trial", lambda value: value is None or callable(value)),
    ],
)
def test_diagnosis(name, but, monkeypatch):
    monkeypatch.setattr("pynn.babysit.remedies.RemedySearch", None)  # nothing begins
    given = {"trainer": trainer(), "x": X, "y": Y}
    refused(lambda value: diagnose(**given | {name: value}), name, but=but)
