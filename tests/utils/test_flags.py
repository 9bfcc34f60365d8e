"""Flags and lists: text such as "no" is true in Python, and a text is a list of its characters."""

import inspect

import numpy as np
import pytest

import pynn
from pynn import datasets, search
from pynn.utils.config import Configurable

#: A valid call of each class that has flags, without the flags.
MADE = {
    **dict.fromkeys(("Linear", "GroupNorm"), (2, 2)),
    **dict.fromkeys(("Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d"), (2, 2, 1)),
    **dict.fromkeys(("AvgPool1d", "AvgPool2d", "MaxPool1d", "MaxPool2d", "LayerNorm", "RMSNorm"), (2,)),
    **dict.fromkeys(("BatchNorm1d", "BatchNorm2d", "InstanceNorm1d", "InstanceNorm2d", "Upsample"), (2,)),
    **dict.fromkeys(("SGD", "Adam", "AdamW", "RMSprop", "Adagrad"), (0.1,)),
    **dict.fromkeys(("EarlyStopping", "KLDivLoss", "PoissonNLLLoss"), ()),
    "ModelCheckpoint": ("best",),
    "OneCycleLR": (0.1, 10),
}


def configurable(kind=Configurable):
    """Yield pynn's classes of layers, losses, optimisers, schedules and callbacks that users make."""
    for inner in kind.__subclasses__():
        if inner.__module__.startswith("pynn.") and inner.__name__ in pynn.__all__ and inner is not pynn.Optimizer:
            yield inner
        yield from configurable(inner)


def flags_of(kind):
    parameters = inspect.signature(kind).parameters.values()
    return [parameter.name for parameter in parameters if str(parameter.annotation).startswith("bool")]


FLAGS = sorted({(kind.__name__, flag) for kind in configurable() for flag in flags_of(kind)})


def test_flags_are_found():
    assert {("Linear", "bias"), ("SGD", "nesterov"), ("EarlyStopping", "restore_best_weights")} <= set(FLAGS)


@pytest.mark.parametrize(("name", "flag"), FLAGS)
def test_constructors_take_flags_only(name, flag):
    kind = getattr(pynn, name)
    for wrong in ("no", "False", None, 2, 0.5, np.ones(2)):
        with pytest.raises(ValueError, match=f"{flag} is .*; expected True or False"):
            kind(*MADE[name], **{flag: wrong})
    for right in (np.False_, 0):
        kind(*MADE[name], **{flag: right})


def trainer():
    return pynn.Trainer(pynn.Sequential(pynn.Linear(3, 2)), pynn.CrossEntropyLoss(), pynn.SGD(0.1))


X, Y = np.ones((20, 3)), np.arange(20) % 2
CALLS = {
    "shuffle": lambda wrong: trainer().fit(X, Y, epochs=1, shuffle=wrong),
    "prefetch": lambda wrong: trainer().fit(X, Y, epochs=1, prefetch=wrong),
    "progress": lambda wrong: trainer().fit(X, Y, epochs=1, progress=wrong),
    "mode": lambda wrong: trainer().model.train(wrong),
    "frozen": lambda wrong: trainer().model[0].freeze(wrong),
    "decay": lambda wrong: setattr(trainer().model[0].weight, "decay", wrong),
    "bias": lambda wrong: pynn.Linear(2, 2, bias=wrong),
    "stratify": lambda wrong: datasets.train_test_split(X, Y, stratify=wrong),
    "log of 'width'": lambda wrong: search.Space({"width": search.Integer(1, 9, log=wrong)}),
    **{
        name: lambda wrong, name=name: search.run(
            lambda _: trainer(), {"lr": search.Uniform(0, 1)}, (X, Y), (X, Y), trials=1, workers=1, **{name: wrong}
        )
        for name in ("end_early", "shared", "progress")
    },
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("wrong", ["no", Y])
def test_calls_take_flags_only(name, wrong):
    with pytest.raises(ValueError, match=f"{name} is .*; expected True or False"):
        CALLS[name](wrong)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: trainer().fit(X, Y, epochs=1, validation=(X, Y), metrics="f1"),
            r"metrics is 'f1'; expected a list: \['f1'\]",
        ),
        (lambda: trainer().evaluate(X, Y, metrics="f1"), r"metrics is 'f1'; expected a list: \['f1'\]"),
        (lambda: trainer().fit(X, Y, epochs=1, metrics=None), "metrics is None; expected a list$"),
        (lambda: trainer().fit(X, Y, epochs=1, callbacks=None), "callbacks is None; expected a list$"),
        (lambda: trainer().fit(X, Y, epochs=1, augment="flip"), "augment has 'flip'; expected augmentations"),
        (lambda: pynn.load("none", custom="Mine"), r"custom is 'Mine'; expected a list: \['Mine'\]"),
        (lambda: pynn.load("none", custom=pynn.ReLU), r"custom is ReLU; expected a list: \[ReLU\]"),
    ],
)
def test_a_text_is_not_a_list(make, said):
    with pytest.raises(TypeError, match=said):
        make()


def test_one_column_may_be_named_by_a_text(tmp_path):
    (tmp_path / "t.csv").write_text("ab,year,y\n1,2000,p\nNA,2001,q\nA,2005,p\n")
    table = datasets.read_table(tmp_path / "t.csv", drop="year", categorical="ab", missing="A")
    assert table.schema["dropped"] == ["year"] and table.feature_names == ["ab=1"]
    with pytest.raises(TypeError, match="dates is 'year'; expected a dict of columns to formats"):
        datasets.read_table(tmp_path / "t.csv", dates="year")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"thousands": "abc"}, "thousands is 'abc'; expected one mark"),
        ({"thousands": "5"}, "thousands is '5'; expected one mark"),
        ({"decimal": ";"}, "decimal is ';'; expected"),
        ({"decimal": ".", "thousands": "."}, "decimal and thousands are both '.'; expected different marks"),
        ({"header": "no"}, "header is 'no'; expected True or False"),
    ],
)
def test_marks_of_numbers(tmp_path, options, said):
    (tmp_path / "t.csv").write_text("a,y\n1.5,p\n2.5,q\n")
    with pytest.raises(ValueError, match=said):
        datasets.read_table(tmp_path / "t.csv", **options)
