"""Files: whole or not at all, never run, and understood or refused."""

import json
import os
import pickle
import signal
import struct
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from safetensors import numpy as safetensors_numpy

import pynn
from pynn.utils import files


def network():
    pynn.manual_seed(0)
    return pynn.Sequential(pynn.Linear(4, 8), pynn.BatchNorm1d(8), pynn.ReLU(), pynn.Dropout(), pynn.Linear(8, 3))


ALL_LAYERS = [
    pynn.Flatten(),
    pynn.Linear(6, 5, bias=False),
    pynn.BatchNorm1d(5, eps=1e-3, momentum=0.3),
    pynn.LeakyReLU(0.2),
    pynn.ELU(0.5),
    pynn.SELU(),
    pynn.Sigmoid(),
    pynn.Tanh(),
    pynn.Softplus(2.0),
    pynn.GELU("tanh"),
    pynn.SiLU(),
    *(pynn.Mish(), pynn.LogSigmoid(), pynn.CELU(0.5), pynn.ReLU6(), pynn.Hardsigmoid(), pynn.Hardswish()),
    *(pynn.Softsign(), pynn.Hardtanh(-0.5, 2.0), pynn.Identity(), pynn.LogSoftmax(1), pynn.Softmax()),
    *(pynn.Unflatten(1, (1, 5)), pynn.InstanceNorm1d(1, 1e-3, affine=True), pynn.Flatten()),
    *(pynn.Unflatten(1, (5, 1)), pynn.ZeroPad1d((2, 1)), pynn.ConvTranspose1d(5, 5, 2, 2), pynn.MaxPool1d(2, 1)),
    *(pynn.AvgPool1d(2, 1, 1), pynn.AdaptiveAvgPool1d(4), pynn.AdaptiveMaxPool1d(1), pynn.Flatten()),
    *(pynn.Unflatten(1, (5, 1, 1)), pynn.ZeroPad2d((1, 0, 2, 1)), pynn.AdaptiveMaxPool2d((1, 2))),
    *(pynn.AdaptiveMaxPool2d(1), pynn.ConvTranspose2d(5, 4, (1, 2), padding=0, output_padding=0, groups=1)),
    *(pynn.Upsample(scale_factor=2, mode="bilinear"), pynn.Upsample((1, 1)), pynn.Flatten()),
    pynn.Concat(pynn.Linear(4, 3), pynn.Identity(), pynn.Sequential(pynn.Linear(4, 2), pynn.Tanh())),
    *(pynn.Unflatten(1, (9, 1, 1)), pynn.PixelShuffle(3), pynn.RMSNorm((3, 3), 1e-3), pynn.PixelUnshuffle(3)),
    *(pynn.Flatten(), pynn.RMSNorm(9, elementwise_affine=False), pynn.Linear(9, 10), pynn.GLU(1)),
    pynn.Sequential(pynn.PReLU(5, init=0.1), pynn.Sequential(pynn.Maxout(5, 4, 3, init="he_normal"))),
    pynn.Dropout(0.1),
    pynn.Linear(4, 2, init=lambda shape: np.full(shape, 0.1)),
]


def test_every_layer_comes_back(tmp_path, rng):
    model = pynn.Sequential(*ALL_LAYERS)
    model.train()(rng.normal(size=(9, 3, 2)))
    model.class_names, model.output_kind = ["no", "yes"], "classes"
    model.save(tmp_path / "m.safetensors")
    again = pynn.load(tmp_path / "m.safetensors")
    assert repr(again).replace("init=None", "") == repr(model).replace("init=None", "")
    assert not again.training
    x = rng.normal(size=(7, 3, 2))
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    np.testing.assert_array_equal(again.predict_label(x), model.predict_label(x))


def test_loading_does_not_disturb_the_seed(tmp_path):
    network().save(tmp_path / "m")
    pynn.manual_seed(5)
    expected = np.array(pynn.Linear(3, 3).weight)
    pynn.manual_seed(5)
    pynn.load(tmp_path / "m")
    np.testing.assert_array_equal(pynn.Linear(3, 3).weight, expected)


def test_float64_stays_float64(tmp_path, rng):
    model = pynn.Sequential(pynn.Linear(4, 3, dtype="float64"), pynn.BatchNorm1d(3, dtype="float64"))
    model.save(tmp_path / "m")
    again = pynn.load(str(tmp_path / "m"))
    x = rng.normal(size=(5, 4))
    assert again.predict(x).dtype == np.float64
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


def test_preprocessing_travels_with_the_model(tmp_path, rng):
    model = network()
    model.preprocessing = pynn.preprocessing.Pipeline([pynn.preprocessing.Center(), pynn.preprocessing.PCA(4)])
    x = rng.normal(5, 3, size=(50, 7))
    pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1)).fit(x, np.arange(50) % 3, epochs=1)
    model.save(tmp_path / "m")
    np.testing.assert_array_equal(pynn.load(tmp_path / "m").predict(x), model.predict(x))


def test_a_saved_model_is_a_plain_safetensors_file(tmp_path):
    from safetensors.numpy import load_file

    model = network()
    model.save(tmp_path / "m.safetensors")
    tensors = load_file(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(tensors["model.0.weight"], model[0].weight)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "m.safetensors"
    network().save(path)
    return path


def refuse(path, content, said="not a safetensors file"):
    path.write_bytes(content)
    with pytest.raises(pynn.FileFormatError, match=said):
        pynn.load(path)


def test_a_file_cut_short_is_refused_at_every_length(saved):
    content = saved.read_bytes()
    header = 8 + struct.unpack("<Q", content[:8])[0]
    for length in [*range(9), header // 2, header - 1, header, header + 1, len(content) // 2, len(content) - 1]:
        refuse(saved, content[:length])
    refuse(saved, content + b"\0")


def test_every_flipped_bit_is_noticed(saved, rng):
    content = saved.read_bytes()
    header = 8 + struct.unpack("<Q", content[:8])[0]
    places = [*range(12), *rng.integers(8, header, size=80), *rng.integers(header, len(content), size=40)]
    expected = pynn.load(saved).state_dict()
    for place in places:
        changed = bytearray(content)
        changed[place] ^= 1 << int(rng.integers(8))
        saved.write_bytes(changed)
        try:
            loaded = pynn.load(saved).state_dict()
        except pynn.FileFormatError:
            continue
        # What is padding, or spells the same JSON, may change.
        assert place < header
        for name, array in loaded.items():
            np.testing.assert_array_equal(array, expected[name])


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x04.", b"PK\x03\x04" * 9, b"{}" * 50, bytes(100)])
def test_other_files_are_refused(content, tmp_path):
    refuse(tmp_path / "m", content)


def test_a_pickle_is_refused_and_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "ran"),))

    refuse(tmp_path / "m", pickle.dumps(Evil()))
    refuse(tmp_path / "m", pickle.dumps(Evil(), protocol=0))
    assert not (tmp_path / "ran").exists()


def test_other_safetensors_files_are_refused(tmp_path):
    from safetensors.numpy import save

    refuse(tmp_path / "m", save({"w": np.ones(3)}), "not written by pynn")
    refuse(tmp_path / "m", save({}, metadata={"format": "pt"}), "not written by pynn")


def test_a_checkpoint_is_not_a_model_nor_the_reverse(tmp_path):
    trainer = pynn.Trainer(network(), pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    trainer.save(tmp_path / "run.ckpt")
    trainer.model.save(tmp_path / "m")
    with pytest.raises(pynn.FileFormatError, match=r"contains a pynn.checkpoint; expected a pynn.model"):
        pynn.load(tmp_path / "run.ckpt")
    with pytest.raises(pynn.FileFormatError, match=r"contains a pynn.model; expected a pynn.checkpoint"):
        pynn.Trainer.resume(tmp_path / "m")


def crafted(path, kind, description, tensors=None):
    files.save_tensors(path, kind, tensors or {}, description)
    return path


LINEAR = {"class": "Linear", "config": {"in_features": 4, "out_features": 3}}
DEEP = json.loads("[" * 600 + "]" * 600)


@pytest.mark.parametrize(
    "architecture",
    [
        {"class": "os.system", "config": {"command": "touch ran"}},
        {"class": "system", "config": {"command": "touch ran"}},
        {"class": "Sequential", "config": {"layers": [{"class": "eval", "config": {}}]}},
        {"class": "Trainer", "config": {}},
        {"class": "Layer", "config": {}},
        {"class": "Sequential", "config": {"layers": [LINEAR | {"config": {"in_features": -1, "out_features": 3}}]}},
        {
            "class": "Sequential",
            "config": {"layers": [LINEAR | {"config": {"in_features": 10**30, "out_features": 3}}]},
        },
        {"class": "Sequential", "config": {"layers": [LINEAR | {"config": {"init": "os.system"}}]}},
        {"class": "Sequential", "config": {"layers": [LINEAR | {"config": 7}]}},
        {"class": "Sequential", "config": {"layers": [LINEAR, "Linear", None]}},
        {"class": "Sequential", "config": {"layers": 7}},
        {"class": ["Sequential"], "config": {"layers": []}},
        {"class": "Sequential", "config": {"layers": [LINEAR]}},  # and no tensors
        LINEAR,
        None,
        "Sequential()",
        DEEP,
    ],
)
def test_crafted_architectures_are_refused(architecture, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rest = {"dtype": "float32", "class_names": None, "output_kind": None, "preprocessing": None}
    path = crafted(tmp_path / "m", "model", {"architecture": architecture} | rest)
    with pytest.raises(pynn.FileFormatError):
        pynn.load(path)
    assert sorted(os.listdir()) == ["m"]


@pytest.mark.parametrize("description", [None, 7, [], {}, "text", {"machine": None}, {"machine": {}, "loss": {}}])
@pytest.mark.filterwarnings("ignore:.*was written under:RuntimeWarning")
def test_crafted_descriptions_are_refused(description, tmp_path):
    with pytest.raises(pynn.FileFormatError):
        pynn.load(crafted(tmp_path / "m", "model", description))
    with pytest.raises(pynn.FileFormatError):
        pynn.Trainer.resume(crafted(tmp_path / "c", "checkpoint", description))


def test_a_crafted_size_is_checked_before_memory_is_taken(tmp_path):
    huge = {"class": "Linear", "config": {"in_features": 2**22, "out_features": 2**22}}
    rest = {"dtype": "float32", "class_names": None, "output_kind": None, "preprocessing": None}
    architecture = {"class": "Sequential", "config": {"layers": [huge]}}
    with pytest.raises(pynn.FileFormatError):
        pynn.load(crafted(tmp_path / "m", "model", {"architecture": architecture} | rest))


def test_a_missing_file_is_a_file_not_found(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        pynn.load(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="no_folder"):
        network().save(tmp_path / "no_folder" / "m")


def test_a_saved_file_has_the_permissions_of_any_file(saved, tmp_path):
    plain = tmp_path / "plain"
    plain.write_text("")
    assert saved.stat().st_mode == plain.stat().st_mode


KILLED = """
    import sys
    import numpy as np
    import pynn

    models = []
    for value in (1.0, 2.0):
        model = pynn.Sequential(pynn.Linear(300, 300))
        model[0].weight[...] = value
        model[0].bias[...] = value
        models.append(model)
    models[0].save(sys.argv[1])
    print("ready", flush=True)
    while True:
        for model in models:
            model.save(sys.argv[1])
"""


def test_a_process_killed_while_saving_leaves_a_whole_file(tmp_path, rng):
    path = tmp_path / "m"
    for _ in range(4):
        command = [sys.executable, "-c", textwrap.dedent(KILLED), str(path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=tmp_path)
        assert process.stdout.readline() == b"ready\n"
        time.sleep(rng.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        values = pynn.load(path)[0].weight[...]
        assert values.min() == values.max()
        assert values.max() in (1, 2)


def test_files_are_those_of_the_safetensors_library(rng):
    """The same bytes for arrays of one dtype; of several, whose order it chooses otherwise, the same arrays."""
    floats = {name: rng.normal(size=shape).astype(np.float32) for name, shape in FLOATS.items()}
    content = files.packed_tensors("model", floats, {"text": "\u00fc \u20ac"})
    with_metadata = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
    assert content == safetensors_numpy.save(floats, metadata=with_metadata)
    mixed = {dtype.str: rng.integers(0, 2, 3).astype(dtype) for dtype in files.DTYPES.values()}
    mixed |= floats | {"strided": rng.normal(size=(6, 4))[::2, ::-1], "big": np.arange(3, dtype=">i4")}
    found = safetensors_numpy.load(files.packed_tensors("model", mixed, None))
    assert found.keys() == mixed.keys()
    for name, array in mixed.items():
        assert found[name].dtype == array.dtype.newbyteorder("=")
        np.testing.assert_array_equal(found[name], array)


#: Shapes of arrays by name: without dimensions, without elements, and names of other alphabets.
FLOATS = {"b": (3, 2), "a": (), "empty": (0, 4), '\u00e4\n"': (1,)}


def test_the_same_model_is_the_same_bytes(tmp_path):
    model = pynn.Sequential(pynn.Linear(3, 4), pynn.BatchNorm1d(4))
    model.save(tmp_path / "a")
    model.save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_checksum_without_memory_is_no_damaged_file(tmp_path, monkeypatch):
    def refuse(content):
        raise ValueError("[digital envelope routines] initialization error")  # what OpenSSL says then

    monkeypatch.setattr(files.hashlib, "sha256", refuse)
    with pytest.raises(MemoryError, match="no memory for a checksum"):
        pynn.Sequential(pynn.Linear(2, 2)).save(tmp_path / "model.safetensors")
    assert list(tmp_path.iterdir()) == []
