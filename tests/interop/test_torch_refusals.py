"""What cannot go to PyTorch, or come from it, is refused by its path."""

import sys

import pytest
from fuzz import networks

import pynn

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
nn, prune = torch.nn, pytest.importorskip("torch.nn.utils.prune")


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(3, 3)

    def forward(self, x):
        return self.fc1(x)


class Twice(nn.Sequential):
    def forward(self, x):
        return super().forward(super().forward(x))


class Scaled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


def inside(module):
    return nn.Sequential(nn.ReLU(), nn.Sequential(nn.Tanh(), module))


def tied():
    module = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    module[1].weight = module[0].weight
    return module


def tied_by_memory():
    module = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 3))
    module[1].weight = nn.Parameter(module[0].weight.detach().t())
    return module


def twice(module):
    return nn.Sequential(module, nn.ReLU(), module)


def hooked(register):
    module = nn.Linear(3, 3)
    register(module)
    return inside(module)


def replaced():
    module = nn.Linear(3, 3)
    module.forward = lambda x: x
    return inside(module)


def on_the_weight():
    module = nn.Linear(3, 3)
    module.weight.register_hook(lambda g: 2 * g)
    return inside(module)


def pruned():
    return inside(prune.l1_unstructured(nn.Linear(3, 3), "weight", 0.5))


REFUSED = {
    "a class of one's own": (lambda: inside(Own()), "1.1: Own has a forward of its own.*load_torch_state"),
    "the whole": (Own, "^Own has a forward of its own"),
    "a forward of a sequence": (lambda: inside(Twice(nn.ReLU())), "1.1: Twice has a forward of its own"),
    "no slope": (lambda: inside(nn.LeakyReLU(0.0)), "1.1: LeakyReLU.*negative_slope is 0.0; expected a positive"),
    "a derived class": (lambda: inside(Scaled(3, 3)), "1.1: Scaled is derived from Linear"),
    "GRU": (lambda: inside(nn.GRU(3, 3)), "1.1: GRU has no counterpart"),
    "all at once": (lambda: nn.Sequential(nn.GRU(3, 3), nn.Hardshrink()), "0: GRU.*; 1: Hardshrink"),
    "lazy": (lambda: inside(nn.LazyLinear(3)), "1.1: LazyLinear"),
    "the same layer twice": (lambda: twice(nn.Linear(3, 3)), "0.weight and 2.weight share"),
    "batch norm twice": (lambda: twice(nn.BatchNorm1d(3)), "0.running_mean and 2.running_mean share"),
    "tied": (tied, "0.weight and 1.weight share"),
    "tied by memory": (tied_by_memory, "share their values"),
    "a hook": (lambda: hooked(lambda m: m.register_forward_hook(lambda *_: None)), "1.1: Linear has hooks"),
    "a hook before": (lambda: hooked(lambda m: m.register_forward_pre_hook(lambda *_: None)), "1.1: Linear has hooks"),
    "a hook behind": (lambda: hooked(lambda m: m.register_full_backward_hook(lambda *_: None)), "Linear has hooks"),
    "a hook of a sequence": (
        lambda: (lambda m: (m[1].register_forward_hook(lambda *_: None), m)[1])(inside(nn.ReLU())),
        "^1: Sequential has hooks",
    ),
    "a hook of a weight": (on_the_weight, "1.1: Linear has a weight with hooks"),
    "another forward": (replaced, "1.1: Linear has a forward of its own"),
    "pruned": (pruned, "1.1: Linear has hooks"),
    "parametrized": (
        lambda: inside(nn.utils.parametrizations.weight_norm(nn.Linear(3, 3))),
        "1.1: ParametrizedLinear is parametrized; apply.*remove_parametrizations",
    ),
    "half": (lambda: inside(nn.Linear(3, 3).half()), r"1.1: Linear has a weight of torch.float16; expected float32"),
    "bfloat16": (lambda: inside(nn.Linear(3, 3).bfloat16()), "weight of torch.bfloat16"),
    "complex": (lambda: inside(nn.Linear(3, 3, dtype=torch.complex64)), "weight of torch.complex64"),
    "two dtypes": (lambda: nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3).double()), "dtypes torch.float32 and"),
    "meta": (lambda: inside(nn.Linear(3, 3, device="meta")), "weight on the device meta; expected cpu"),
    "padding": (lambda: inside(nn.Conv2d(3, 3, 3, padding_mode="reflect")), "padding_mode='reflect'; expected 'zeros'"),
    "no affine": (lambda: inside(nn.BatchNorm2d(3, affine=False)), "affine=False; expected True"),
    "statistics of instances": (
        lambda: inside(nn.InstanceNorm2d(3, track_running_stats=True)),
        "1.1: InstanceNorm2d has track_running_stats=True; expected False",
    ),
    "upsampling of sequences": (lambda: inside(nn.Upsample(2, mode="linear")), "1.1: Upsample.*mode is 'linear'"),
    "softmax of the batch": (lambda: inside(nn.Softmax(0)), "1.1: Softmax.*dim is 0"),
    "softmax of what": (lambda: inside(nn.Softmax()), "1.1: Softmax.*dim is None"),
    "no statistics": (lambda: inside(nn.BatchNorm2d(3, track_running_stats=False)), "track_running_stats=False"),
    "cumulative": (lambda: inside(nn.BatchNorm2d(3, momentum=None)), "1.1: BatchNorm2d.*momentum is None"),
    "no bias": (lambda: inside(nn.LayerNorm(3, bias=False)), "1.1: LayerNorm has the arrays weight; pynn's has bias"),
    "indices": (lambda: inside(nn.MaxPool2d(2, return_indices=True)), "return_indices=True; expected False"),
    "indices of sequences": (lambda: inside(nn.AdaptiveMaxPool1d(2, True)), "return_indices=True; expected False"),
    "a border of ones": (lambda: inside(nn.ConstantPad2d(1, 1.0)), "ConstantPad2d has value=1.0; expected 0"),
    "a divisor": (lambda: inside(nn.AvgPool2d(2, divisor_override=3)), "divisor_override=3; expected None"),
    "any size": (lambda: inside(nn.AdaptiveAvgPool2d((None, 1))), "1.1: AdaptiveAvgPool2d.*output_size is None"),
    "some dimensions": (lambda: inside(nn.Flatten(0)), "start_dim=0; expected 1"),
    "a threshold": (lambda: inside(nn.Softplus(threshold=3)), "threshold=3; expected 40 or 20"),
    "widths": (lambda: nn.Sequential(nn.Linear(3, 4), nn.Linear(5, 3)), "4.*5|5.*4"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_pynn_lacks_is_refused_by_its_path(name):
    make, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        pynn.from_torch(make())


@pytest.mark.parametrize("given", [3, nn.Linear, {}, pynn.ReLU()])
def test_only_modules_are_converted(given):
    with pytest.raises(TypeError, match=r"expected a torch.nn.Module"):
        pynn.from_torch(given)
    with pytest.raises(TypeError, match=r"expected a pynn.Sequential"):
        pynn.to_torch(given)


@pytest.mark.parametrize("make", [
    lambda: pynn.Residual(pynn.Linear(3, 3)),
    lambda: pynn.Maxout(3, 3),
    lambda: pynn.Average(pynn.Linear(3, 3)),
    networks.Doubled,
])  # fmt: skip
def test_what_pytorch_lacks_is_refused_by_its_path(make):
    layer = make()
    with pytest.raises(ValueError, match=f"^1.0: {type(layer).__name__}: "):
        pynn.to_torch(pynn.Sequential(pynn.ReLU(), pynn.Sequential(layer)))


@pytest.mark.parametrize("part", ["preprocessing", "target_preprocessing"])
def test_preprocessing_is_not_lost(part):
    model = pynn.Sequential(pynn.Linear(3, 3))
    setattr(model, part, pynn.preprocessing.Standardize())
    with pytest.raises(ValueError, match=rf"the model has a {part}, which a module does not apply"):
        pynn.to_torch(model)


def test_a_sequence_with_a_forward_of_its_own_is_refused():
    class Plain(pynn.Sequential):
        def forward(self, x, ctx):
            return 2 * super().forward(x, ctx)

    with pytest.raises(ValueError, match=r"^Plain: it has a forward of its own"):
        pynn.to_torch(Plain(pynn.Linear(3, 3)))
    with pytest.raises(ValueError, match=r"^0: Plain"):
        pynn.to_torch(pynn.Sequential(Plain(pynn.Linear(3, 3))))


def test_without_pytorch_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    for call in (lambda: pynn.from_torch(None), lambda: pynn.to_torch(pynn.Sequential())):
        with pytest.raises(ImportError, match=r'needs PyTorch: pip install "pynn-kernels\[torch\]"'):
            call()
