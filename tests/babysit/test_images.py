"""The babysitter on networks for images: units are channels."""

import numpy as np
import pytest

import pynn
from pynn.babysit.monitor.network_facts import NetworkFacts
from pynn.babysit.remedies.blueprint import Blueprint
from pynn.babysit.remedies.candidates import CURES, Situation, candidates
from pynn.babysit.views.maps import filter_tiles
from pynn.babysit.views.reading import RunFigures
from pynn.babysit.views.sections import first_weights
from pynn.nn.traversal import parts


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
    page = first_weights(RunFigures(monitor))
    assert "6 filters of 5 x 5" in page and "red, green and blue" in page and "data:image/png" in page


def test_filters_become_pictures_by_how_many_channels_they_have():
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(3 * 2 * 4, 5))
    picture, shown = filter_tiles(weights, (3, 2, 4))
    assert shown == 5 and picture.image.shape == (2 * 3 - 1, 3 * 5 - 1, 4)  # 3 tiles across, 2 down
    tile = weights[:, 3].reshape(3, 2, 4) / np.abs(weights[:, 3]).max()
    np.testing.assert_array_equal(picture.image[3:5, :4, :3], np.rint(127.5 * (1 + tile)).transpose(1, 2, 0))
    assert (picture.image[2, :, 3] == 0).all()  # between tiles there is nothing
    grey, _ = filter_tiles(weights[:8], (1, 2, 4))
    np.testing.assert_array_equal(grey.image[..., 0], grey.image[..., 1])
    grid, shown = filter_tiles(rng.normal(size=(20 * 9, 40)), (20, 3, 3))
    assert shown == 16 and grid.palette is not None and grid.image.shape == (16 * 4 - 1, 16 * 4 - 1)
    sequences, _ = filter_tiles(rng.normal(size=(8 * 3, 4)), (8, 3))
    assert sequences.image.shape == (4 * 2 - 1, 8 * 4 - 1)


def residual_network():
    """Return a network with a block in a block, and one whose shortcut is a convolution."""
    nested = pynn.Residual(pynn.Sequential(pynn.Conv2d(4, 4, 1), pynn.Tanh()))
    inner = pynn.Sequential(pynn.Conv2d(4, 4, 3, padding=1), pynn.BatchNorm2d(4), pynn.ReLU(), nested)
    return pynn.Sequential(
        pynn.Conv2d(3, 4, 3, padding=1),
        pynn.ReLU(),
        pynn.Residual(inner),
        pynn.Residual(pynn.Conv2d(4, 4, 3, padding=1), pynn.Conv2d(4, 4, 1)),
        pynn.ReLU(),
        pynn.AdaptiveAvgPool2d(1),
        pynn.Flatten(),
        pynn.Linear(4, 3),
    )


def watched(model, epochs=4, lr=1e-3):
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(lr=lr))
    monitor = pynn.Monitor(on_problem="silent")
    trainer.fit(*images(600), epochs=epochs, batch_size=32, callbacks=[monitor])
    return monitor


def test_layers_within_residual_blocks_are_watched_one_by_one():
    pynn.manual_seed(0)
    model = residual_network()
    monitor = watched(model, epochs=1)
    assert monitor.stats.layers == [
        "0.Conv2d", "1.ReLU",
        "2.inner.0.Conv2d", "2.inner.1.BatchNorm2d", "2.inner.2.ReLU",
        "2.inner.3.inner.0.Conv2d", "2.inner.3.inner.1.Tanh", "2.inner.3.Residual", "2.Residual",
        "3.inner.Conv2d", "3.shortcut.Conv2d", "3.Residual",
        "4.ReLU", "5.AdaptiveAvgPool2d", "6.Flatten", "7.Linear",
    ]  # fmt: skip
    for part in parts(model):
        figures = monitor.stats[part.label]
        if isinstance(part.layer, pynn.Conv2d):
            assert (figures["weight_norm"] > 0).all() and (figures["update_ratio"] > 0).all()
        # What goes into a batch norm or is passed on is not looked at, nor what an activation is applied to at once.
        fused = isinstance(part.layer, pynn.Conv2d) and not part.name.startswith("3")
        if not (fused or isinstance(part.layer, pynn.BatchNorm2d | pynn.Flatten)):
            assert np.isfinite(figures["std"]).all() and (figures["gradient_rms"] > 0).all(), part.label


def test_what_a_residual_branch_gives_and_gets_is_recorded_as_it_is():
    pynn.manual_seed(0)
    model = pynn.Sequential(
        pynn.Conv2d(3, 4, 3, padding=1), pynn.Residual(pynn.Conv2d(4, 4, 1)), pynn.Flatten(), pynn.Linear(400, 3)
    )
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(lr=0.0))
    monitor = pynn.Monitor(on_problem="silent")
    monitor.watch(trainer)
    x, y = images(64)
    trainer.step(x, y)
    ctx = pynn.Context()
    stem = model[0].forward(x, ctx)
    branch = model[1].inner.forward(stem, pynn.Context())
    assert monitor.verdict is not None  # which looks at the step
    for name, values in (("0.Conv2d", stem), ("1.inner.Conv2d", branch), ("1.Residual", stem + branch)):
        np.testing.assert_allclose(monitor.stats[name]["std"][0], values.std(), rtol=1e-5)
    # A sum passes its gradient on to what it adds.
    inner, block = (monitor.stats[name]["gradient_rms"][0] for name in ("1.inner.Conv2d", "1.Residual"))
    np.testing.assert_allclose(inner, block, rtol=1e-6)


def test_dead_channels_within_a_block_are_named():
    pynn.manual_seed(0)
    inner = pynn.Sequential(pynn.Conv2d(8, 8, 3, padding=1), pynn.ReLU(), pynn.Conv2d(8, 8, 3, padding=1))
    model = pynn.Sequential(
        pynn.Conv2d(3, 8, 3, padding=1), pynn.ReLU(), pynn.Residual(inner), pynn.Flatten(), pynn.Linear(800, 3)
    )
    inner[0].bias[...] = -1e3
    found = [finding for finding in watched(model).findings if finding.symptom == "dead_units"]
    assert [finding.layer for finding in found] == ["2.inner.1.ReLU"]
    assert "100% of the channels" in found[0].evidence


def test_dead_channels_in_front_of_a_batch_norm_are_counted():
    pynn.manual_seed(0)
    model = pynn.Sequential(pynn.Conv2d(3, 8, 3), pynn.ReLU(), pynn.BatchNorm2d(8), pynn.Flatten(), pynn.Linear(512, 3))
    model[0].bias[:6] = -1e3
    assert watched(model).stats["1.ReLU"]["dead_fraction"][-1] == 0.75


def test_the_main_path_leads_from_sum_to_sum():
    pynn.manual_seed(0)
    trainer = pynn.Trainer(residual_network(), pynn.CrossEntropyLoss(), pynn.SGD(lr=1e-3))
    facts = NetworkFacts.of(trainer.model)
    assert facts.trunk == ["1.ReLU", "2.Residual", "4.ReLU"]
    assert [(w.name, w.branch, w.source) for w in facts.weights] == [
        ("0.Conv2d", "", ""),
        ("2.inner.0.Conv2d", "2.inner", "1.ReLU"),
        ("2.inner.3.inner.0.Conv2d", "2.inner.3.inner", "2.inner.2.ReLU"),
        ("3.inner.Conv2d", "3.inner", "2.Residual"),
        ("3.shortcut.Conv2d", "3.shortcut", "2.Residual"),
        ("7.Linear", "", "4.ReLU"),
    ]
    assert [w.units for w in facts.weights] == [4] * 5 + [3] and facts.weights[0].fan_in == 27


def test_filters_that_start_alike_are_found_but_not_those_of_depthwise_convolutions():
    def model(groups):
        start = {"init": lambda shape: pynn.init.constant(shape, 0.1)}
        return pynn.Sequential(
            pynn.Conv2d(3, 8, 3), pynn.ReLU(), pynn.Conv2d(8, 8, 3, groups=groups, **start), pynn.ReLU(),
            pynn.Flatten(), pynn.Linear(288, 3, init="zeros"),
        )  # fmt: skip

    x, y = images(200)
    for groups, status in ((1, "fail"), (8, "pass")):
        pynn.manual_seed(0)
        trainer = pynn.Trainer(model(groups), pynn.CrossEntropyLoss(), pynn.SGD(lr=1e-2))
        check = next(check for check in pynn.preflight(trainer, x, y).checks if check.name == "symmetric units")
        assert check.status == status, check
        symptoms = [finding.symptom for finding in watched(model(groups)).findings]
        assert ("symmetric_units" in symptoms) == (status == "fail")


def test_a_residual_branch_may_start_as_nothing():
    pynn.manual_seed(0)
    inner = pynn.Sequential(pynn.Conv2d(8, 8, 3, padding=1), pynn.ReLU(), pynn.Conv2d(8, 8, 3, padding=1, init="zeros"))
    model = pynn.Sequential(
        pynn.Conv2d(3, 8, 3, padding=1), pynn.ReLU(), pynn.Residual(inner), pynn.Flatten(), pynn.Linear(800, 3)
    )
    x, y = images(300)
    report = pynn.preflight(pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(lr=1e-2)), x, y)
    assert not [check for check in report.checks if check.status in ("warn", "fail")], str(report)


def preflight_of(model, x, y):
    report = pynn.preflight(pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(lr=1e-2)), x, y)
    return {check.name: check for check in report.checks}


def cnn(**settings):
    pynn.manual_seed(0)
    return pynn.Sequential(
        pynn.Conv2d(3, 8, 3, **settings), pynn.ReLU(), pynn.MaxPool2d(2), pynn.Flatten(), pynn.Linear(128, 3)
    )


def test_preflight_looks_at_the_channels_of_images():
    x, y = images(200)
    x[:, 1] *= 100
    x[:, 2] = 7
    checks = preflight_of(cnn(), x, y)
    assert checks["input scale"].status == "fail" and "of each channel" in checks["input scale"].evidence
    assert "ChannelStandardize" in checks["input scale"].advice
    assert checks["constant features"].status == "warn" and "channel 2" in checks["constant features"].evidence
    x, y = images(200)
    x[:, 1] *= 0.01
    assert preflight_of(cnn(), x, y)["input scale"].status == "pass"
    x[:, 2] *= 0.01
    assert preflight_of(cnn(), x, y)["input scale"].status == "warn"


def test_preflight_knows_images_with_the_colours_last_and_such_that_were_reshaped():
    noise, y = images(200)
    smooth = noise.cumsum(axis=2).cumsum(axis=3)  # as photographs, neighbours are alike
    smooth = (smooth / smooth.std()).astype(np.float32)
    last = np.ascontiguousarray(smooth.transpose(0, 2, 3, 1))
    assert preflight_of(cnn(), smooth, y)["image layout"].status == "pass"
    assert preflight_of(cnn(), noise, y)["image layout"].status == "pass"
    reshaped = preflight_of(cnn(), last.reshape(smooth.shape), y)["image layout"]
    assert reshaped.status == "warn" and "with the colours last" in reshaped.evidence, reshaped
    pynn.manual_seed(0)
    model = pynn.Sequential(pynn.Conv2d(10, 8, 3), pynn.ReLU(), pynn.Flatten(), pynn.Linear(64, 3))
    turned = preflight_of(model, last, y)["image layout"]
    assert turned.status == "warn" and "10x10 pixels with 3 colours last" in turned.evidence, turned


@pytest.mark.parametrize(
    ("turn", "words"),
    [
        (lambda x: x[..., ::-1], "mirrored"),
        (lambda x: x[:, :, ::-1], "upside down"),
        (lambda x: x.transpose(0, 1, 3, 2), "rows and columns change places"),
        (lambda x: x[:, ::-1], "the order of the channels is reversed"),
    ],
)
def test_preflight_knows_validation_images_that_lie_in_another_way(turn, words):
    x, y = images(300)
    x = (x + np.random.default_rng(1).standard_normal(x.shape[1:])).astype(np.float32)
    train, held_out = x[:200], x[200:]
    trainer = pynn.Trainer(cnn(), pynn.CrossEntropyLoss(), pynn.SGD(0.01))
    told = pynn.preflight(trainer, train, y[:200], validation=(turn(held_out), y[200:]))["image layout"]
    assert told.status == "fail" and words in told.evidence, told
    assert pynn.preflight(trainer, train, y[:200], validation=(held_out, y[200:]))["image layout"].status == "pass"


def test_a_transposed_convolution_at_the_end_is_the_last_layer():
    x, _ = images(200)
    pynn.manual_seed(0)
    model = pynn.Sequential(
        pynn.Conv2d(3, 8, 2, stride=2), pynn.ReLU(), pynn.ConvTranspose2d(8, 3, 2, stride=2), pynn.Tanh()
    )
    trainer = pynn.Trainer(model, pynn.MSELoss(), pynn.Adam(1e-3))
    monitor = pynn.Monitor(on_problem="silent")
    trainer.fit(x, np.tanh(x), epochs=12, batch_size=20, callbacks=[monitor])
    assert not monitor.verdict  # half of the targets are where no ReLU reaches


def test_preflight_finds_dead_channels_and_layers_without_a_bend():
    x, y = images(200)
    model = cnn()
    model[0].bias[...] = -100
    check = preflight_of(model, x, y)["dead units"]
    assert check.status == "fail" and "100% of 8 channels" in check.evidence
    straight = pynn.Sequential(pynn.Conv2d(3, 4, 3), pynn.AvgPool2d(2), pynn.Flatten(), pynn.Linear(64, 3))
    assert preflight_of(straight, x, y)["non-linearity"].status == "warn"


class Doubled(pynn.Conv2d):
    """A convolution whose backward pass forgets the factor of 2 that its forward pass has."""

    def forward(self, x, ctx):
        return 2 * super().forward(x, ctx)


def test_a_wrong_gradient_within_a_block_is_found_and_named():
    pynn.manual_seed(0)
    inner = pynn.Sequential(Doubled(8, 8, 3, padding=1), pynn.ReLU(), pynn.Conv2d(8, 8, 3, padding=1))
    model = pynn.Sequential(
        pynn.Conv2d(3, 8, 3, padding=1), pynn.ReLU(), pynn.Residual(inner), pynn.Flatten(), pynn.Linear(800, 3)
    )
    check = preflight_of(model, *images(60))["gradient check"]
    assert check.status == "fail" and check.layer == "2.inner.0.Doubled", check


@pytest.mark.parametrize("make", [residual_network, lambda: with_dropout(pynn.Sigmoid)])
def test_every_remedy_runs_on_networks_for_images(make):
    x, y = images(48)
    optimizer = pynn.SGD(1e-3, momentum=0.95, weight_decay=0.5)
    trainer = pynn.Trainer(make(), pynn.CrossEntropyLoss(), optimizer)
    blueprint = Blueprint.of(trainer, epochs=1, batch_size=16, shuffle=False, callbacks=())
    situation = Situation(blueprint, x, y, "classes", np.array([30, 2, 16]), 1.0)
    for remedy in candidates(situation, CURES, misfit=False):
        changed = blueprint.copy()
        remedy.apply(changed)
        again = changed.trainer()
        again.fit(x, y, epochs=1, batch_size=16)
        kinds = [type(layer).__name__ for layer in again.model.all_layers()]
        if remedy.subject == "norm" and "momentum" not in remedy.change:
            convolutions = [i for i, kind in enumerate(kinds) if kind == "Conv2d"]
            assert all(kinds[i + 1] == "BatchNorm2d" for i in convolutions), remedy
        if remedy.subject == "inputs":
            assert type(again.model.preprocessing) is pynn.preprocessing.ChannelStandardize


def with_dropout(activation):
    return pynn.Sequential(
        pynn.Conv2d(3, 4, 3, padding=1), activation(), pynn.MaxPool2d(2), pynn.Conv2d(4, 6, 3), pynn.ReLU(),
        pynn.Dropout2d(0.6), pynn.Flatten(), pynn.Linear(54, 8), pynn.ReLU(), pynn.Linear(8, 3),
    )  # fmt: skip


def test_filters_get_more_companions():
    def model():
        return pynn.Sequential(pynn.Conv2d(3, 4, 3), pynn.ReLU(), pynn.Flatten(), pynn.Linear(256, 3))

    trainer = pynn.Trainer(model(), pynn.CrossEntropyLoss(), pynn.SGD(1e-3))
    blueprint = Blueprint.of(trainer, epochs=1, batch_size=16, shuffle=True, callbacks=())
    situation = Situation(blueprint, *images(48), "classes", None, 1.0)
    found = candidates(situation, ["underfitting"], misfit=False)
    wider = next(remedy for remedy in found if remedy.subject == "size" and "instead" in remedy.change)
    wider.apply(blueprint)
    shapes = [parameter.shape for parameter in blueprint.trainer().model.parameters()]
    assert shapes == [(64, 3, 3, 3), (64,), (64 * 64, 3), (3,)]


def test_diagnose_cures_a_network_for_images():
    pynn.manual_seed(0)
    x, y = images(300)
    model = pynn.Sequential(
        pynn.Conv2d(3, 8, 3, init="zeros"), pynn.ReLU(), pynn.AdaptiveAvgPool2d(1), pynn.Flatten(), pynn.Linear(8, 3)
    )
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(lr=0.05, momentum=0.9))
    diagnosis = pynn.diagnose(trainer, x, y, epochs=4, seconds=20)
    assert diagnosis.verdict[0].symptom == "symmetric_units"
    assert 'Conv2d(..., init="he_normal")' in diagnosis.best.remedy.code
