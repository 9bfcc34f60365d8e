"""What changes between recorded steps takes effect in the next one, and a step that is refused moves nothing."""

import numpy as np
import pytest
from training_steps import MODELS, OPTIMIZERS, assert_same, batches, op_by_op

import pynn
from pynn.nn.recording import replayable


def changes():
    def slope(model, trainer):
        model[1].negative_slope = 0.3

    def freeze(model, trainer):
        model[0].freeze()

    def thaw(model, trainer):
        model[0].freeze(False)

    def smoothing(model, trainer):
        trainer.loss.label_smoothing = 0.2

    def momentum(model, trainer):
        trainer.optimizer.momentum = 0.1

    def rate(model, trainer):
        trainer.optimizer.lr = 0.02

    def clip(model, trainer):
        trainer.clip_norm = 0.1

    def weight(model, trainer):
        model[0].weight[...] = 0.5

    return [slope, freeze, thaw, smoothing, momentum, rate, clip, weight]


@pytest.mark.parametrize("change", changes(), ids=lambda change: change.__name__)
def test_a_change_between_steps_takes_effect(backend, monkeypatch, change):
    def steps():
        pynn.manual_seed(0)
        model = pynn.Sequential(pynn.Linear(6, 8), pynn.LeakyReLU(0.1), pynn.Linear(8, 3))
        trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), OPTIMIZERS["sgd"]())
        losses = []
        for index, batch in enumerate(batches(np.random.default_rng(1))):
            if index == 4:
                change(model, trainer)
            losses.append(trainer.step(*batch))
        return losses, {name: np.array(value) for name, value in model.state_dict().items()}

    recorded = steps()
    with op_by_op(monkeypatch):
        assert_same(recorded, steps())


def test_another_backend_in_between(backend):
    pynn.manual_seed(0)
    model = MODELS["relu"]()
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(lr=0.1))
    x, y = next(batches(np.random.default_rng(1)))
    losses = [trainer.step(x, y) for _ in range(3)]
    with pynn.use_backend("numpy"):
        losses += [trainer.step(x, y) for _ in range(2)]
    losses += [trainer.step(x, y) for _ in range(3)]
    assert losses == sorted(losses, reverse=True)


def test_a_label_out_of_range_is_named_and_the_next_step_goes_on(backend):
    trainer = pynn.Trainer(MODELS["relu"](), pynn.CrossEntropyLoss(), pynn.SGD(lr=0.1))
    x, y = next(batches(np.random.default_rng(1)))
    for _ in range(3):
        trainer.step(x, y)
    before = {name: np.array(value) for name, value in trainer.model.state_dict().items()}
    bad = y.copy()
    bad[7] = 3
    with pytest.raises(ValueError, match="3"):
        trainer.step(x, bad)
    for name, value in trainer.model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    assert np.isfinite(trainer.step(x, y))


def test_inputs_are_read_where_they_lie_at_each_step(backend):
    """A recording must not keep the address, or the values, of the arrays it was made with."""
    trainer = pynn.Trainer(MODELS["linear"](), pynn.MSELoss(), pynn.SGD(lr=0.0))
    rng = np.random.default_rng(2)
    weight, bias = np.asarray(trainer.model[0].weight), np.asarray(trainer.model[0].bias)
    for _ in range(5):
        x, y = rng.normal(size=(9, 6)).astype(np.float32), rng.normal(size=(9, 3)).astype(np.float32)
        expected = np.square(x.astype(np.float64) @ weight + bias - y).mean()
        assert trainer.step(x, y) == pytest.approx(expected, rel=1e-5)


def test_weights_of_another_length_are_refused_by_a_recorded_step_too(backend):
    trainer = pynn.Trainer(MODELS["relu"](), pynn.CrossEntropyLoss(), pynn.SGD(lr=0.1))
    x, y, weights = next(batches(np.random.default_rng(1), weighted=True))
    for _ in range(3):
        trainer.step(x, y, weights)
    with pytest.raises(ValueError, match="weight"):
        trainer.step(x, y, weights[:5])


def test_inputs_that_share_memory_at_first_and_not_later(backend):
    """An autoencoder's first step has its input as target; a denoising one's later steps do not."""
    trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(4, 4)), pynn.MSELoss(), pynn.SGD(lr=0.0))
    weight, bias = np.asarray(trainer.model[0].weight), np.asarray(trainer.model[0].bias)
    rng = np.random.default_rng(2)
    clean, noisy = (rng.normal(size=(9, 4)).astype(np.float32) for _ in range(2))
    for x, y in ((clean, clean), (noisy, clean), (clean, noisy), (clean, clean), (noisy, clean)):
        expected = np.square(x.astype(np.float64) @ weight + bias - y).mean()
        assert trainer.step(x, y) == pytest.approx(expected, rel=1e-5)


def test_a_refused_batch_moves_nothing(backend, monkeypatch):
    """Neither running statistics nor the place in the stream of random numbers, however often it is tried."""

    def run_with(bad):
        pynn.manual_seed(0)
        model = pynn.Sequential(pynn.Linear(6, 8), pynn.BatchNorm1d(8), pynn.Dropout(0.5), pynn.Linear(8, 3))
        trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(lr=0.1), seed=3)
        x, y = next(batches(np.random.default_rng(1)))
        losses = [trainer.step(x, y) for _ in range(3)]
        for _ in range(bad):
            with pytest.raises(ValueError, match="99"):
                trainer.step(x, np.full_like(y, 99))
        losses += [trainer.step(x, y) for _ in range(3)]
        return losses, {name: np.array(value) for name, value in model.state_dict().items()}

    assert_same(run_with(bad=2), run_with(bad=0))


def test_a_changed_decay_takes_effect(backend):
    model = pynn.Sequential(pynn.Linear(3, 2))
    trainer = pynn.Trainer(model, pynn.MSELoss(), pynn.SGD(lr=1.0, weight_decay=0.5, decay_all=False))
    x, y = np.zeros((4, 3), np.float32), np.zeros((4, 2), np.float32)
    model[0].weight[...] = 1
    trainer.step(x, y)
    model[0].weight.decay = False
    trainer.step(x, y)
    np.testing.assert_array_equal(model[0].weight, np.full((3, 2), 0.5))


def test_a_layer_that_converts_its_input_is_not_repeated(backend):
    """It says that it only calls ops on arrays that stay, and does not: no later step fills the copy it makes."""

    class Converts(pynn.Layer):
        @replayable
        def forward(self, x, ctx):
            return pynn.ops.relu(np.array(x), ctx.buffer("y", x.shape, x.dtype))

        @replayable
        def backward(self, dy, ctx):
            return dy

    trainer = pynn.Trainer(pynn.Sequential(Converts()), pynn.MSELoss(), pynn.SGD(lr=0.1))
    rng = np.random.default_rng(0)
    for _ in range(4):
        x, y = (rng.normal(size=(5, 3)).astype(np.float32) for _ in range(2))
        assert trainer.step(x, y) == pytest.approx(np.square(np.maximum(x, 0) - y).mean(), rel=1e-5)


def test_class_weights_are_an_array_that_a_recording_knows(backend):
    """In a loss of its own, and assigned anew between two steps."""
    loss = pynn.CrossEntropyLoss(weight=[1.0, 2.0, 0.5])
    trainer = pynn.Trainer(MODELS["linear"](), loss, pynn.SGD(lr=0.0))
    x, y = next(batches(np.random.default_rng(1)))
    for weight in ([1.0, 2.0, 0.5], [3.0, 0.1, 1.0]):
        loss.weight = weight
        expected = pynn.CrossEntropyLoss(weight=weight)(trainer.model(x), y)[0]
        for _ in range(3):
            assert trainer.step(x, y) == expected
        recordings = trainer._step.passes._recordings.values()
        assert all(recorded.forward.complete for recorded in recordings)


def test_running_statistics_may_be_replaced_by_other_arrays(backend):
    model = pynn.Sequential(pynn.Linear(6, 8), pynn.BatchNorm1d(8), pynn.Linear(8, 3))
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(lr=0.1))
    x, y = next(batches(np.random.default_rng(1)))
    for _ in range(2):
        trainer.step(x, y)
    model[1].running_mean = np.full(8, 7, np.float32)
    with pytest.raises(ValueError, match="99"):
        trainer.step(x, np.full_like(y, 99))
    np.testing.assert_array_equal(model[1].running_mean, np.full(8, 7))
    trainer.step(x, y)
    assert (model[1].running_mean < 7).all()


def test_a_parameters_array_cannot_be_replaced():
    """The optimiser would go on with the old one."""
    model = pynn.Sequential(pynn.Linear(2, 2))
    pynn.Trainer(model, pynn.MSELoss(), pynn.SGD())
    for name in ("data", "grad"):
        with pytest.raises(AttributeError, match=r"\[\.\.\.\] = values"):
            setattr(model[0].weight, name, np.ones((2, 2), np.float32))


class Counts(pynn.Layer):
    """Passes everything on, and counts how often Python does it: not in a recorded step."""

    def __init__(self):
        super().__init__()
        self.inner, self.seen, self.scale = pynn.ReLU(), [0], 1.0

    @replayable
    def forward(self, x, ctx):
        self.seen[0] += 1
        return self.inner.forward(x, ctx)

    @replayable
    def backward(self, dy, ctx):
        return self.inner.backward(dy, ctx)


@pytest.mark.skipif("cython" not in pynn.available_backends(), reason="records steps")
def test_what_changes_elsewhere_records_no_step_again():
    with pynn.use_backend("cython"):
        counts, other = Counts(), pynn.Sequential(pynn.Dropout(0.5), pynn.Linear(3, 2))
        trainer = pynn.Trainer(
            pynn.Sequential(pynn.Linear(3, 4), pynn.Residual(counts), pynn.Linear(4, 2)),
            pynn.CrossEntropyLoss(), pynn.SGD(0.1),
        )  # fmt: skip
        x, y = np.ones((4, 3), np.float32), np.zeros(4, int)
        trainer.step(x, y)
        assert counts.seen == [1]
        other[0].p = 0.25
        pynn.CrossEntropyLoss().ignore_index = 3
        pynn.Trainer(other, pynn.CrossEntropyLoss(), pynn.SGD(0.1)).step(x, y)
        other[0].p = 0.75
        trainer.step(x, y)
        assert counts.seen == [1]
        for change in (
            lambda: setattr(counts, "scale", 2.0),  # of a layer, of one within it, of a parameter, of the loss
            lambda: setattr(counts.inner, "slope", 1.0),
            lambda: setattr(trainer.model[0].weight, "frozen", True),
            lambda: setattr(trainer.loss, "ignore_index", 1),
        ):
            before = counts.seen[0]
            change()
            trainer.step(x, y)
            trainer.step(x, y)
            assert counts.seen[0] == before + 1
