"""A training step that repeats recorded kernel calls gives the same bits as one that goes from op to op."""

import contextlib
import pickle
import tempfile
import tracemalloc

import numpy as np
import pytest

import pynn
from pynn.backends.selection import kernels
from pynn.nn.context import Context
from pynn.nn.recording import replayable


class Doubled(pynn.Layer):
    """A layer of the user's own, which computes with NumPy: it cannot be recorded."""

    def forward(self, x, ctx):
        return 2 * x

    def backward(self, dy, ctx):
        return 2 * dy


class Around(pynn.Layer):
    """A container of the user's own, which needs its dy after an inner network has used it."""

    def __init__(self):
        super().__init__()
        self.left = pynn.Sequential(pynn.Linear(8, 8), pynn.Tanh(), pynn.Linear(8, 8), pynn.PReLU())
        self.right = pynn.Sequential(pynn.PReLU(), pynn.Linear(8, 8))

    def forward(self, x, ctx):
        left, right = ctx.children(2)
        return x + self.left.forward(x, left) + self.right.forward(x, right)

    def backward(self, dy, ctx):
        left, right = ctx.children(2)
        return self.left.backward(dy, left) + self.right.backward(dy, right) + dy


def chain(*middle):
    return lambda: pynn.Sequential(pynn.Linear(6, 8), *[layer() for layer in middle], pynn.Linear(8, 3))


def frozen_bottom():
    model = chain(lambda: pynn.BatchNorm1d(8), pynn.ReLU)()
    model[0].freeze()
    model[1].freeze()
    return model


MODELS = {
    "linear": lambda: pynn.Sequential(pynn.Linear(6, 3)),
    "relu": chain(pynn.ReLU),
    "batchnorm": chain(lambda: pynn.BatchNorm1d(8), pynn.ReLU),
    "gelu": chain(pynn.GELU),
    "batchnorm and silu": chain(lambda: pynn.BatchNorm1d(8), pynn.SiLU),
    "dropout": chain(pynn.Tanh, lambda: pynn.Dropout(0.4)),
    "dropout first": lambda: pynn.Sequential(pynn.Dropout(0.2), pynn.Linear(6, 3)),
    "prelu": chain(pynn.PReLU),
    "two activations": chain(pynn.ELU, pynn.Sigmoid),
    "nested": chain(lambda: pynn.Sequential(pynn.Linear(8, 8), pynn.LeakyReLU())),
    "maxout": chain(lambda: pynn.Maxout(8, 8, pieces=2)),
    "own layer": chain(Doubled, pynn.ReLU),
    "own container": chain(Around, pynn.PReLU),
    "residual": chain(lambda: pynn.Residual(pynn.Sequential(pynn.PReLU(), pynn.Linear(8, 8))), pynn.PReLU),
    "frozen": frozen_bottom,
}
OPTIMIZERS = {
    "sgd": lambda: pynn.SGD(lr=0.1, momentum=0.9, weight_decay=1e-3),
    "adamw": lambda: pynn.AdamW(lr=0.01),
    "rmsprop": lambda: pynn.RMSprop(lr=0.01, momentum=0.5),
}
#: A short last batch in between, a lonely shape, and a long one at the end.
BATCHES = (16, 16, 5, 16, 5, 16, 2, 40, 16)


@contextlib.contextmanager
def op_by_op(monkeypatch):
    """Take away what records; where the backend has none, nothing changes."""
    with monkeypatch.context() as patch:
        patch.delattr(kernels(), "Recording", raising=False)
        yield


def batches(rng, weighted=False):
    for n in BATCHES:
        x, y = rng.normal(size=(n, 6)).astype(np.float32), rng.integers(0, 3, n)
        yield (x, y, rng.uniform(0.1, 2, n)) if weighted else (x, y)


def run(model, optimizer, loss=None, weighted=False):
    """Return the losses and the final state of a few steps from a fixed start."""
    pynn.manual_seed(3)
    network = model()
    trainer = pynn.Trainer(network, loss or pynn.CrossEntropyLoss(), optimizer(), seed=5)
    losses = [trainer.step(*batch) for batch in batches(np.random.default_rng(1), weighted)]
    return losses, {name: np.array(value) for name, value in network.state_dict().items()}


def assert_same(a, b):
    assert a[0] == b[0]
    assert a[1].keys() == b[1].keys()
    for name, value in a[1].items():
        np.testing.assert_array_equal(value, b[1][name], err_msg=name)


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_recorded_steps_are_the_same_to_the_last_bit(backend, monkeypatch, model, optimizer):
    recorded = run(model, optimizer)
    with op_by_op(monkeypatch):
        assert_same(recorded, run(model, optimizer))


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_gradients_that_share_memory_are_the_same_to_the_last_bit(backend, monkeypatch, model):
    shared = run(model, OPTIMIZERS["sgd"])
    monkeypatch.setattr(Context, "gradient", lambda self, name, shape, dtype, *_: self.buffer(name, shape, dtype))
    assert_same(shared, run(model, OPTIMIZERS["sgd"]))


def test_the_backward_pass_of_a_deep_network_takes_no_more_memory_than_that_of_a_shallow_one(backend):
    def arrays(depth):
        """Return how many arrays as large as x a step leaves behind."""
        layers = (layer for _ in range(depth) for layer in (pynn.Linear(64, 64), pynn.PReLU()))
        trainer = pynn.Trainer(pynn.Sequential(*layers), pynn.MSELoss(), pynn.SGD())
        x = np.zeros((2048, 64), np.float32)
        tracemalloc.start()
        trainer.step(x, x)
        found = tracemalloc.get_traced_memory()[0] / x.nbytes
        tracemalloc.stop()
        return found

    arrays(2)
    assert arrays(20) - arrays(10) == pytest.approx(20, rel=0.05)  # outputs


@pytest.mark.parametrize(
    "loss",
    [
        lambda: pynn.CrossEntropyLoss(label_smoothing=0.1, weight=[1.0, 2.0, 0.5]),
        lambda: pynn.CrossEntropyLoss(reduction="sum"),
        pynn.HingeLoss,
        pynn.MultiMarginLoss,
    ],
)
def test_weighted_losses_are_recorded_with_their_weights(backend, monkeypatch, loss):
    recorded = run(MODELS["relu"], OPTIMIZERS["sgd"], loss(), weighted=True)
    with op_by_op(monkeypatch):
        assert_same(recorded, run(MODELS["relu"], OPTIMIZERS["sgd"], loss(), weighted=True))


def test_an_activation_joined_to_its_layer_changes_no_bit(backend, monkeypatch):
    for name in ("relu", "batchnorm", "gelu", "batchnorm and silu"):
        joined = run(MODELS[name], OPTIMIZERS["sgd"])
        with monkeypatch.context() as patch:
            patch.setattr("pynn.nn.fusion._fuses", lambda layer, successor: False)
            assert_same(joined, run(MODELS[name], OPTIMIZERS["sgd"]))


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


def unpickled(array):
    """Return a copy whose dtype equals NumPy's own and is another object, as from a file or another process."""
    return pickle.loads(pickle.dumps(array))


def swapped_twice(array):
    big = array.astype(array.dtype.newbyteorder(">"))
    return big.astype(big.dtype.newbyteorder("="))


def mapped(array):
    with tempfile.TemporaryFile() as file:
        np.save(file, array)
        file.seek(0)
        np.lib.format.read_magic(file)
        np.lib.format.read_array_header_1_0(file)
        return np.memmap(file, array.dtype, "r", offset=file.tell(), shape=array.shape)


PROVENANCES = {
    "unpickled": unpickled,
    "swapped twice": swapped_twice,
    "big-endian": lambda array: array.astype(array.dtype.newbyteorder(">")),
    "strided": lambda array: np.repeat(array, 2, axis=0)[::2],
    "memory-mapped": mapped,
    "subclass": lambda array: array.view(type("Own", (np.ndarray,), {})),
    "read-only": lambda array: np.frombuffer(array.tobytes(), array.dtype).reshape(array.shape),
    "float64": lambda array: array.astype(np.float64) if array.dtype.kind == "f" else array,
    "list": lambda array: array.tolist(),
}
LOSSES = {
    "cross-entropy": (pynn.CrossEntropyLoss, lambda rng, n: rng.integers(0, 3, n)),
    "hinge": (pynn.HingeLoss, lambda rng, n: rng.integers(0, 3, n)),
    "mse": (pynn.MSELoss, lambda rng, n: rng.normal(size=(n, 3)).astype(np.float32)),
    "bce": (pynn.BCEWithLogitsLoss, lambda rng, n: rng.integers(0, 2, (n, 3)).astype(np.float32)),
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("provenance", PROVENANCES)
def test_where_a_batch_comes_from_makes_no_difference(backend, provenance, loss):
    def steps(change):
        pynn.manual_seed(3)
        network = pynn.Sequential(
            pynn.LayerNorm(6), pynn.Linear(6, 8), pynn.PReLU(), pynn.Maxout(8, 8, pieces=2), pynn.Linear(8, 3)
        )
        make_loss, targets = LOSSES[loss]
        trainer = pynn.Trainer(network, make_loss(), pynn.SGD(lr=0.1))
        rng = np.random.default_rng(1)
        losses = []
        for _ in range(4):
            batch = rng.normal(size=(9, 6)).astype(np.float32), targets(rng, 9), rng.uniform(0.1, 2, 9)
            losses.append(trainer.step(*[change(np.asarray(array)) for array in batch]))
        return losses, network.state_dict()

    assert_same(steps(PROVENANCES[provenance]), steps(np.copy))


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


@pytest.mark.parametrize("layer", [lambda: pynn.Linear(6, 8), lambda: pynn.Linear(6, 8, init="he_normal")])
def test_the_gradient_of_a_bias_that_batch_norm_cancels_stays_zero(backend, layer):
    """Also where a penalty adds to it in every step."""
    model = pynn.Sequential(layer(), pynn.BatchNorm1d(8), pynn.Linear(8, 3))
    model[0].bias.decay = True
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(lr=0.0), regularizers=[pynn.optim.L2(0.5)])
    model[0].bias[...] = 2
    for batch in batches(np.random.default_rng(1)):
        trainer.step(*batch)
        np.testing.assert_array_equal(model[0].bias.grad, np.ones(8))


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
