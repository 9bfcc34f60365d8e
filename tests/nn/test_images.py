"""Networks for images: training as PyTorch would build them, recorded steps, files, widths, watching."""

import copy
import pickle

import numpy as np
import pytest

import pynn
from pynn import ops

pytestmark = pytest.mark.usefixtures("backend")


def network():
    pynn.manual_seed(1)
    return pynn.Sequential(
        pynn.Conv2d(3, 6, 3, padding=1), pynn.BatchNorm2d(6), pynn.ReLU(), pynn.MaxPool2d(2), pynn.Conv2d(6, 8, 3),
        pynn.PReLU(8), pynn.Residual(pynn.Sequential(pynn.GroupNorm(2, 8), pynn.Conv2d(8, 8, 1))), pynn.Dropout2d(0.1),
        pynn.AdaptiveAvgPool2d(1), pynn.Flatten(), pynn.LayerNorm(8), pynn.Linear(8, 3),
    )  # fmt: skip


def images(count=60):
    """Return three classes of images: bright above, bright below, neither."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, count)
    x = rng.normal(size=(count, 3, 10, 10)).astype(np.float32)
    x[y == 0, :, :5] += 1.5
    x[y == 1, :, 5:] += 1.5
    return x, y


def train(model, steps=12, **arguments):
    x, y = images()
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.Adam(lr=1e-2), **arguments)
    return trainer, [trainer.step(x[:32], y[:32]) for _ in range(steps)]


def test_a_network_of_all_layers_learns():
    trainer, losses = train(network(), 60)
    assert losses[-1] < losses[0] / 2
    assert trainer.evaluate(*images())["accuracy"] > 0.8


def test_slopes_of_images_are_those_of_their_channels(rng):
    x, y = rng.normal(size=(4, 2, 3, 5)), rng.integers(0, 3, 4)
    model = pynn.Sequential(pynn.PReLU(2), pynn.Flatten(), pynn.Linear(30, 3))
    model[0].weight[...] = 0.5, -1
    want = np.where(x < 0, x * np.array([0.5, -1])[:, None, None], x)
    np.testing.assert_allclose(pynn.ops.prelu(x, np.array([0.5, -1])), want)
    assert all(check.ok() for check in pynn.gradcheck(model, pynn.CrossEntropyLoss(), x, y))


def test_recorded_steps_are_those_taken_op_by_op(monkeypatch, backend):
    _, recorded = train(network())
    monkeypatch.setattr("pynn.training.passes.recorder", lambda methods: None)
    _, plain = train(network())
    assert recorded == plain
    model = network()
    trainer, _ = train(model, 1)
    monkeypatch.undo()
    trainer = pynn.Trainer(network(), pynn.CrossEntropyLoss(), pynn.Adam())
    trainer.step(*images(32))
    assert (trainer._step.passes._recorder is not None) == (backend == "cython")


def test_results_do_not_depend_on_the_number_of_threads(backend):
    if backend != "cython":
        pytest.skip("only the compiled kernels share out work")
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(8, 16, 16, 16)).astype(np.float32), rng.normal(size=(40, 16, 3, 3)).astype(np.float32)
    before, results = pynn.get_num_threads(), []
    for threads in (1, 3):
        pynn.set_num_threads(threads)
        y = pynn.ops.conv2d(x, w, padding=1)
        results.append((y, *pynn.ops.conv2d_backward(y, x, w, padding=1), pynn.ops.max_pool2d(x, 2)[0]))
    pynn.set_num_threads(before)
    for one, three in zip(*results, strict=True):
        np.testing.assert_array_equal(one, three)


def test_saved_and_loaded(tmp_path):
    model = network()
    train(model)
    model.save(tmp_path / "m.safetensors")
    again = pynn.load(tmp_path / "m.safetensors")
    assert repr(again) == repr(model)
    np.testing.assert_array_equal(again.predict(images()[0]), model.predict(images()[0]))


def test_a_checkpoint_continues_bit_for_bit(tmp_path):
    x, y = images()
    trainer, _ = train(network(), 3)
    trainer.save(tmp_path / "run.ckpt")
    resumed = pynn.Trainer.resume(tmp_path / "run.ckpt")
    assert [trainer.step(x, y) for _ in range(3)] == [resumed.step(x, y) for _ in range(3)]


def test_state_dict_has_pytorchs_shapes():
    state = network().state_dict()
    assert state["0.weight"].shape == (6, 3, 3, 3) and state["1.running_var"].shape == (6,)
    assert "6.inner.1.weight" in state


def test_initialisation_is_pytorchs_and_knows_the_fans():
    layer = pynn.Conv2d(8, 64, 3, groups=2)
    limit = 1 / np.sqrt(4 * 9)
    assert layer.weight.fans == (36, 288)
    for values in (layer.weight[...], layer.bias[...]):
        assert np.abs(values).max() <= limit
    assert np.abs(layer.weight[...]).max() > 0.95 * limit
    he = pynn.Conv2d(32, 64, 3, init="he_normal")
    assert he.weight.std() == pytest.approx(np.sqrt(2 / 288), rel=0.05) and not he.bias.any()
    model = pynn.Sequential(
        pynn.Conv2d(3, 16, 3), pynn.ReLU(), pynn.Conv2d(16, 8, 3), pynn.Flatten(), pynn.Linear(288, 2)
    )
    variances = pynn.init.lsuv(model, images()[0])
    assert all(abs(value - 1) < 0.05 for value in variances.values())


def test_channels_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"layer 1 \(Conv2d\) expects 5 channels, but layer 0 \(Conv2d\) returns 4"):
        pynn.Sequential(pynn.Conv2d(3, 4, 3), pynn.Conv2d(5, 4, 3))
    with pytest.raises(ValueError, match="expects 3 channels"):
        pynn.Sequential(pynn.Conv2d(3, 4, 3), pynn.MaxPool2d(2), pynn.BatchNorm2d(3))
    pynn.Sequential(pynn.Conv2d(3, 4, 3), pynn.Flatten(), pynn.Linear(400, 4))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pynn.Conv2d(3, 4, 3, groups=2), "in_channels is 3; expected a multiple of groups=2"),
        (lambda: pynn.Conv2d(4, 3, 3, groups=2), "out_channels is 3; expected a multiple of groups=2"),
        (lambda: pynn.Conv2d(3, 4, (3, 3, 3)), "kernel_size is"),
        (lambda: pynn.Conv2d(3, 4, 3, stride=2, padding="same"), "needs a stride of 1"),
        (lambda: pynn.Conv1d(3, 4, (3, 3)), "kernel_size is"),
        (lambda: pynn.MaxPool2d(2, padding=2), "more than half"),
        (lambda: pynn.GroupNorm(3, 4), "num_channels is 4; expected a multiple of num_groups=3"),
        (lambda: pynn.LayerNorm(()), "normalized_shape is empty"),
        (lambda: pynn.Sequential(pynn.Conv2d(3, 4, 3))(np.ones((2, 3, 2, 9))), "height 3 .* height 2"),
        (lambda: pynn.Sequential(pynn.Conv2d(3, 4, 3))(np.ones((2, 4, 9, 9))), r"\(2, 4, 9, 9\); expected \(batch, 3"),
        (lambda: pynn.Sequential(pynn.Conv1d(3, 4, 3))(np.ones((2, 3, 9, 9))), r"expected \(batch, 3, length\)"),
        (lambda: pynn.Sequential(pynn.BatchNorm2d(3))(np.ones((2, 3))), r"expected \(batch, 3, height, width\)"),
        (lambda: pynn.Sequential(pynn.MaxPool2d(2))(np.ones((2, 3))), r"expected \(batch, channels"),
        (lambda: pynn.Sequential(pynn.Residual(pynn.Conv2d(3, 3, 3)))(np.ones((2, 3, 9, 9))), "pass a shortcut"),
    ],
)
def test_bad_arguments_raise_with_the_numbers(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_summary_of_images():
    lines = network().summary((3, 10, 10)).splitlines()
    assert lines[1].split() == ["0", "Conv2d", "(n,", "6,", "10,", "10)", "168"]
    assert "(n, 3)" in lines[-2]
    assert "?" in network().summary()


def test_watching_changes_no_bit():
    _, plain = train(network())
    model = network()
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.Adam(lr=1e-2))
    monitor = pynn.Monitor(on_problem="silent")
    monitor.watch(trainer)
    x, y = images()
    assert [trainer.step(x[:32], y[:32]) for _ in range(12)] == plain


def nested_blocks():
    """Return a network with a block in a block, and one whose shortcut has a batch norm."""
    pynn.manual_seed(2)
    within = pynn.Residual(pynn.Sequential(pynn.BatchNorm2d(4), pynn.ReLU(), pynn.Conv2d(4, 4, 3, padding=1)))
    shortcut = pynn.Sequential(pynn.Conv2d(4, 6, 1, stride=2, bias=False), pynn.BatchNorm2d(6))
    inner = pynn.Sequential(pynn.Conv2d(4, 6, 3, 2, 1), pynn.LayerNorm((6, 5, 5)), pynn.PReLU(), pynn.Dropout2d(0.1))
    return pynn.Sequential(
        pynn.Conv2d(3, 4, 3, padding=1), pynn.Residual(within), pynn.Residual(inner, shortcut), pynn.AvgPool2d(2),
        pynn.Flatten(), pynn.Linear(24, 3),
    )  # fmt: skip


def test_names_within_nested_blocks_lead_to_the_layers():
    model = nested_blocks()
    state = model.state_dict()
    assert state["1.inner.inner.2.weight"].shape == (4, 4, 3, 3)
    assert state["2.shortcut.1.running_mean"].shape == (6,)
    np.testing.assert_array_equal(state["2.inner.0.weight"], model[2].inner[0].weight.data)


def test_nested_blocks_survive_files_copies_and_checkpoints(tmp_path, backend):
    x, y = images()
    trainer, _ = train(nested_blocks(), 5)
    model = trainer.model
    model.save(tmp_path / "m.safetensors")
    for again in (pynn.load(tmp_path / "m.safetensors"), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert repr(again) == repr(model)
        np.testing.assert_array_equal(again.predict(x), model.predict(x))
    other = nested_blocks()
    other.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(other.predict(x), model.predict(x))
    state = model.state_dict()
    del state["1.inner.inner.2.weight"]
    with pytest.raises(ValueError, match=r"missing \['1.inner.inner.2.weight'\]"):
        other.load_state_dict(state)
    trainer.save(tmp_path / "run.ckpt")
    resumed = pynn.Trainer.resume(tmp_path / "run.ckpt")
    assert [trainer.step(x, y) for _ in range(4)] == [resumed.step(x, y) for _ in range(4)]
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(resumed.model.state_dict()[name], array, err_msg=name)


@pytest.mark.parametrize(
    "layer",
    [
        pynn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), (1, 2), 2, bias=False),
        pynn.Conv2d(4, 4, 3, padding="same", init="he_normal"),
        pynn.Conv1d(4, 6, 3, 2, 1, 2, 2),
        pynn.MaxPool2d(3, 2, 1, ceil_mode=True),
        pynn.AvgPool2d((2, 3), 1, (1, 0), count_include_pad=False),
        pynn.AdaptiveAvgPool2d((2, 3)),
        pynn.AdaptiveMaxPool2d((3, 2)),
        pynn.ZeroPad2d((1, 0, -2, 3)),
        pynn.MaxPool1d(3, 2, 1, 2, ceil_mode=True),
        pynn.AvgPool1d(3, 2, 1, count_include_pad=False),
        pynn.ConvTranspose1d(4, 6, 3, 2, 1, 1, 2, dilation=2, init="he_normal"),
        pynn.ZeroPad1d((1, -2)),
        pynn.BatchNorm2d(4, eps=1e-3, momentum=0.3),
        pynn.GroupNorm(2, 4, eps=1e-3, affine=False),
        pynn.LayerNorm((9, 8), eps=1e-3, elementwise_affine=False),
        pynn.Dropout2d(0.3),
        pynn.Residual(pynn.Conv2d(4, 4, 1), pynn.Conv2d(4, 4, 1, groups=4)),
    ],
    ids=repr,
)
def test_a_file_keeps_every_setting(layer, tmp_path):
    model = pynn.Sequential(copy.deepcopy(layer))
    model.save(tmp_path / "m.safetensors")
    again = pynn.load(tmp_path / "m.safetensors")
    assert repr(again) == repr(model)
    x = np.random.default_rng(0).normal(size=(2, 4, 9) if "1d" in repr(layer) else (2, 4, 9, 8))
    np.testing.assert_array_equal(again(x), model(x))


def test_initialising_reaches_into_blocks():
    model = nested_blocks()
    pynn.init.apply(model, "zeros")
    assert not any(parameter.data.any() for parameter in model.parameters() if parameter.decay)
    variances = pynn.init.lsuv(model, images()[0])
    assert list(variances) == ["0", "1.inner.inner.2", "2.inner.0", "2.shortcut.0", "5"]
    assert all(abs(value - 1) < 0.05 for value in variances.values())
    shape = (8, 4, 3, 3)
    assert pynn.init.he_normal(shape).std() == pytest.approx(np.sqrt(2 / 36), rel=0.1)
    assert pynn.init.xavier_normal(shape).std() == pytest.approx(np.sqrt(2 / (36 + 72)), rel=0.1)


@pytest.mark.parametrize("kind", ["Conv2d", "Conv1d"])
@pytest.mark.parametrize("bias", [True, False])
def test_predict_folds_batch_norm_into_the_convolution(kind, bias, monkeypatch, tolerance, dtype, rng):
    """Results as with the layers one by one, always of the present weights and statistics."""
    shape = (6, 3, 12, 12) if kind == "Conv2d" else (6, 3, 40)
    norm = pynn.BatchNorm2d(5) if kind == "Conv2d" else pynn.BatchNorm1d(5)
    convolution = getattr(pynn, kind)(3, 5, 3, padding=1, stride=2, bias=bias)
    model = pynn.Sequential(convolution, norm, pynn.GELU(), pynn.Dropout(0.5), pynn.Flatten()).astype(dtype)
    x = rng.normal(size=shape).astype(dtype)
    for _ in range(2):
        norm.weight[...], norm.bias[...] = rng.uniform(0.5, 2, 5), rng.normal(size=5)
        norm.running_mean[...], norm.running_var[...] = rng.normal(size=5), rng.uniform(0.5, 2, 5)
        np.testing.assert_allclose(model.predict(x), model(x), **tolerance)
    model(x)
    gradient = model.backward(np.ones_like(model(x)))  # ``model(x)`` keeps what a backward pass needs
    assert gradient is not None and gradient.shape == x.shape
    calls = []
    monkeypatch.setattr(ops, "batch_norm2d", lambda *args, **options: calls.append(args))
    model.predict(x)
    assert not calls


def test_predict_folds_nothing_where_the_weights_are_more_than_the_outputs(dtype, rng):
    model = pynn.Sequential(pynn.Conv2d(3, 5, 3), pynn.BatchNorm2d(5)).astype(dtype)
    x = rng.normal(size=(1, 3, 4, 4)).astype(dtype)
    np.testing.assert_array_equal(model.predict(x), model(x))
