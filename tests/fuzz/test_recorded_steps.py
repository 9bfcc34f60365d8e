"""Random networks train to the same bits where steps repeat recorded kernel calls and where they go from op to op."""

from typing import NamedTuple

import numpy as np
import pytest
from fuzz import networks, trainers
from fuzz.arrays import LAYOUTS, dressed
from fuzz.changes import change
from fuzz.networks import pick
from fuzz.tried import amounts, each_seed

import pynn
from pynn.backends.selection import kernels
from pynn.nn.loss import FunctionLoss

STEPS = 10
NETWORKS = 300


class After(NamedTuple):
    """What there is after a step: how the batch was made, the loss, and everything that the next step starts from."""

    how: str
    loss: object
    state: dict


def made_batch(rng, trainer, shape, outputs, kind, rows):
    """Return arguments of `Trainer.step`, and how they came about."""
    dtype = trainer.model.dtype
    x = rng.standard_normal((rows, *shape)).astype(pick(rng, dtype, dtype, dtype, np.float64, np.float32))
    if kind == "labels":
        y = rng.integers(0, outputs, rows).astype(pick(rng, np.int64, np.int64, np.int32, np.uint8))
    else:
        y = rng.random((rows, outputs)).astype(pick(rng, dtype, dtype, np.float64))
    weight = rng.uniform(0.1, 2, rows).astype(pick(rng, dtype, np.float64)) if rng.random() < 0.3 else None
    if kind == "values" and (rows, *shape) == y.shape and rng.random() < 0.7:
        x, how = dressed(x, rng)
        return (x, pick(rng, x, x[...], x[::-1])), f"{how} x, which is y too"
    (x, of_x), (y, of_y) = dressed(x, rng), dressed(y, rng)
    if weight is None or isinstance(trainer.loss, FunctionLoss):
        return (x, y), f"x {of_x}, y {of_y}"
    weight, of_weight = dressed(weight, rng)
    return (x, y, weight), f"x {of_x}, y {of_y}, weight {of_weight}"


def rewritten(batch, rng):
    """Return the batch with other values in the same memory, as a ring buffer has, or None if it cannot be."""
    x = np.asarray(batch[0])
    if not x.flags.writeable:
        return None
    x[...] = rng.standard_normal(x.shape)
    return batch


def snapshot(trainer):
    """Return the bits of all that the next step starts from."""
    model, optimizer = trainer.model, trainer.optimizer
    arrays = {f"weights of {name}": np.array(parameter) for name, parameter in model.named_parameters()}
    arrays |= {f"gradient of {name}": parameter.grad.copy() for name, parameter in model.named_parameters()}
    arrays |= {f"buffer {name}": np.array(buffer) for name, buffer in model.named_buffers()}
    arrays |= {f"state {name}": np.array(values) for name, values in optimizer.state.items()}
    arrays["random stream"] = np.array([trainer._random.seed, trainer._random.offset], np.uint64)
    arrays["counts"] = np.array([trainer.steps, optimizer.steps, trainer.lr])
    arrays["prediction"] = np.array(trainer.prediction)
    return {name: array.tobytes() for name, array in arrays.items()}


def take(trainer, batch):
    """Take a step and return the loss, or what it raised."""
    try:
        return trainer.step(*batch)
    except (ValueError, TypeError, RuntimeError, pynn.NonFiniteError) as error:
        return f"{type(error).__name__}: {error}"


def train(seed, dtype):
    """Yield what is there after each of ten steps; all of it is a function of the seed."""
    rng = np.random.default_rng(seed)
    pynn.manual_seed(seed)
    trainer, shape, outputs, kind = trainers.trainer(rng, dtype)
    sizes = pick(rng, (4, 4, 4, 3), (2, 9), (17, 17, 5), (1, 3, 3))
    batch, few = None, rng.random() < 0.5
    for step in range(STEPS):
        how = ""
        if step and rng.random() < (0.2 if few else 0.6):
            how = change(rng, trainer) + ", "
        again = batch is not None and rng.random() < 0.2
        batch = rewritten(batch, rng) if again else None
        if batch is None:
            batch, provenance = made_batch(rng, trainer, shape, outputs, kind, sizes[step % len(sizes)])
            how += provenance
        yield After(how, take(trainer, batch), snapshot(trainer))


def assert_same(seed, dtype, backend, monkeypatch):
    """Train twice, recorded and op by op, and compare after each step."""
    with pynn.use_backend(backend):
        recorded = list(train(seed, dtype))
        with pynn.use_backend(backend), monkeypatch.context() as patch:
            patch.delattr(kernels(), "Recording", raising=False)
            by_op = list(train(seed, dtype))
    pynn.set_num_threads(1)
    for step, (a, b) in enumerate(zip(recorded, by_op, strict=True)):
        story = f"seed {seed}, {dtype}, step {step} of {[after.how for after in recorded[: step + 1]]}"
        assert a.how == b.how
        assert np.array_equal(a.loss, b.loss, equal_nan=True) if isinstance(a.loss, float) else a.loss == b.loss, story
        different = [name for name in a.state if a.state[name] != b.state.get(name)]
        assert not different, f"{different} differ: {story}"


@amounts
def test_recorded_steps_of_random_networks_have_the_bits_of_ops(amount, monkeypatch, record_property):
    tried = 0

    def check(seed):
        nonlocal tried
        tried += 1
        dtype = np.dtype("f8" if seed % 4 == 0 else "f4")
        with np.errstate(all="ignore"):
            assert_same(seed, dtype, "cython", monkeypatch)

    threads = pynn.get_num_threads()
    try:
        each_seed(NETWORKS * amount, check)
    finally:
        pynn.set_num_threads(threads)
        record_property("tried: networks recorded and op by op", tried)


def public(base):
    """Return the names of pynn's classes of a kind."""
    classes = {name: getattr(pynn, name) for name in pynn.__all__ if isinstance(getattr(pynn, name), type)}
    return {name for name, value in classes.items() if issubclass(value, base) and value is not base}


def test_every_layer_loss_optimizer_and_regularizer_takes_part():
    assert public(pynn.Layer) == set(networks.MAKERS) - {"a user's own"}
    assert public(pynn.Loss) == set(trainers.LOSSES) - {"a function"}
    assert public(pynn.Optimizer) == set(trainers.OPTIMIZERS)
    assert public(pynn.Regularizer) == set(trainers.REGULARIZERS)
    assert public(pynn.Schedule) == {*trainers.SCHEDULES, "LambdaLR"}  # which cannot be saved
    assert len(LAYOUTS) > 10


@pytest.mark.skipif("cython" not in pynn.available_backends(), reason="only compiled kernels are recorded")
def test_most_steps_of_random_networks_are_repeated_from_a_recording(monkeypatch):
    """A test of recorded steps is worth as much as there are of them."""
    repeated, tried = set(), 40
    with pynn.use_backend("cython"):

        class Counted(kernels().Recording):
            def run(self, *inputs):
                repeated.add(seed)
                return super().run(*inputs)

        monkeypatch.setattr(kernels(), "Recording", Counted)
        for seed in range(tried):
            pynn.manual_seed(seed)
            rng = np.random.default_rng(seed)
            trainer, shape, outputs, kind = trainers.trainer(rng, np.dtype("f4"))
            x = rng.standard_normal((5, *shape), np.float32)
            y = rng.integers(0, outputs, 5) if kind == "labels" else rng.random((5, outputs), np.float32)
            for _ in range(3):
                take(trainer, (x, y))
    assert len(repeated) > tried // 2
