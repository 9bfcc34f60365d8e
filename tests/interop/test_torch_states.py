"""State dicts of PyTorch's are converted or refused by name, never taken for pynn's; no test here needs PyTorch."""

import collections
import copy
import itertools
import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from safetensors import numpy as safetensors_numpy

import pynn


def network(*widths, **options):
    pynn.manual_seed(1)
    return pynn.Sequential(*(pynn.Linear(a, b, **options) for a, b in itertools.pairwise(widths)))


def of_torch(model):
    """Return NumPy arrays as a PyTorch network of these layers has them."""
    state = {name: np.array(array) for name, array in model.state_dict().items()}
    for name, layer in model.named_leaves():
        if isinstance(layer, pynn.Linear):
            state[f"{name}.weight"] = np.ascontiguousarray(state[f"{name}.weight"].T)
        if isinstance(layer, pynn.BatchNorm1d | pynn.BatchNorm2d):
            state[f"{name}.num_batches_tracked"] = np.array(3)
    return state


def mixed():
    model = pynn.Sequential(
        pynn.Conv2d(2, 4, 3),
        pynn.BatchNorm2d(4),
        pynn.Sequential(pynn.PReLU(4), pynn.Flatten()),
        pynn.Linear(16, 16),
        pynn.LayerNorm(16),
        pynn.Linear(16, 3, bias=False),
    )
    rng = np.random.default_rng(0)
    for name, array in model.state_dict().items():
        model.load_state_dict(pynn.StateDict(model.state_dict() | {name: rng.uniform(0.5, 1, array.shape)}))
    return model


def assert_equal(model, other):
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, other.state_dict()[name], err_msg=name)


def save(arrays, path, **metadata):
    safetensors_numpy.save_file(arrays, path, metadata or None)
    return path


# load_state_dict takes nothing for pynn's that may be PyTorch's


class Tensor:
    """What a tensor of PyTorch's is by name."""

    __module__ = "torch"

    def __array__(self, dtype=None, copy=None):
        return np.zeros((3, 3))


class OrderedDict(collections.OrderedDict):
    _metadata = {"": {"version": 1}}  # noqa: RUF012 - as that of PyTorch's


def test_square_weights_of_unknown_origin_are_refused():
    model = network(8, 8, 8)
    before = model.state_dict()
    with pytest.raises(
        ValueError, match=r"0.weight has shape \(8, 8\), which may be.*pynn.load_torch_state.*StateDict"
    ):
        model.load_state_dict(of_torch(model))
    with pytest.raises(ValueError, match="which may be"):
        model.load_state_dict({name: array + 1 for name, array in before.items()})
    assert_equal(model, model)
    for name, array in before.items():
        np.testing.assert_array_equal(model.state_dict()[name], array)


@pytest.mark.parametrize("widths", [(4, 16), (4, 4, 3), (1, 4, 4, 1), (4, 4, 4, 5)])
def test_one_oblong_weight_tells(widths):
    model, other = network(*widths), network(*widths[:-1], widths[-1])
    other.load_state_dict({name: array * 2 for name, array in model.state_dict().items()})
    np.testing.assert_array_equal(other[0].weight, 2 * model[0].weight)
    with pytest.raises(ValueError, match=r"expected .*PyTorch's weights are \(out, in\).*pynn.load_torch_state"):
        other.load_state_dict(of_torch(model))


@pytest.mark.parametrize("make", [lambda: network(1, 1), lambda: pynn.Sequential(pynn.Conv2d(3, 3, 3), pynn.PReLU(3))])
def test_layouts_that_are_the_same_in_both_load(make):
    model, other = make(), make()
    other.load_state_dict({name: array + 1 for name, array in model.state_dict().items()})
    np.testing.assert_array_equal(other[0].weight, model[0].weight + 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda state: state | {"0.weight": Tensor()},
            "PyTorch's: 0.weight is a torch.Tensor; .*pynn.load_torch_state",
        ),
        (lambda state: pynn.StateDict(state) | {"0.bias": Tensor()}, "0.bias is a torch.Tensor"),
        (OrderedDict, "PyTorch's _metadata"),
        (lambda state: state | {"1.num_batches_tracked": np.array(1)}, "it has 1.num_batches_tracked"),
        (lambda state: pynn.StateDict(state, num_batches_tracked=np.array(1)), "it has num_batches_tracked"),
    ],
)
@pytest.mark.parametrize("widths", [(3, 3), (3, 4)])
def test_marks_of_pytorch_are_named(make, message, widths):
    model = network(*widths)
    with pytest.raises(ValueError, match=message):
        model.load_state_dict(make(dict(model.state_dict())))


def test_weights_within_other_layers_count():
    model = pynn.Sequential(pynn.Residual(pynn.Sequential(pynn.Linear(3, 3)), pynn.Linear(3, 3)))
    with pytest.raises(ValueError, match=r"0.inner.0.weight has shape \(3, 3\), which may be"):
        model.load_state_dict(dict(model.state_dict()))
    model.load_state_dict(model.state_dict())


@pytest.mark.parametrize(
    "treat",
    [
        lambda state: state,
        lambda state: state.copy(),
        copy.copy,
        copy.deepcopy,
        lambda state: pickle.loads(pickle.dumps(state)),
        lambda state: state | {},
        lambda state: pynn.StateDict(dict(state)),
        lambda state: pynn.StateDict(**state),
    ],
)
def test_what_state_dict_returns_stays_pynns(treat):
    model, other = network(3, 3), network(3, 3)
    other[0].weight[...] = 0
    other.load_state_dict(treat(model.state_dict()))
    assert_equal(model, other)
    assert type(treat(model.state_dict())) is pynn.StateDict


def test_files_of_pynn_load_as_before(tmp_path):
    model = network(5, 5, 5)
    model.save(tmp_path / "m.safetensors")
    assert_equal(pynn.load(tmp_path / "m.safetensors"), model)
    trainer = pynn.Trainer(model, pynn.MSELoss(), pynn.SGD(0.1))
    trainer.save(tmp_path / "c.safetensors")
    assert_equal(pynn.Trainer.resume(tmp_path / "c.safetensors").model, model)


@pytest.mark.parametrize("read", [pynn.load, pynn.Trainer.resume])
def test_a_file_of_pytorch_is_no_model(read, tmp_path):
    path = save(of_torch(network(5, 5)), tmp_path / "m.safetensors", format="pt")
    with pytest.raises(pynn.FileFormatError, match=r"written by pynn but with PyTorch: .*pynn.load_torch_state"):
        read(path)
    path = save(of_torch(network(5, 5)), tmp_path / "n.safetensors")
    with pytest.raises(pynn.FileFormatError, match=r"was not written by pynn"):
        read(path)


# load_torch_state


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arrays_and_files_of_pytorch_are_converted(dtype, tmp_path):
    model = mixed().astype(dtype)
    state = of_torch(model)
    for given in (
        state,
        OrderedDict(state),
        save(state, tmp_path / "m.safetensors", format="pt"),
        tmp_path / "m.safetensors",
    ):
        other = mixed().astype(dtype)
        for parameter in other.parameters():
            parameter[...] = 0
        pynn.load_torch_state(other, given)
        assert_equal(other, model)
    pynn.load_torch_state(other, str(tmp_path / "m.safetensors"))


def test_square_weights_are_transposed(rng):
    x, first, second = rng.normal(size=(5, 8)), rng.normal(size=(8, 8)), rng.normal(size=(8, 8))
    model = network(8, 8, 8, bias=False, dtype="float64")
    pynn.load_torch_state(model, {"0.weight": first, "1.weight": second})
    np.testing.assert_allclose(model.predict(x), x @ first.T @ second.T, rtol=1e-12)


def test_names_of_modules_are_mapped():
    model, other = mixed(), mixed()
    renamed = {"0": "conv", "1": "norm", "2.0": "act", "3": "head.0", "4": "head.1", "5": "head.2"}
    state = {}
    for name, array in of_torch(model).items():
        layer, _, key = name.rpartition(".")
        state[f"module.{renamed[layer]}.{key}"] = array + 1 if name != "1.num_batches_tracked" else array
    names = {f"module.{new}": old for old, new in renamed.items() if not new.startswith("head")}
    names |= {"module.head": "3", "module.head.1": "4", "module.head.2": "5", "module.head.0": "3"}
    del names["module.head"]
    pynn.load_torch_state(other, state, names=names)
    np.testing.assert_array_equal(other[3].weight, model[3].weight + 1)
    np.testing.assert_array_equal(other[1].running_var, model[1].running_var + 1)
    prefixed = {f"module.{name}": array for name, array in of_torch(model).items()}
    pynn.load_torch_state(other, prefixed, names={"module": ""})
    assert_equal(other, model)


def test_half_precision_is_taken_exactly(tmp_path, rng):
    half = rng.normal(size=(3, 2)).astype(np.float16)
    model = network(2, 3, bias=False)
    pynn.load_torch_state(model, save({"0.weight": half}, tmp_path / "m.safetensors", format="pt"))
    np.testing.assert_array_equal(model[0].weight, half.T.astype(np.float32))
    # bfloat16, which NumPy lacks: the upper halves of float32.
    words = np.array([[0x3F80, 0xC020], [0x0001, 0x7F7F], [0x8000, 0x3EAB]], "<u2")
    header = {"0.weight": {"dtype": "BF16", "shape": [3, 2], "data_offsets": [0, 12]}}
    text = json.dumps(header).encode()
    (tmp_path / "b.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + words.tobytes())
    pynn.load_torch_state(model, tmp_path / "b.safetensors")
    np.testing.assert_array_equal(model[0].weight, (words.astype(np.uint32) << 16).view(np.float32).T)
    assert model[0].weight[0, 0] == 1 and model[0].weight[1, 0] == -2.5


@pytest.mark.parametrize(
    ("change", "names", "message"),
    [
        (
            lambda s: s | {"0.weight": s["0.weight"].T},
            None,
            r"0.weight has shape \(2, 3\); expected \(3, 2\), as PyTorch",
        ),
        (lambda s: s | {"0.bias": np.zeros(5)}, None, r"0.bias has shape \(5,\); expected \(3,\)"),
        (lambda s: s | {"0.bias": np.zeros(3, int)}, None, "0.bias has dtype int64"),
        (lambda s: {"0.weight": s["0.weight"]}, None, r"missing \['0.bias'\], unknown \[\]"),
        (lambda s: s | {"0.weight_v": s["0.bias"]}, None, r"unknown \['0.weight_v'\]"),
        (lambda s: {f"fc.{k[2:]}": v for k, v in s.items()}, None, r"missing.*unknown \['fc.bias', .*pass names="),
        (lambda s: s, {"fc": "0"}, "names has 'fc', which is the name of no layer in the state dict"),
        (lambda s: s, {"0": "1"}, r"missing \['0.bias'"),
        (lambda s: s | {"a.bias": s["0.bias"]}, {"a": "0"}, "names gives two arrays the name 0.bias"),
        (lambda s: pynn.StateDict(s), None, "the state is pynn's own; load it with model.load_state_dict"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_loaded(change, names, message):
    model = network(2, 3)
    before = model.state_dict()
    with pytest.raises((ValueError, TypeError), match=message):
        pynn.load_torch_state(model, change(of_torch(network(2, 3))), names=names)
    for name, array in before.items():
        np.testing.assert_array_equal(model.state_dict()[name], array)


def test_a_file_of_pynn_is_no_state_of_pytorch(tmp_path):
    model = network(4, 4)
    model.save(tmp_path / "m.safetensors")
    with pytest.raises(pynn.FileFormatError, match=r"was written by pynn; read it with pynn.load"):
        pynn.load_torch_state(model, tmp_path / "m.safetensors")


# What torch.save writes begins so, the first since PyTorch 1.6.
PICKLES = {
    "archive": b"PK\x03\x04" + bytes(22) + b"\x10\x00\x12\x00archive/data.pklFB\x0e\x00ZZZZ\x80\x02c",
    "magic number": pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2) + pickle.dumps({"0.weight": 1}, protocol=2),
}


@pytest.mark.parametrize("kind", PICKLES)
def test_pickles_are_not_read(kind, tmp_path):
    path = tmp_path / "m.pt"
    path.write_bytes(PICKLES[kind])
    for read in (lambda path: pynn.load_torch_state(network(2, 2), path), pynn.load, pynn.Trainer.resume):
        with pytest.raises(pynn.FileFormatError, match=r"a pickle of PyTorch's.*torch.load\(path, weights_only=True\)"):
            read(path)


@pytest.mark.parametrize(
    ("given", "said"), [(3, "int"), (None, "NoneType"), ([1], "list"), (network(2, 2), "state_dict()")]
)
def test_only_paths_and_dictionaries_are_states(given, said):
    with pytest.raises(TypeError, match="expected a path or a dictionary") as refused:
        pynn.load_torch_state(network(2, 2), given)
    assert said in str(refused.value)
    with pytest.raises(TypeError, match=r"expected a pynn.Sequential"):
        pynn.load_torch_state(given, {}) if given is None or isinstance(given, int) else pynn.load_torch_state({}, {})


def test_files_and_arrays_need_no_pytorch(tmp_path):
    path = save(of_torch(network(2, 2)), tmp_path / "m.safetensors", format="pt")
    code = f"""
import sys
sys.modules["torch"] = None
import pynn
model = pynn.Sequential(pynn.Linear(2, 2))
pynn.load_torch_state(model, {os.fspath(path)!r})
print(model.state_dict()["0.bias"].tolist())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(network(2, 2).state_dict()["0.bias"].tolist())


def test_importing_pynn_imports_no_pytorch():
    code = "import sys, pynn; pynn.load_torch_state; print([m for m in sys.modules if m.split('.')[0] == 'torch'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
