"""Damaged and hostile model files and checkpoints: understood, or refused by FileFormatError, without much memory."""

import copy
import json
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pynn
from pynn.utils import files

MACHINE = "ignore:.*was written under:RuntimeWarning"


def network():
    pynn.manual_seed(0)
    images = pynn.Sequential(
        pynn.Conv2d(2, 4, (3, 2), padding="same", groups=2),
        pynn.BatchNorm2d(4),
        pynn.ReLU(),
        pynn.MaxPool2d(2),
        pynn.GroupNorm(2, 4),
        pynn.AvgPool2d(1),
        pynn.Residual(pynn.Conv2d(4, 4, 1), pynn.Conv2d(4, 4, 1)),
        pynn.AdaptiveAvgPool2d(1),
        pynn.Flatten(),
    )
    rest = [pynn.Linear(4, 6, init="he_normal"), pynn.LayerNorm(6), pynn.PReLU(6), pynn.Dropout(0.1), pynn.GELU("tanh")]
    model = pynn.Sequential(images, *rest, pynn.Maxout(6, 3), pynn.LeakyReLU(0.1), pynn.ELU(), pynn.Softplus())
    x = np.random.default_rng(0).normal(size=(9, 2, 4, 4))
    model.preprocessing = pynn.preprocessing.ChannelStandardize().fit(x)
    model.class_names = ["a", "b", "c"]
    return model


def table_network():
    model = pynn.Sequential(pynn.Linear(2, 3), pynn.Tanh())
    steps = [pynn.preprocessing.Standardize(), pynn.preprocessing.PCAWhiten(2), pynn.preprocessing.MinMax()]
    model.preprocessing = pynn.preprocessing.Pipeline(steps).fit(np.random.default_rng(0).normal(size=(9, 3)))
    column = {"name": "a", "kind": "number", "categories": [], "fill": 0.5}
    model.input_schema = {"columns": [column], "target": {"name": "y", "index": 1, "class_names": ["n", "y"]}}
    return model


def trainer():
    model = table_network()
    model[0].weight.lr_factor, model[0].bias.frozen = 0.5, True
    made = pynn.Trainer(
        model,
        pynn.CrossEntropyLoss([1, 2, 3], label_smoothing=0.1),
        pynn.Adam(0.01),
        schedule=pynn.WarmupLR(2, then=pynn.CosineAnnealingLR(5, by="step")),
        regularizers=[pynn.L1(0.1), pynn.MaxNorm(1.0)],
        clip_norm=1.0,
    )
    rng = np.random.default_rng(0)
    made.fit(rng.normal(size=(20, 3)), rng.integers(3, size=20), epochs=2, batch_size=8)
    return made


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Return the contents of files by kind, as tensors and a description, and as bytes."""
    folder = tmp_path_factory.mktemp("saved")
    found = {}
    for name, kind, thing in (("images", "model", network()), ("table", "model", table_network())):
        thing.save(folder / name)
        found[name] = (kind, *files.load_tensors(folder / name, kind), (folder / name).read_bytes())
    trainer().save(folder / "c")
    found["checkpoint"] = ("checkpoint", *files.load_tensors(folder / "c", "checkpoint"), (folder / "c").read_bytes())
    return found


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("hostile") / "file"


def read(path, kind):
    """Return what a file holds, or None if it is refused as documented."""
    try:
        return pynn.load(path) if kind == "model" else pynn.Trainer.resume(path)
    except pynn.FileFormatError as error:
        assert str(path) in str(error)
        return None


def places(node, place=()):
    """Yield the ways to all nodes of a JSON value."""
    yield place
    if isinstance(node, dict | list):
        for key in node if isinstance(node, dict) else range(len(node)):
            yield from places(node[key], (*place, key))


def replaced(node, place, value):
    if not place:
        return value
    node = copy.copy(node)
    node[place[0]] = replaced(node[place[0]], place[1:], value)
    return node


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 1, 2, 2**31, 2**53, 2**61, 2**63, 2**64, -(2**63) - 1, 10**30, 10**400, 0.5, -0.0, 1e300]),
    st.floats(allow_nan=True),
    st.sampled_from(["", "\ud800", "same", "float32", "object", "(2,)f4,", "Linear", "he_normal", "\0"]),
    st.text(max_size=5),
    st.sampled_from([[], {}, [[]], [1, 2], {"class": "ReLU", "config": {}}, {"class": "Adam", "config": {}}]),
    st.sampled_from([{"class": "Sequential", "config": {"layers": []}}, {"class": "MSELoss", "config": {}}]),
    st.recursive(st.none(), lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner)),
)


@pytest.mark.parametrize("name", ["images", "table", "checkpoint"])
@pytest.mark.filterwarnings(MACHINE)
@settings(max_examples=150)
@given(data=st.data())
def test_any_part_of_a_description_may_be_anything(name, saved, path, data):
    kind, tensors, description, _ = saved[name]
    for _ in range(data.draw(st.integers(1, 2))):
        place = data.draw(st.sampled_from(list(places(description))))
        if place and data.draw(st.booleans()):
            *above, last = place
            node = description
            for key in above:
                node = node[key]
            node = copy.copy(node)
            del node[last]
            description = replaced(description, above, node)
        else:
            description = replaced(description, place, data.draw(VALUES))
    files.save_tensors(path, kind, tensors, description)
    loaded = read(path, kind)
    if loaded is not None:  # what is taken can be saved, and is then the same
        loaded.save(path)
        assert repr(read(path, kind).model if kind == "checkpoint" else read(path, kind))


@pytest.mark.parametrize("name", ["images", "table", "checkpoint"])
@settings(max_examples=60)
@given(data=st.data())
def test_any_array_may_be_another(name, saved, path, data):
    kind, tensors, description, _ = saved[name]
    chosen = data.draw(st.sampled_from(sorted(tensors)))
    array = tensors[chosen]
    other = data.draw(
        st.sampled_from(
            [
                None,
                array[..., None],
                array.reshape(-1)[:1],
                np.zeros((0, *array.shape), array.dtype),
                array.astype(np.int32),
                array.astype(np.float16),
                np.full_like(array, np.nan) if array.dtype.kind == "f" else -array,
                np.float64(1),
            ]
        )
    )
    tensors = {key: value for key, value in tensors.items() if key != chosen}
    if other is not None:
        tensors[data.draw(st.sampled_from([chosen, "model.more", "optimizer.x", ""]))] = np.asarray(other)
    files.save_tensors(path, kind, tensors, description)
    loaded = read(path, kind)
    if loaded is not None:
        model = loaded if kind == "model" else loaded.model
        assert {a.dtype for a in model.state_dict().values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("name", ["images", "checkpoint"])
@settings(max_examples=150)
@given(data=st.data())
def test_flipped_bits_and_lost_ends(name, saved, path, data):
    kind, _, _, content = saved[name]
    header = 8 + struct.unpack("<Q", content[:8])[0]
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, 9) | st.integers(0, header) | st.integers(0, len(content) - 1))
        changed[place] ^= 1 << data.draw(st.integers(0, 7))
    end = data.draw(st.none() | st.integers(0, len(content)))
    path.write_bytes(changed[:end])
    read(path, kind)


ENTRIES = st.one_of(
    VALUES,
    st.fixed_dictionaries(
        {
            "dtype": st.sampled_from(["F32", "F64", "I64", "U8", "BOOL", "BF16", "F8_E4M3", "", "f4", None, 3, []]),
            "shape": st.lists(st.sampled_from([0, 1, 2, 3, -1, 2**40, 2**64, True, 1.0, "1"]), max_size=3) | VALUES,
            "data_offsets": st.lists(st.sampled_from([0, 4, 8, 12, 16, -4, 2**63, None]), max_size=3) | VALUES,
        }
    ),
)


@settings(max_examples=300)
@given(
    entries=st.dictionaries(st.sampled_from(["a", "b", "model.0.weight", "", "\ud800"]), ENTRIES, max_size=3),
    own=st.none() | VALUES | st.dictionaries(st.sampled_from(["format", "description", "sha256"]), VALUES),
    right=st.booleans(),
    length=st.integers(0, 20),
)
def test_any_header(entries, own, right, length, path):
    if right and isinstance(own, dict):
        own["format"] = "pynn.model"
    text = own if isinstance(own, str) and not right else json.dumps(own)
    header = json.dumps(entries | {"__metadata__": {"pynn": text}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(length))
    assert read(path, "model") is None


@pytest.mark.parametrize("header", ["[]", "null", "3", '"x"', "{", "[" * 10**5, "1" * 10**5, '{"a": NaN}', "\x80"])
def test_headers_that_are_no_list_of_arrays(header, path):
    content = header.encode("latin-1")
    path.write_bytes(struct.pack("<Q", len(content)) + content)
    assert read(path, "model") is None
    path.write_bytes(struct.pack("<Q", 2**63) + content)
    assert read(path, "model") is None


def claims(layer):
    return {"class": "Sequential", "config": {"layers": [layer]}}


HUGE = [
    {"class": "Linear", "config": {"in_features": 12_000, "out_features": 12_000}},
    {"class": "Linear", "config": {"in_features": 1, "out_features": 10**8, "init": "zeros"}},
    {"class": "Linear", "config": {"in_features": 3000, "out_features": 3000, "init": "orthogonal"}},
    {"class": "Maxout", "config": {"in_features": 10, "out_features": 10, "pieces": 10**6}},
    {"class": "Conv2d", "config": {"in_channels": 1, "out_channels": 1, "kernel_size": 20_000}},
    {"class": "Conv1d", "config": {"in_channels": 10**4, "out_channels": 10**4, "kernel_size": 3}},
    {"class": "BatchNorm1d", "config": {"num_features": 10**8}},
    {"class": "BatchNorm2d", "config": {"num_features": 2**61}},
    {"class": "GroupNorm", "config": {"num_groups": 1, "num_channels": 10**8}},
    {"class": "LayerNorm", "config": {"normalized_shape": [10**4, 10**4]}},
    {"class": "PReLU", "config": {"num_parameters": 10**8}},
]


@pytest.mark.parametrize("layer", HUGE, ids=lambda layer: layer["class"])
@pytest.mark.parametrize("among", [1, 400])
def test_a_small_file_that_claims_much_takes_little(layer, among, path):
    small = {"class": "Linear", "config": {"in_features": 100, "out_features": 100}}
    architecture = claims(layer)
    architecture["config"]["layers"] = [*[small] * (among - 1), layer]
    rest = {"dtype": "float32", "class_names": None, "input_schema": None, "output_kind": None, "preprocessing": None}
    files.save_tensors(path, "model", {"model.0.weight": np.zeros(2000, "f4")}, {"architecture": architecture} | rest)
    tracemalloc.start()
    try:
        with pytest.raises(pynn.FileFormatError, match="does not contain that many numbers"):
            pynn.load(path)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("layers", [1, 20_000])
def test_many_layers_come_back(layers, path):
    """Were any of it quadratic, this would not end."""
    model = pynn.Sequential(pynn.Linear(2, 2), *(pynn.ReLU() for _ in range(layers)))
    model.save(path)
    assert len(pynn.load(path)) == layers + 1


def test_many_empty_arrays(path):
    tensors = {f"model.{index}.weight": np.zeros(0, "f4") for index in range(20_000)}
    rest = {"dtype": "float32", "class_names": None, "input_schema": None, "output_kind": None, "preprocessing": None}
    files.save_tensors(path, "model", tensors, {"architecture": claims({"class": "ReLU", "config": {}})} | rest)
    with pytest.raises(pynn.FileFormatError, match="does not fit the model") as error:
        pynn.load(path)
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize(
    "init", [False, 0, "", [], {}, claims({"class": "ReLU", "config": {}}), claims(3), 7, "system"]
)
def test_an_initialisation_is_a_name(init, saved, path):
    kind, tensors, description, _ = saved["table"]
    for empty in (init, {"class": "Sequential", "config": {"layers": []}}):
        place = ("architecture", "config", "layers", 0, "config", "init")
        files.save_tensors(path, kind, tensors, replaced(description, place, empty))
        assert read(path, kind) is None


def test_what_is_no_part_of_a_training_is_refused(saved, path):
    kind, tensors, description, _ = saved["checkpoint"]
    for name in ("Loss", "FunctionLoss", "Optimizer", "Schedule", "_Plan", "Changes"):
        for part in ("loss", "optimizer", "schedule"):
            config = {"function": "print"} if name == "FunctionLoss" else {}
            files.save_tensors(path, kind, tensors, description | {part: {"class": name, "config": config}})
            assert read(path, kind) is None


def test_arrays_that_no_file_can_hold(path):
    for array in (np.array(["text"]), np.array([None]), np.zeros(2, "c16"), np.zeros(2, "M8[s]")):
        with pytest.raises(TypeError, match="which cannot be saved"):
            files.save_tensors(path, "model", {"a": array}, {})
    files.save_tensors(path, "model", {"a": np.arange(3, dtype=">f8"), "b": np.float32(3)}, {})
    tensors, _ = files.load_tensors(path, "model")
    np.testing.assert_array_equal(tensors["a"], [0, 1, 2])
    assert tensors["b"].shape == () and tensors["b"] == 3
