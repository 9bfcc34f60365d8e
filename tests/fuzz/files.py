"""Whole files of every format that pynn reads, what reads them, and how they are damaged."""

import contextlib
import datetime
import io
import json
import warnings

import numpy as np
import onnx
import onnx_networks
import polars
from file_formats import cifar_bytes, idx_bytes
from fuzz import networks, trainers
from fuzz.damage import changed, changed_tensors, damaged
from fuzz.networks import pick
from google.protobuf.message import DecodeError

import pynn
from pynn import datasets
from pynn.datasets.readers import read_npy
from pynn.interop.onnx.operators import OPERATORS
from pynn.interop.onnx.spans import READERS
from pynn.utils.files import packed_tensors

CUSTOM = (networks.Doubled,)
#: What a reader may raise for a file that is not what it should be: FileFormatError is a ValueError.
ALLOWED = ValueError


def model_of(rng):
    """Return a random model, perhaps with preprocessing and names, and the shape of an example."""
    dtype = np.dtype(pick(rng, "f4", "f8"))
    model, shape, outputs = networks.network(rng, dtype)
    if len(shape) == 1 and rng.random() < 0.5:
        kinds = (pynn.preprocessing.Standardize, pynn.preprocessing.MinMax, pynn.preprocessing.PCA)
        model.preprocessing = pick(rng, *kinds)().fit(rng.standard_normal((9, *shape)))
    if rng.random() < 0.5:
        model.class_names = [f"class {i}" for i in range(outputs)]
    model.output_kind = pick(rng, None, "classes", "scores", "binary", "values")
    return model, shape


def use(model, shape):
    """Predict with a model that was read, which may refuse the data: it may fit others."""
    for size in (2, 0):
        try:
            model.predict(np.zeros((size, *shape)))
            model.predict_label(np.zeros((size, *shape)))
        except (ValueError, MemoryError):
            return


class Models:
    """Model files, with damage to their bytes, and with descriptions and arrays that contradict each other."""

    suffix, kind = "safetensors", "model"

    def __init__(self, folder):
        self.path = folder / f"whole.{self.suffix}"

    def whole(self, rng):
        model, self.shape = model_of(rng)
        model.save(self.path)
        return self.path.read_bytes()

    def broken(self, rng, content):
        if rng.random() < 0.3:
            return damaged(rng, content)
        tensors, description = pynn.utils.files.load_tensors(self.path, self.kind)
        for _ in range(pick(rng, 1, 1, 2, 3)):
            if rng.random() < 0.25:
                tensors = changed_tensors(rng, tensors)
            else:
                description = changed(rng, description) if isinstance(description, dict) and description else {}
        return packed_tensors(self.kind, tensors, description)

    def read(self, path):
        use(pynn.load(path, custom=CUSTOM), self.shape)


class Checkpoints(Models):
    """Checkpoints, which also describe an optimiser, a loss, a schedule and where the training was."""

    kind = "checkpoint"

    def whole(self, rng):
        kind = None
        while kind != "labels":
            trainer, self.shape, outputs, kind = trainers.trainer(rng, np.dtype("f4"))
        x = rng.standard_normal((6, *self.shape)).astype("f4")
        with contextlib.suppress(ValueError, pynn.NonFiniteError):  # labels that are all ignored, a rate too high
            trainer.fit(x, rng.integers(0, outputs, 6), epochs=1, batch_size=3)
        trainer.save(self.path)
        return self.path.read_bytes()

    def read(self, path):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # written on another machine
            trainer = pynn.Trainer.resume(path, custom=CUSTOM)
        use(trainer.model, self.shape)
        try:
            trainer.step(np.ones((2, *self.shape), np.float32), np.zeros(2, int))
        except (ValueError, TypeError, RuntimeError, ArithmeticError, MemoryError):
            return


class Bytes:
    """Files that are damaged as bytes."""

    suffix = ""

    def __init__(self, folder):
        pass

    def broken(self, rng, content):
        return damaged(rng, content)


class Npz(Bytes):
    suffix = "npz"

    def whole(self, rng):
        n, file = pick(rng, 1, 3, 8), io.BytesIO()
        x, y = rng.standard_normal((n, 4)).astype(pick(rng, "f4", "f8", "i2", ">f4")), rng.integers(0, 3, n)
        pick(rng, np.savez, np.savez_compressed)(file, **pick(rng, {"x": x, "y": y}, {"x_train": x, "y_train": y}))
        return file.getvalue()

    def read(self, path):
        x, y = datasets.read_npz(path)
        x.sum(), y.sum()  # a lazily read one would fail here


class Npy(Bytes):
    suffix = "npy"

    def whole(self, rng):
        file = io.BytesIO()
        np.save(file, rng.standard_normal((pick(rng, 1, 3, 8), 4)).astype(pick(rng, "f4", "f8", "i2", ">f4")))
        return file.getvalue()

    def read(self, path):
        np.array(read_npy(path))


class Idx(Bytes):
    suffix = "idx"

    def whole(self, rng):
        array = rng.integers(0, 99, pick(rng, (3,), (2, 3), (2, 3, 4), ()))
        return idx_bytes(array.astype(pick(rng, "u1", "i1", "i2", "i4", "f4", "f8")))

    def read(self, path):
        datasets.read_idx(path)


class Cifar(Bytes):
    suffix = "bin"

    def whole(self, rng):
        n = pick(rng, 1, 2)
        return cifar_bytes(rng.integers(0, 256, (n, 3, 32, 32)).astype(np.uint8), rng.integers(0, 10, n))

    def read(self, path):
        datasets.read_cifar10(path)


class Csv(Bytes):
    suffix = "csv"
    CELLS = ("1", "-2.5", "3e4", "", "?", "NA", "yes", "no", "nan", "1e999", '"a,b"', "é", "007", "1,5", "0x1f", " 4 ")
    UNITS = ("5 kg", "6.5kg", "7%", "8 %", "$1.2M", "900k", "€3", "(4)", "12 Main Street", "20200131", "total")

    def whole(self, rng):
        columns, rows = pick(rng, 1, 2, 5), pick(rng, 1, 4, 12)
        delimiter = pick(rng, ",", ",", ";", "\t", " ", "  ")
        choices = (
            self.CELLS[:3],
            self.CELLS[:6],
            self.CELLS[6:8],
            self.CELLS,
            self.UNITS[:2],
            self.UNITS[4:6],
            self.UNITS,
        )
        kinds = [pick(rng, *choices) for _ in range(columns)]
        lines = [[pick(rng, *kind) for kind in kinds] for _ in range(rows)]
        if rng.random() < 0.7:
            lines.insert(0, [f"column {index}" for index in range(columns)])
        if rng.random() < 0.2:
            lines.insert(0, [pick(rng, "# made", "% made", "@relation r", "=====", "Sales of 2024")])
        text = pick(rng, "\n", "\r\n").join(delimiter.join(line) for line in lines)
        return text.encode(pick(rng, "utf-8", "utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le"))

    def read(self, path):
        table = datasets.read_csv(path, target=None)
        assert len(table.x) > 0
        datasets.read_csv(path)


class JsonLines(Bytes):
    """A table whose columns have types. Not Parquet: of a damaged file polars may end the process."""

    suffix = "jsonl"

    def whole(self, rng):
        rows = pick(rng, 1, 4, 12)
        columns = {
            "number": rng.normal(size=rows),
            "whole": rng.integers(0, 9, rows),
            "text": [pick(rng, "red", "blue", "", None) for _ in range(rows)],
            "day": [datetime.date(2020, 1, 1 + day) for day in range(rows)],
            "label": [pick(rng, "yes", "no") for _ in range(rows)],
        }
        return polars.DataFrame(columns).write_ndjson().encode()

    def read(self, path):
        datasets.read_table(path)


class Schemas(Bytes):
    """Schemas, as model files hold them, of which one value is another."""

    suffix = "csv"
    TABLE = b"a,b,c,label\n1,x,2.5,no\n3,y,,yes\n5,x,1,no\n2,x,7,yes\n"

    def __init__(self, folder):
        path = folder / "whole.csv"
        path.write_bytes(self.TABLE)
        self.learned = json.dumps(datasets.read_csv(path).schema)

    def whole(self, rng):
        return self.TABLE

    def broken(self, rng, content):
        self.schema = changed(rng, json.loads(self.learned))
        return damaged(rng, content) if rng.random() < 0.3 else content

    def read(self, path):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", datasets.TableWarning)
            datasets.read_csv(path, schema=self.schema)


class Onnx(Bytes):
    """ONNX files, of which numbers in the graph are others: sizes, attributes, versions; or names and operators."""

    suffix, operators = "onnx", READERS
    NUMBERS = (-(2**63), -(2**31), -2, -1, 0, 1, 2, 3, 7, 2**31, 2**40, 2**62, 2**63 - 1)

    def __init__(self, folder):
        self.path = folder / "whole.onnx"

    def whole(self, rng):
        self.model, x = onnx_networks.random_network(rng, pick(rng, "f4", "f8"))
        self.shape = x.shape[1:]
        pynn.onnx.export(self.model, self.path, opset=int(rng.integers(14, 26)), input_shape=self.shape)
        return self.path.read_bytes()

    def broken(self, rng, content):
        if rng.random() < 0.4:
            return damaged(rng, content)
        model = onnx.load(self.path)
        for _ in range(pick(rng, 1, 1, 2, 3)):
            self.change(rng, model.graph)
        return model.SerializeToString()

    def change(self, rng, graph):
        """Change one thing in the graph."""
        node = graph.node[int(rng.integers(len(graph.node)))]
        arrays = list(graph.initializer) or [onnx.TensorProto()]
        array, number = arrays[int(rng.integers(len(arrays)))], pick(rng, *self.NUMBERS)
        numbers = [values for a in node.attribute if len(values := a.ints)]
        sizes = [array.dims, *numbers]
        values = pick(rng, *(k for k in range(len(sizes))))
        kind = pick(rng, "size", "size", "one", "operator", "input", "type", "swap", "twice", "shape", "opset")
        if kind == "size" and len(sizes[values]):
            sizes[values][int(rng.integers(len(sizes[values])))] = number
        elif kind == "one" and node.attribute:
            changed_attribute = pick(rng, *node.attribute)
            changed_attribute.i, changed_attribute.f = number, float(number)
        elif kind == "operator":
            node.op_type = pick(rng, *self.operators, "Reshape", "Shape", "Concat", "Gather", "Loop", "", "x" * 999)
        elif kind == "input" and node.input:
            names = [n for other in graph.node for n in (*other.input, *other.output)]
            node.input[int(rng.integers(len(node.input)))] = pick(rng, *names, "", "none")
        elif kind == "type":
            array.data_type = int(rng.integers(30))
        elif kind == "swap":
            other = graph.node[int(rng.integers(len(graph.node)))]
            node.op_type, other.op_type = other.op_type, node.op_type
        elif kind == "twice":
            graph.node.append(node)
        elif kind == "shape" and graph.input:
            dims = graph.input[0].type.tensor_type.shape.dim
            dims[int(rng.integers(len(dims)))].dim_value = number

    def read(self, path):
        use(pynn.onnx.load(path), self.shape)


class OnnxGraphs(Onnx):
    """The same, run operator by operator."""

    operators = OPERATORS

    def read(self, path):
        model = onnx.ModelProto()
        try:
            model.ParseFromString(path.read_bytes())
            prepared = pynn.onnx.Backend.prepare(model)
        except (DecodeError, onnx.checker.ValidationError):
            return
        given = [np.zeros((2, *self.shape), value.dtype) for value in prepared.graph.inputs]
        with contextlib.suppress(MemoryError):  # 2**31 elements are allowed, but not here
            prepared.run(given)


FORMATS = {
    "model": Models,
    "checkpoint": Checkpoints,
    "npz": Npz,
    "npy": Npy,
    "idx": Idx,
    "cifar": Cifar,
    "csv": Csv,
    "jsonl": JsonLines,
    "onnx": Onnx,
    "onnx graph": OnnxGraphs,
    "schema": Schemas,
}


def read_damaged(name, seed, folder, count):
    """Read a whole file, and then `count` damaged ones that were made of it."""
    rng = np.random.Generator(np.random.SFC64(seed))
    pynn.manual_seed(int(rng.integers(2**31)))
    form = FORMATS[name](folder)
    content = form.whole(rng)
    path = folder / f"file.{form.suffix}"
    for number in range(count):
        broken = form.broken(rng, content)
        path.write_bytes(broken)
        try:
            form.read(path)
        except ALLOWED:
            pass
        except Exception as error:
            kept = folder / f"{name}-{number}.{form.suffix}"
            kept.write_bytes(broken)
            raise AssertionError(
                f"{name}, seed {seed}, file {number}, {kept}: {type(error).__name__}: {error}"
            ) from error
