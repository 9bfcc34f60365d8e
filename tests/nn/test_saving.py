"""What can be saved can be loaded, and means the same; what cannot is refused before anything is written."""

import enum
import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import numpy as np
import pytest

import pynn


def networks_of_two(**attributes):
    model = pynn.Sequential(pynn.Linear(2, 2))
    for name, value in attributes.items():
        setattr(model, name, value)
    return model


def again(model, path, *custom):
    model.save(path)
    return pynn.load(path, custom=custom)


# Names of classes


class Colour(enum.StrEnum):
    RED, BLUE = "red", "blue"


LABELS = [
    np.array(["no", "yes"]),
    np.array([3, 7]),
    np.array([3, 7], np.uint8),
    np.array([False, True]),
    np.array([0.5, 1.5], np.float32),
    np.array(["no", "yes"], object),
    [np.str_("no"), np.str_("yes")],
    [np.int64(0), np.bool_(True)],
    ("no", "yes"),
    [Colour.RED, Colour.BLUE],
    {"no": 1, "yes": 2}.keys(),
]


@pytest.mark.parametrize("names", LABELS, ids=repr)
def test_class_names_of_any_kind_come_back(names, tmp_path):
    model = networks_of_two(class_names=names, output_kind="classes")
    loaded = again(model, tmp_path / "m")
    plain = [name.item() if isinstance(name, np.generic) else name for name in names]
    plain = [str.__str__(name) if isinstance(name, str) else name for name in plain]
    assert model.class_names == loaded.class_names == plain
    assert {type(name) for name in loaded.class_names} <= {str, int, float, bool}
    x = np.random.default_rng(0).normal(size=(9, 2))
    np.testing.assert_array_equal(loaded.predict_label(x), model.predict_label(x))
    np.testing.assert_array_equal(model.predict_label(x), np.asarray(plain)[model.predict(x).argmax(axis=1)])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("no yes", "expected a list of text or numbers"),
        (7, "expected a list of text or numbers"),
        ({"no", "yes"}, "expected a list of text or numbers"),
        ({0: "no", 1: "yes"}, "expected a list of text or numbers"),
        ([b"no", b"yes"], r"has b'no'.*name.decode\(\)"),
        ([None, "yes"], "has None"),
        ([float("nan"), 1.0], "has nan"),
        (np.array(["2020-01-01"], "datetime64[D]"), r"has datetime.date.*str\(name\)"),
        (np.zeros((2, 2)), "has array"),
        ([Fraction(1, 2)], "has Fraction"),
        ([1 + 2j], "has"),
    ],
)
def test_class_names_that_a_file_cannot_hold_are_refused_when_set(names, message, tmp_path):
    model = networks_of_two(class_names=["a", "b"])
    with pytest.raises(TypeError, match=message):
        model.class_names = names
    assert model.class_names == ["a", "b"]
    model.class_names.append(object())  # behind its back
    with pytest.raises(TypeError):
        model.save(tmp_path / "m")
    assert os.listdir(tmp_path) == []


def test_the_kind_of_output_is_checked_when_set():
    with pytest.raises(ValueError, match=r"output_kind is 'ranks'; expected \"classes\""):
        networks_of_two(output_kind="ranks")


COLUMN = {"name": "a", "kind": "category", "categories": ["x", "y"], "fill": None}
TARGET = {"name": "b", "index": 1, "class_names": None}
BAD_SCHEMAS = [
    *({}, {"columns": []}, "x", [], {"columns": 1, "target": {}}, 7),
    *({"columns": [COLUMN | {"categories": ["x", "x"]}], "target": TARGET}, {"columns": [3], "target": TARGET}),
    *({"columns": [COLUMN | {"fill": fill}], "target": TARGET} for fill in (10**400, True, "1", float("nan"))),
    *({"columns": [COLUMN], "target": TARGET | {"index": index}} for index in (True, -1, 2, 1.0, None)),
    {"columns": [COLUMN], "target": TARGET | {"class_names": ["a", 1]}},
    {"columns": {"a": COLUMN}, "target": TARGET},
]


@pytest.mark.parametrize("schema", BAD_SCHEMAS)
def test_a_schema_is_checked_before_it_is_written(schema, tmp_path):
    with pytest.raises(ValueError, match="schema was not made by read_table"):
        networks_of_two(input_schema=schema).save(tmp_path / "m")
    assert os.listdir(tmp_path) == []


# Classes of one's own


class Net(pynn.Sequential):
    def __init__(self, width, *, drop=0.5):
        self.width, self.drop = width, drop
        super().__init__(pynn.Linear(3, width), pynn.Dropout(drop), pynn.ReLU(), pynn.Linear(width, 2))


class Configured(pynn.Sequential):
    def __init__(self, sizes):
        super().__init__(*(pynn.Linear(a, b) for a, b in itertools.pairwise(sizes)))
        self.given = sizes

    def config(self):
        return {"sizes": self.given}


class Plain(pynn.Sequential):
    """One that is made as a Sequential is."""

    def forward(self, x, ctx):
        return 2 * super().forward(x, ctx)


class Block(pynn.Layer):
    def __init__(self, inner, factors):
        super().__init__()
        self.inner, self.factors = inner, factors
        self.scale = pynn.Parameter(np.ones(2))

    def forward(self, x, ctx):
        return self.inner.forward(x, ctx.children(1)[0]) * self.scale * self.factors["all"][0]

    def backward(self, dy, ctx):
        self.scale.grad[...] = 0
        return self.inner.backward(dy, ctx.children(1)[0])


CUSTOM = [
    lambda: Net(5),
    lambda: Net(4, drop=0.25),
    lambda: Configured([3, 4, 2]),
    lambda: Plain(pynn.Linear(3, 2), pynn.Tanh()),
    lambda: pynn.Sequential(Net(3), pynn.Residual(Plain(pynn.Linear(2, 2)))),
    lambda: pynn.Sequential(pynn.Linear(3, 2), Block(pynn.Linear(2, 2), {"all": [2.0]})),
]


@pytest.mark.parametrize("make", CUSTOM)
def test_classes_of_ones_own_come_back(make, tmp_path):
    model = make()
    loaded = again(model, tmp_path / "m", Net, Configured, Plain, Block)
    assert type(loaded) is type(model)
    x = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
    trainer = pynn.Trainer(model, pynn.MSELoss(), pynn.SGD(0.1))
    trainer.save(tmp_path / "c")
    resumed = pynn.Trainer.resume(tmp_path / "c", custom=[Net, Configured, Plain, Block])
    np.testing.assert_array_equal(resumed.model.predict(x), model.predict(x))


class Forgetful(pynn.Sequential):
    def __init__(self, width):
        super().__init__(pynn.Linear(3, width))


class Positional(pynn.Sequential):
    def __init__(self, *widths):
        super().__init__(*(pynn.Linear(a, b) for a, b in itertools.pairwise(widths)))


class Other(pynn.Layer):
    def __init__(self, value):
        super().__init__()
        self.value = value


class Renaming(pynn.Layer):
    def __init__(self, width):
        super().__init__()
        self.width = width

    def config(self):
        return {"breadth": self.width}


class Random(pynn.Layer):
    count = 0

    def __init__(self):
        super().__init__()
        Random.count += 1
        self.weight = pynn.Parameter(np.zeros(Random.count))


def changed():
    model = Net(5)
    model[1].p = 0.1
    return model


def invalid():
    layer = pynn.Dropout()
    vars(layer)["p"] = 2
    return layer


def deep():
    model = pynn.Sequential(pynn.ReLU())
    for _ in range(100):
        model = pynn.Sequential(model)
    return model


def shadowing():
    return type("Linear", (pynn.Linear,), {})(2, 2)


def twice():
    return pynn.Sequential(*(type("Twin", (pynn.ReLU,), {})() for _ in range(2)))


REFUSED = [
    (lambda: Forgetful(2), "store the argument 'width' as an attribute"),
    (lambda: Positional(2, 3, 4), "cannot be rebuilt"),
    (changed, "its Dropout may have been changed after construction"),
    (lambda: Other({1, 2}), "value holds a set"),
    (lambda: Other(np.ones(2)), "value holds a ndarray"),
    (lambda: Other(len), "value holds a builtin_function_or_method"),
    (lambda: Other({1: "a"}), "the key 1"),
    (lambda: Other({"class": "Linear", "config": {}}), "be restored as an object"),
    (lambda: Other([(b"x",)]), "value holds a bytes"),
    (lambda: Renaming(2), "cannot be rebuilt"),
    (Random, "differs from it"),
    (invalid, "p is 2; expected"),
    (deep, "nested more than 64 levels deep"),
    (shadowing, "another class has the same name"),
    (twice, "another class has the same name"),
]


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_what_would_not_come_back_is_refused_before_anything_is_written(make, message, tmp_path):
    layer = make()
    model = layer if isinstance(layer, pynn.Sequential) else pynn.Sequential(layer)
    with pytest.raises(TypeError, match=message):
        model.save(tmp_path / "m")
    if model.parameters():
        with pytest.raises(TypeError, match=message):
            pynn.Trainer(model, pynn.MSELoss(), pynn.SGD(0.1)).save(tmp_path / "c")
    assert os.listdir(tmp_path) == []


def test_what_is_nested_as_deep_as_may_be_comes_back(tmp_path):
    model = pynn.Sequential(pynn.Linear(2, 2))
    for _ in range(60):
        model = pynn.Sequential(model)
    x = np.ones((3, 2))
    np.testing.assert_array_equal(again(model, tmp_path / "m").predict(x), model.predict(x))


class Scaled(pynn.Loss):
    def __init__(self, factor):
        self.times = factor

    def forward(self, prediction, target, sample_weight=None, gradient_out=None):
        return float(self.times * prediction.sum()), np.full_like(prediction, self.times)


class Slow(pynn.optim.Schedule):
    def __init__(self, by_how_much):
        self.rates = by_how_much

    def at(self, base, count):
        return base * self.rates


class Known(Slow):
    def __init__(self, rates):
        self.rates = rates


def test_losses_and_schedules_of_ones_own_are_refused_or_come_back(tmp_path):
    def trainer(loss, schedule):
        return pynn.Trainer(networks_of_two(), loss, pynn.SGD(0.1), schedule=schedule)

    with pytest.raises(TypeError, match="store the argument 'factor'"):
        trainer(Scaled(2.0), None).save(tmp_path / "c")
    with pytest.raises(TypeError, match="store the argument 'by_how_much'"):
        trainer(pynn.MSELoss(), pynn.WarmupLR(3, then=Slow(0.5))).save(tmp_path / "c")
    assert os.listdir(tmp_path) == []
    trainer(pynn.MSELoss(), pynn.WarmupLR(3, then=Known(0.5))).save(tmp_path / "c")
    resumed = pynn.Trainer.resume(tmp_path / "c", custom=[Known])
    assert resumed.schedule.then.rates == 0.5


@pytest.mark.parametrize("custom", [Net, [Net(3)], ["Net"], 7, [int]])
def test_classes_that_are_none_are_named(custom, tmp_path):
    networks_of_two().save(tmp_path / "m")
    with pytest.raises(TypeError, match="custom"):
        pynn.load(tmp_path / "m", custom=custom)


def test_a_step_of_ones_own_in_the_preprocessing_is_refused(tmp_path):
    class Halve(pynn.preprocessing.Transformer):
        pass

    model = networks_of_two(preprocessing=Halve())
    with pytest.raises(TypeError, match="Halve cannot be saved"):
        model.save(tmp_path / "m")
    assert os.listdir(tmp_path) == []


class Wide(pynn.Layer):
    """One that knows nothing of dtypes, and draws by itself."""

    def __init__(self):
        super().__init__()
        self.scale = pynn.Parameter(pynn.nn.random.initial_generator().normal(size=2))

    def forward(self, x, ctx):
        return x * self.scale


def test_a_layer_without_dtype_in_a_float64_model(tmp_path):
    model = pynn.Sequential(pynn.Linear(2, 2), Wide()).astype("float64")
    model[1].scale[...] = [1 / 3, 2 / 3]
    pynn.manual_seed(3)
    loaded = again(model, tmp_path / "m", Wide)
    assert loaded.dtype == np.float64
    x = np.random.default_rng(0).normal(size=(5, 2))
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
    drawn = np.array(pynn.Linear(2, 2).weight)
    pynn.manual_seed(3)
    np.testing.assert_array_equal(pynn.Linear(2, 2).weight, drawn)


# The generator of the seed


def test_threads_that_load_neither_disturb_the_seed_nor_each_other(tmp_path):
    path = tmp_path / "m"
    model = pynn.Sequential(pynn.Linear(20, 64), pynn.BatchNorm1d(64), pynn.Linear(64, 2, bias=False))
    model.save(path)

    def drawn():
        return [np.array(pynn.Linear(3, 4).weight) for _ in range(200)]

    pynn.manual_seed(5)
    expected = drawn()
    with ThreadPoolExecutor(4) as threads:
        for _ in range(3):
            pynn.manual_seed(5)
            loading = [threads.submit(pynn.load, path) for _ in range(100)]
            found = drawn()
            np.testing.assert_array_equal(found, expected)
            for future in loading:
                np.testing.assert_array_equal(future.result()[0].weight, model[0].weight)


def test_a_seed_set_within_a_thread_of_its_own_stays_there():
    from pynn.nn.random import initial_generator, unobserved

    def other():
        with unobserved():
            pynn.manual_seed(1)
            return initial_generator().integers(2**62)

    pynn.manual_seed(7)
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(other).result() == np.random.default_rng(1).integers(2**62)
    assert initial_generator().integers(2**62) == np.random.default_rng(7).integers(2**62)
