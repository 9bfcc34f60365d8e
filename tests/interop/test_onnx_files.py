"""ONNX files that lie about sizes, point outside their folder, or make reading slow; sizes that a graph computes."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx_graphs import W, close, graph, loaded

import pynn
from pynn import FileFormatError


def external(tmp_path, location, offset=0, length=48):
    """Return a model whose weights are in another file."""
    model = graph("y = MatMul(x, w)", w=W)
    (tensor,) = model.graph.initializer
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))
    return model


def test_arrays_in_other_files(tmp_path, rng):
    inside = tmp_path / "models"
    inside.mkdir()
    for folder in (tmp_path, inside):
        (folder / "w.bin").write_bytes(b"12345678" + W.astype("<f4").tobytes())
    (inside / "link.bin").symlink_to(tmp_path / "w.bin")
    x = rng.normal(size=(2, 3)).astype(np.float32)
    close(loaded(external(inside, "w.bin", 8), inside).predict(x), x @ W)
    for location in ("../w.bin", str(tmp_path / "w.bin"), "link.bin", "none.bin", "", "/dev/zero", "."):
        with pytest.raises(FileFormatError, match="which is no file in the folder of the model"):
            loaded(external(inside, location, 8), inside)
    for offset, length in ((16, 48), (0, 2**40), (-8, 48), (8, 44)):
        with pytest.raises(FileFormatError, match="goes beyond the end"):
            loaded(external(inside, "w.bin", offset, length), inside)


def test_arrays_in_another_file_are_no_more_than_it_holds(tmp_path):
    (tmp_path / "w.bin").write_bytes(W.astype("<f4").tobytes())
    model = external(tmp_path, "w.bin")
    loaded(model, tmp_path)
    for number in range(2):
        model.graph.initializer.append(model.graph.initializer[0])
        model.graph.initializer[-1].name = f"again {number}"
    with pytest.raises(FileFormatError, match=r"arrays in 'w.bin', up to 'again 0', have 96 bytes; the file has 48"):
        loaded(model, tmp_path)


@pytest.mark.parametrize("what", ["array", "input", "attribute", "operator set"])
def test_no_name_occurs_twice(what, tmp_path):
    model = graph("y = Gemm <alpha = 2.0> (x, w)", w=W)
    (node,) = model.graph.node
    of = {"array": model.graph.initializer, "input": model.graph.input, "attribute": node.attribute}
    repeated = of.get(what, model.opset_import)
    repeated.append(repeated[0])
    with pytest.raises(FileFormatError, match=f"there are two {what}s of the name"):
        loaded(model, tmp_path)


@pytest.mark.parametrize("name", [b"MatMul", b"layer", b"hidden", b"weight"])
def test_names_that_are_no_text_are_refused(name, tmp_path):
    model = graph("hidden = MatMul(x, weight) y = Relu(hidden)", weight=W)
    model.graph.node[0].name = "layer"
    damaged = model.SerializeToString().replace(name, name[:-1] + b"\xd5")
    (tmp_path / "m.onnx").write_bytes(damaged)
    with pytest.raises(FileFormatError, match=r"m.onnx is not a valid ONNX file: the name b'.*xd5' is not UTF-8"):
        pynn.onnx.load(tmp_path / "m.onnx")


def test_sizes_are_checked_before_memory_is_taken(tmp_path):
    model = graph("y = MatMul(x, w)", w=W)
    model.graph.initializer[0].dims[:] = [2**40, 2**20]
    with pytest.raises(FileFormatError, match=r"array 'w' has 48 bytes; expected those of float32 of shape"):
        loaded(model, tmp_path)
    for text in (
        "y = Conv <kernel_shape = [1, 1], group = 1099511627776> (x, w)",
        "y = BatchNormalization(x, s, s, s, s)",
    ):
        with pytest.raises(ValueError, match=r"g\.onnx"):
            loaded(graph(text, w=np.ones((2, 3, 1, 1)), s=np.ones((2, 2))), tmp_path)


def test_no_graph_makes_reading_slow(tmp_path):
    nodes = "\n".join(f"a{k} = Concat <axis = 0> (a{k - 1}, a{k - 1})" for k in range(1, 60))
    with pytest.raises(ValueError, match="copies its constants too often"):
        loaded(graph(f"a0 = Identity(w) \n {nodes} \n y = MatMul(x, a59)", w=W), tmp_path)
    deep = "\n".join(f"b{k} = Relu(a{k}) \n c{k} = Tanh(b{k}) \n a{k + 1} = Add(c{k}, b{k})" for k in range(2000))
    assert len(loaded(graph(f"a0 = Relu(x) \n {deep} \n y = Relu(a2000)"), tmp_path)) > 2000


SIZES = {
    # As PyTorch's exporter writes ZeroPad2d((1, 2, 0, 1)), the amounts of the last dimension first.
    "padding": """
        amounts = Constant <value_ints = [1, 2, 0, 1]> ()
        four = Constant <value_ints = [4]> ()
        rest = ConstantOfShape <value = int64[1] {0}> (four)
        all = Concat <axis = 0> (amounts, rest)
        two = Constant <value_ints = [-1, 2]> ()
        pairs = Reshape(all, two)
        first = Constant <value_ints = [0]> ()
        last = Constant <value_ints = [-1]> ()
        end = Constant <value_ints = [-9223372036854775807]> ()
        reversed = Slice(pairs, last, end, first, last)
        turned = Transpose <perm = [1, 0]> (reversed)
        flat = Reshape(turned, last)
        pads = Cast <to = 7> (flat)
        y = Pad(x, pads)""",
    # And Unflatten, whose new shape is that of x with some sizes replaced.
    "shape": """
        shape = Shape(x)
        one = Constant <value_ints = [1]> ()
        five = Constant <value_ints = [5]> ()
        dim = Mod(one, five)
        next = Add(dim, one)
        zero = Constant <value_ints = [0]> ()
        many = Constant <value_ints = [99]> ()
        before = Slice(shape, zero, dim)
        after = Slice(shape, next, many)
        sizes = Constant <value_ints = [2, 1]> ()
        new = Concat <axis = 0> (before, sizes, after)
        y = Reshape(x, new)""",
}


@pytest.mark.parametrize("name", SIZES)
def test_sizes_that_a_graph_computes_from_constants(name, tmp_path, rng):
    model = graph(SIZES[name], "N, 2, 3, 4")
    x = rng.normal(size=(2, 2, 3, 4)).astype(np.float32)
    np.testing.assert_array_equal(loaded(model, tmp_path).predict(x), ReferenceEvaluator(model).run(None, {"x": x})[0])


@pytest.mark.parametrize("sizes", [[10**6, 10**6], [2**40, 2**40], [-1, 5]])
def test_large_sizes_of_constants_are_refused(sizes, tmp_path):
    text = f"s = Constant <value_ints = {sizes}> () c = ConstantOfShape(s) y = Add(x, c)"
    with pytest.raises(
        ValueError, match=r"ConstantOfShape\)(: the graph copies its constants too often| makes an array)"
    ):
        loaded(graph(text), tmp_path)
    rows = graph("r = Unsqueeze(v, a) c = Add(v, r) y = Reshape(x, c)")
    arrays = {"v": np.arange(3000), "a": np.array([1])}
    rows.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in arrays.items())
    with pytest.raises(ValueError, match=r"'c' \(Add\): the graph copies its constants too often"):
        loaded(rows, tmp_path)


def test_branches_in_branches_have_a_limit(tmp_path):
    down = "\n".join(f"a{k + 1} = Relu(a{k})" for k in range(100))
    up = "\n".join(f"s{k} = Add(s{k + 1}, a{k})" for k in reversed(range(100)))
    with pytest.raises(ValueError, match="nested more than 64 levels deep"):
        loaded(graph(f"a0 = Tanh(x) \n {down} \n s100 = Tanh(a100) \n {up} \n y = Relu(s0)"), tmp_path)


@pytest.mark.parametrize("content", [b"", b"x", b"\xff" * 100, b"PK\x03\x04" + b"0" * 50])
def test_other_files(content, tmp_path):
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(FileFormatError, match=r"m.onnx is not an ONNX file"):
        pynn.onnx.load(tmp_path / "m.onnx")
    with pytest.raises(FileNotFoundError):
        pynn.onnx.load(tmp_path / "none.onnx")
