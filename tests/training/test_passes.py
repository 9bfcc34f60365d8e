"""A training step that repeats recorded kernel calls gives the same bits as one that goes from op to op."""

import pickle
import tempfile
import tracemalloc

import numpy as np
import pytest
from training_steps import MODELS, OPTIMIZERS, assert_same, batches, op_by_op, run

import pynn
from pynn.nn.context import Context


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
