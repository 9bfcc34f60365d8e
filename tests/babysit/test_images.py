"""The babysitter on networks for images: units are channels."""

import numpy as np

import pynn
from pynn.babysit.views.reading import Reading
from pynn.babysit.views.sections import first_weights


def images(count):
    """Return noise with three classes of brightness."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, count)
    return (rng.normal(size=(count, 3, 10, 10)) + 0.5 * (y[:, None, None, None] - 1)).astype(np.float32), y


def test_dead_channels_are_counted():
    model = pynn.Sequential(pynn.Conv2d(3, 8, 3), pynn.ReLU(), pynn.Flatten(), pynn.Linear(512, 3))
    model[0].bias[:2] = -1e3
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(lr=1e-3))
    monitor = pynn.Monitor(on_problem="silent")
    x, y = images(600)
    trainer.fit(x, y, epochs=4, batch_size=32, callbacks=[monitor])
    assert monitor.stats["1.ReLU"]["dead_fraction"][-1] == 0.25


def test_preflight_takes_images():
    pynn.manual_seed(0)
    x, y = images(120)
    model = pynn.Sequential(
        pynn.Conv2d(3, 4, 3, init="he_normal"), pynn.BatchNorm2d(4), pynn.ReLU(), pynn.MaxPool2d(2), pynn.Flatten(),
        pynn.Linear(64, 3),
    )  # fmt: skip
    report = pynn.preflight(pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.Adam()), x, y)
    assert not [check for check in report.checks if check.status == "fail"], str(report)


def test_filters_of_the_first_layer_are_shown():
    pynn.manual_seed(0)
    model = pynn.Sequential(
        pynn.Conv2d(3, 6, 5, padding=2), pynn.ReLU(), pynn.AdaptiveAvgPool2d(2), pynn.Flatten(), pynn.Linear(24, 3)
    )
    monitor = pynn.Monitor(on_problem="silent")
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(lr=1e-3))
    x, y = images(64)
    trainer.fit(x, y, epochs=2, callbacks=[monitor])
    assert monitor.filter_shape == (3, 5, 5)
    # They are those of the last look, which may be some steps ago.
    np.testing.assert_allclose(monitor.first_weights[:, 4], model[0].weight[4].ravel(), atol=2e-3)
    page = first_weights(Reading(monitor))
    assert "6 units, each with its 5 x 5 inputs" in page and "data:image/png" in page
