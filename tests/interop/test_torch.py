"""Networks go to PyTorch and back with outputs, gradients and settings."""

import copy
import re
from pathlib import Path

import numpy as np
import pytest
from fuzz import networks
from fuzz.tried import each_seed

import pynn
from pynn.interop.torch.pairs import MODULE_OF, PAIRS, WITHOUT
from pynn.nn import layers

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
nn, prune = torch.nn, pytest.importorskip("torch.nn.utils.prune")

pytestmark = [
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning"),  # of its speed
    pytest.mark.filterwarnings("ignore:dropout2d. Received a 3D input:UserWarning"),  # that its meaning may change
]

#: Largest differences, relative to the largest value.
TOLERANCE = {"float32": 1e-6, "float64": 1e-12}

#: Of random networks, whose norms multiply rounding: of 5286, 11 were further off than single layers may be, at worst
#: 30 times as far.
SLACK = 100

#: PyTorch's gradients of these hold 1/6 and alpha in float32, also in float64: 3e-8 and 6e-8 off.
COARSE = (nn.Hardsigmoid, nn.CELU)

# Each layer with settings that are not the defaults, and the shape of an example.
FLAT, SEQUENCES, IMAGES = (6,), (6, 9), (6, 9, 8)
MODULES = {
    "Linear": (lambda: nn.Linear(6, 6), FLAT),
    "Linear, no bias": (lambda: nn.Linear(6, 4, bias=False), FLAT),
    "Linear, rows": (lambda: nn.Linear(9, 4), SEQUENCES),
    "Linear, rows of images": (lambda: nn.Linear(8, 5, bias=False), IMAGES),
    "Conv1d": (lambda: nn.Conv1d(6, 4, 3, 2, 1, 2, 2), SEQUENCES),
    "Conv1d, same": (lambda: nn.Conv1d(6, 4, 4, padding="same", bias=False), SEQUENCES),
    "Conv2d": (lambda: nn.Conv2d(6, 4, (3, 2), (2, 1), (1, 2), (2, 1), 2), IMAGES),
    "Conv2d, same": (lambda: nn.Conv2d(6, 6, (2, 4), padding="same", dilation=(1, 2), groups=6), IMAGES),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(6, 4, (3, 2), (2, 3), 1, (1, 2), 2, dilation=(1, 2)), IMAGES),
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(6, 4, 3, 2, 1, 1, 2, dilation=2), SEQUENCES),
    "ConstantPad1d": (lambda: nn.ConstantPad1d((2, -1), 0), SEQUENCES),
    "ConstantPad2d": (lambda: nn.ConstantPad2d(2, 0.0), IMAGES),
    "ZeroPad1d": (lambda: nn.ZeroPad1d((0, 3)), SEQUENCES),
    "ZeroPad2d": (lambda: nn.ZeroPad2d((1, -2, 0, 3)), IMAGES),
    "UpsamplingNearest2d": (lambda: nn.UpsamplingNearest2d(scale_factor=2), IMAGES),
    "UpsamplingBilinear2d": (lambda: nn.UpsamplingBilinear2d((5, 20)), IMAGES),
    "Upsample": (lambda: nn.Upsample(scale_factor=(2, 1.5)), IMAGES),
    "Upsample, bilinear": (lambda: nn.Upsample((5, 20), mode="bilinear"), IMAGES),
    "Upsample, corners": (lambda: nn.Upsample(scale_factor=1.7, mode="bilinear", align_corners=True), IMAGES),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(6, 1e-2, 0.3), FLAT),
    "BatchNorm1d, sequences": (lambda: nn.BatchNorm1d(6, 1e-2, 0.3), SEQUENCES),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(6, 1e-2, 0.3), IMAGES),
    "GroupNorm": (lambda: nn.GroupNorm(3, 6, 1e-2), IMAGES),
    "GroupNorm, not affine": (lambda: nn.GroupNorm(2, 6, affine=False), SEQUENCES),
    "LayerNorm": (lambda: nn.LayerNorm((9, 8), 1e-2), IMAGES),
    "LayerNorm, not affine": (lambda: nn.LayerNorm(6, elementwise_affine=False), FLAT),
    "RMSNorm": (lambda: nn.RMSNorm((9, 8), 1e-2), IMAGES),
    "RMSNorm, not affine": (lambda: nn.RMSNorm(6, elementwise_affine=False), FLAT),
    "GLU": (lambda: nn.GLU(), FLAT),
    "GLU, channels": (lambda: nn.GLU(1), IMAGES),
    "PixelShuffle": (lambda: nn.Sequential(nn.Conv2d(6, 8, 1), nn.PixelShuffle(2)), IMAGES),
    "PixelUnshuffle": (lambda: nn.Sequential(nn.ZeroPad2d((0, 0, 0, 1)), nn.PixelUnshuffle(2)), IMAGES),
    "MaxPool1d": (lambda: nn.MaxPool1d(3, 2, 1, 2, ceil_mode=True), SEQUENCES),
    "MaxPool2d": (lambda: nn.MaxPool2d((3, 2), (2, 1), (1, 0), (1, 2), ceil_mode=True), IMAGES),
    "AvgPool1d": (lambda: nn.AvgPool1d(4, 3, 1, ceil_mode=True, count_include_pad=False), SEQUENCES),
    "AvgPool2d": (lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False), IMAGES),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d((4, 3)), IMAGES),
    "AdaptiveAvgPool1d": (lambda: nn.AdaptiveAvgPool1d(4), SEQUENCES),
    "AdaptiveMaxPool1d": (lambda: nn.AdaptiveMaxPool1d(3), SEQUENCES),
    "AdaptiveMaxPool2d": (lambda: nn.AdaptiveMaxPool2d((3, 1)), IMAGES),
    "Dropout": (lambda: nn.Dropout(0.3), FLAT),
    "Dropout1d": (lambda: nn.Dropout1d(0.3), SEQUENCES),
    "Dropout2d": (lambda: nn.Dropout2d(0.3), IMAGES),
    "Flatten": (lambda: nn.Flatten(), IMAGES),
    "ReLU": (lambda: nn.ReLU(inplace=True), FLAT),
    "LeakyReLU": (lambda: nn.LeakyReLU(0.2), FLAT),
    "PReLU": (lambda: nn.PReLU(6, 0.1), IMAGES),
    "ELU": (lambda: nn.ELU(0.4), FLAT),
    "SELU": (lambda: nn.SELU(), FLAT),
    "Sigmoid": (lambda: nn.Sigmoid(), FLAT),
    "Tanh": (lambda: nn.Tanh(), FLAT),
    "Softplus": (lambda: nn.Softplus(3.0), FLAT),
    "GELU": (lambda: nn.GELU("tanh"), FLAT),
    "SiLU": (lambda: nn.SiLU(), FLAT),
    "CELU": (lambda: nn.CELU(0.4), FLAT),
    "ReLU6": (lambda: nn.ReLU6(), FLAT),
    "LogSigmoid": (lambda: nn.LogSigmoid(), FLAT),
    "Hardsigmoid": (lambda: nn.Hardsigmoid(), FLAT),
    "Hardtanh": (lambda: nn.Hardtanh(-0.5, 0.3), FLAT),
    "Hardswish": (lambda: nn.Hardswish(), FLAT),
    "Softsign": (lambda: nn.Softsign(), FLAT),
    "Mish": (lambda: nn.Mish(), FLAT),
    "Softmax": (lambda: nn.Softmax(1), IMAGES),
    "LogSoftmax": (lambda: nn.LogSoftmax(-1), FLAT),
    "Identity": (lambda: nn.Identity(), FLAT),
    "Unflatten": (lambda: nn.Unflatten(1, (3, 2)), FLAT),
    "InstanceNorm1d": (lambda: nn.InstanceNorm1d(6, 1e-2, affine=True), SEQUENCES),
    "InstanceNorm2d": (lambda: nn.InstanceNorm2d(6), IMAGES),
}


def relative(found, expected, least=0.0):
    """Return the largest difference over the largest value, or over `least`."""
    scale = max(np.abs(expected).max(initial=0), least)
    return np.abs(found - expected).max(initial=0) / (scale if scale > 0 else 1)


def passes_of_torch(module, x, dy):
    """Return output, gradients by name, and what the module holds afterwards, all as NumPy arrays."""
    module = copy.deepcopy(module)
    module.zero_grad()
    x = torch.tensor(x, requires_grad=True)
    y = module(x.clone())  # a layer may work in place
    y.backward(torch.tensor(dy))
    gradients = {name: p.grad.numpy() for name, p in module.named_parameters() if p.grad is not None}
    state = {name: np.asarray(t.detach().numpy()) for name, t in module.state_dict().items()}
    return {"y": y.detach().numpy(), "dx": x.grad.numpy()} | {f"d {name}": g for name, g in gradients.items()}, state


def passes_of_pynn(model, x, dy):
    model = copy.deepcopy(model)
    y = model(x)
    dx = model.backward(dy)
    # PyTorch's layout: weights of Linear transposed.
    linear = {f"{name}.weight" for name, layer in model.named_leaves() if isinstance(layer, pynn.Linear)}
    turned = lambda name, array: array.T if name in linear else array  # noqa: E731
    gradients = {f"d {name}": turned(name, p.grad) for name, p in model.named_parameters() if not p.frozen}
    return {"y": y, "dx": dx} | gradients, {name: turned(name, a) for name, a in model.state_dict().items()}


def assert_same(model, module, shape, rng, rows=5, least=0.0, slack=1):
    """Compare outputs, gradients and running statistics, relative to the largest value of each.

    Where float32 rounds PyTorch's own result further from float64's, pynn's may be four times as far. `slack` is a
    factor of what is allowed.
    """
    dtype = model.dtype.name
    x = rng.standard_normal((rows, *shape)).astype(dtype)
    dy = rng.standard_normal(module.eval()(torch.tensor(x)).shape).astype(dtype)
    module.train(model.training)
    for name, layer in model.named_leaves():
        if isinstance(layer, layers.BatchNorm) and layer.weight.frozen:
            module.get_submodule(name).eval()
    exact, exact_state = passes_of_torch(copy.deepcopy(module).double(), x.astype("float64"), dy.astype("float64"))
    (theirs, their_state), (ours, our_state) = passes_of_torch(module, x, dy), passes_of_pynn(model, x, dy)
    assert ours.keys() == theirs.keys()
    tolerance = TOLERANCE["float32" if any(isinstance(part, COARSE) for part in module.modules()) else dtype]
    for name, expected in theirs.items():
        assert ours[name].dtype == expected.dtype == dtype
        allowed = slack * max(tolerance, 4 * relative(expected, exact[name], least))
        assert relative(ours[name], exact[name], least) <= allowed, name
    for name, array in our_state.items():
        allowed = slack * max(TOLERANCE[dtype], 4 * relative(their_state[name], exact_state[name], least))
        assert relative(array, exact_state[name], least) <= allowed, name


def randomized(module, rng):
    """Give all arrays of a module values that none begins with."""
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            low, high = (0.5, 2) if name.endswith("running_var") else (-1, 1)
            tensor.copy_(torch.tensor(rng.uniform(low, high, tensor.shape)))
    return module


def without_chance(module):
    """Let dropout keep everything: the masks of the two libraries differ."""
    for part in module.modules():
        if type(part).__name__.startswith("Dropout"):
            part.p = 0.0
    return module


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", MODULES)
def test_each_layer_comes_and_goes(name, dtype, training, rng):
    make, shape = MODULES[name]
    # The first has a parameter, and so the dtype.
    module = randomized(nn.Sequential(nn.PReLU(), make()).to(getattr(torch, dtype)), rng).train(training)
    model = pynn.from_torch(module)
    assert model.training is training
    again = pynn.to_torch(model)
    assert again.training is training
    assert repr(pynn.from_torch(again)) == repr(model)
    if not name.startswith(("Dropout1d", "ConstantPad", "Upsampling")):  # of which torch.nn has another, too
        assert type(again[1]) is type(module[1])
    for key, tensor in module.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            assert torch.equal(again.state_dict()[key], tensor)
    module = without_chance(module)
    if training and "Dropout" in name:
        model[1].p = 0.0
    assert model.dtype == dtype
    assert_same(model, module, shape, rng)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("padding_idx", [None, 2])
def test_embeddings_come_and_go(padding_idx, dtype, rng):
    module = nn.Sequential(nn.Embedding(7, 3, padding_idx), nn.Flatten(), nn.Linear(12, 2)).to(getattr(torch, dtype))
    model = pynn.from_torch(module)
    again = pynn.to_torch(model)
    assert repr(again) == repr(module)
    x, dy = rng.integers(0, 7, (20, 4)), rng.normal(size=(20, 2)).astype(dtype)
    y = again(torch.tensor(x))
    y.backward(torch.tensor(dy))
    assert relative(model(x), y.detach().numpy()) <= TOLERANCE[dtype]
    model.backward(dy)
    assert relative(model[0].weight.grad, again[0].weight.grad.numpy()) <= TOLERANCE[dtype]
    with pytest.raises(ValueError, match=r"0: Embedding has max_norm=1.0; expected None"):
        pynn.from_torch(nn.Sequential(nn.Embedding(3, 3, max_norm=1.0)))


def test_every_layer_has_a_counterpart_or_a_reason():
    known = {getattr(layers, name) for name in layers.__all__} - {pynn.Layer}
    assert set(MODULE_OF) | set(WITHOUT) == known
    assert not set(MODULE_OF) & set(WITHOUT)
    tried = {name.split(",")[0] for name in MODULES}
    assert {pair.module for pair in PAIRS} == tried | {"Embedding"}  # which takes other inputs, see below


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_random_networks_come_and_go(dtype):
    gone = []

    def check(seed):
        rng = np.random.default_rng(seed)
        pynn.manual_seed(seed)
        model, shape, _ = networks.network(rng, np.dtype(dtype))
        model = model.astype(dtype).train(bool(rng.integers(2)))
        for array in (*model.parameters(), *(buffer for _, buffer in model.named_buffers())):
            array[...] += rng.uniform(0, 0.2, array.shape)
        if any(isinstance(layer, pynn.Embedding) for layer in model.leaves()):
            return  # takes integers in PyTorch
        lacking = [name for name, layer in model.named_leaves() if type(layer) not in MODULE_OF]
        if lacking:
            with pytest.raises(ValueError) as refused:
                pynn.to_torch(model)
            assert [part.split(":")[0] for part in str(refused.value).split("; ")] == lacking
            return
        for layer in model.leaves():
            if isinstance(layer, pynn.Dropout):
                layer.p = 0.0
        module = pynn.to_torch(model)
        again = pynn.from_torch(module)
        assert repr(again).replace("he_normal", "None") == repr(model).replace("'he_normal'", "None")
        assert again.training == model.training
        for name, parameter in again.named_parameters():
            assert parameter.frozen == dict(model.named_parameters())[name].frozen
        for name, array in model.state_dict().items():
            np.testing.assert_array_equal(again.state_dict()[name], array)
        # Norms of few elements cancel gradients of size 1, and divide rounding by standard deviations near 0.
        assert_same(model, module, shape, rng, rows=4, least=1.0, slack=SLACK)
        gone.append(seed)

    each_seed(60, check)
    assert len(gone) > 10


def test_neither_library_draws_random_numbers():
    pynn.manual_seed(0)
    torch.manual_seed(0)
    model = pynn.from_torch(pynn.to_torch(pynn.Sequential(pynn.Linear(3, 3))))
    drawn = torch.rand(3), np.array(pynn.Linear(3, 3).weight)
    pynn.manual_seed(0)
    pynn.Linear(3, 3)
    torch.manual_seed(0)
    assert torch.equal(torch.rand(3), drawn[0])
    np.testing.assert_array_equal(pynn.Linear(3, 3).weight, drawn[1])
    assert len(model) == 1


def test_arrays_are_copies():
    module = nn.Sequential(nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2), nn.PReLU())
    model = pynn.from_torch(module)
    before = model.state_dict()
    with torch.no_grad():
        for tensor in module.state_dict().values():
            tensor.zero_()
    again = pynn.to_torch(model)
    model[0].weight[...] = 7
    for name, array in before.items():
        if name != "0.weight":
            np.testing.assert_array_equal(model.state_dict()[name], array)
        np.testing.assert_array_equal(again.state_dict()[name].numpy(), array)


def test_a_trained_network_goes_on_in_the_other(rng):
    """Ten steps of SGD in either library from the same weights."""
    x, y = rng.normal(size=(32, 8)), rng.integers(0, 3, 32)
    model = pynn.Sequential(pynn.Linear(8, 8), pynn.BatchNorm1d(8), pynn.Tanh(), pynn.Linear(8, 3)).astype("float64")
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1, momentum=0.9))
    module = pynn.to_torch(model).train()
    optimizer = torch.optim.SGD(module.parameters(), 0.1, momentum=0.9)
    for _ in range(10):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(module(torch.tensor(x)), torch.tensor(y))
        loss.backward()
        optimizer.step()
        trainer.step(x, y)
        assert abs(trainer.last_loss - loss.item()) < 1e-12
    back = pynn.from_torch(module)
    assert back.training
    for name, array in back.state_dict().items():
        np.testing.assert_allclose(array, model.state_dict()[name], atol=1e-12, err_msg=name)


# Modes and frozen parameters


def test_frozen_parameters_stay_frozen():
    module = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)).eval()
    module[0].weight.requires_grad_(False)
    module[1].requires_grad_(False)
    model = pynn.from_torch(module)
    assert [p.frozen for p in model.parameters()] == [True, False, True, True]
    assert [p.requires_grad for p in pynn.to_torch(model).parameters()] == [False, True, False, False]


def test_a_frozen_batch_norm_uses_running_statistics(rng):
    model = pynn.Sequential(pynn.BatchNorm1d(3)).train()
    model[0].running_mean[...] = 1
    model[0].freeze()
    module = pynn.to_torch(model)
    assert module.training and not module[0].training
    assert_same(model, module, (3,), rng)
    assert pynn.from_torch(module)[0].weight.frozen
    module.train()
    with pytest.raises(ValueError, match="0: BatchNorm1d has a frozen weight and uses the statistics of the batch"):
        pynn.from_torch(module)


def modes(module, **training):
    module = nn.Sequential(nn.Linear(3, 3), module)
    module.train(training["whole"])
    module[1].train(training["part"])
    return module


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("make", [nn.Dropout, lambda: nn.BatchNorm1d(3)])
def test_one_mode_for_all_layers(make, whole):
    with pytest.raises(ValueError, match=r"^1: \w+ is in \w+ mode in a module in \w+ mode"):
        pynn.from_torch(modes(make(), whole=whole, part=not whole))
    assert pynn.from_torch(modes(nn.ReLU(), whole=whole, part=not whole)).training is whole


class Named(nn.Sequential):
    """A sequence that only makes its own layers."""

    def __init__(self):
        super().__init__(nn.Linear(3, 3), nn.ReLU())


def test_sequences_of_any_kind_and_layers_without_weights_may_recur(rng):
    act = nn.ReLU()
    module = nn.Sequential(Named(), act, nn.Linear(3, 3), act, nn.Sequential())
    model = pynn.from_torch(module)
    assert [name for name, _ in model.named_leaves()] == ["0.0", "0.1", "1", "2", "3"]
    assert_same(model, module, (3,), rng)
    assert isinstance(pynn.from_torch(nn.Linear(3, 2))[0], pynn.Linear)
    assert len(pynn.from_torch(nn.Sequential())) == 0


def test_the_documentation_names_every_pair():
    page = Path(__file__).parent.parent.parent / "docs" / "pytorch.md"
    rows = [row.split("|")[1:3] for row in page.read_text(encoding="utf-8").splitlines() if row.startswith("| `")]
    named = {name for left, _ in rows for name in re.findall(r"`(\w+)`", left)}
    assert named == {layer.__name__ for layer in MODULE_OF}
    modules = {name for left, right in rows for name in re.findall(r"`(\w+)`", left if "same" in right else right)}
    assert modules == {pair.module for pair in PAIRS}
