"""Settings that are assigned later: every public class refuses what its constructor refuses."""

import inspect

import numpy as np
import pytest

import pynn
import pynn.augment

#: Values that one setting or another cannot have.
UNFIT = (-1, 0, 3.5, float("nan"), "nonsense", None, (), [1, 2])
#: Arguments with which constructors can be tried.
ARGUMENTS = ((), (4,), (4, 4), (4, 4, 3), ("file",), (0.5,), (0.1, 10))
#: A base class; and layers, which the methods of their model change.
EXCEPT = {"Optimizer", "Sequential"}


def public_classes():
    """Yield the classes of pynn and of its augmentations that can be made without data, with their arguments."""
    for module in (pynn, pynn.augment):
        for name, kind in vars(module).items():
            if not inspect.isclass(kind) or name.startswith("_") or name in EXCEPT:
                continue
            for arguments in ARGUMENTS:
                try:
                    inspect.signature(kind).bind(*arguments)
                    kind(*arguments)
                except (TypeError, ValueError):
                    continue
                yield pytest.param(kind, arguments, id=name)
                break


def refuses(function, *arguments, **settings):
    try:
        function(*arguments, **settings)
    except (AttributeError, TypeError, ValueError):  # a property without a setter
        return True
    return False


@pytest.mark.parametrize(("kind", "arguments"), list(public_classes()))
def test_what_the_constructor_refuses_cannot_be_assigned(kind, arguments):
    given = inspect.signature(kind).bind(*arguments).arguments
    for name in inspect.signature(kind).parameters:
        if not hasattr(kind(*arguments), name):
            continue
        for value in UNFIT:
            if refuses(kind, **given | {name: value}):
                assert refuses(setattr, kind(*arguments), name, value), f"{name} = {value!r}"


def test_assigned_settings_of_callbacks_count():
    x, y = pynn.datasets.blobs(seed=0)
    trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(2, 3)), pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    stop = pynn.EarlyStopping("loss")
    stop.monitor, stop.mode, stop.patience, stop.min_delta = "accuracy", "min", 2, 1
    history = trainer.fit(x, y, epochs=9, callbacks=[stop])  # an accuracy never falls by more than 1
    assert len(history) == 3
    plateau = pynn.ReduceLROnPlateau("loss", patience=0)
    plateau.monitor, plateau.mode, plateau.factor = "accuracy", "min", 0.5
    rates = trainer.fit(x, y, epochs=3, callbacks=[plateau])["lr"][-3:]
    assert rates == pytest.approx([0.1, 0.1, 0.05])


def test_settings_of_a_monitor_that_has_begun_are_fixed():
    x, y = pynn.datasets.blobs(seed=0)
    trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(2, 3)), pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    monitor = pynn.Monitor(on_problem="silent")
    monitor.thresholds, monitor.every = {"gap": 0.5}, 2
    trainer.fit(x, y, epochs=1, callbacks=[monitor])
    assert monitor.limits.gap == 0.5
    assert np.all(np.diff(monitor.stats.steps) == 2)
    for name, value in (("every", 3), ("budget", 0.1), ("thresholds", {})):
        with pytest.raises(ValueError, match=f"{name} is fixed"):
            setattr(monitor, name, value)
    monitor.on_problem = "warn"
