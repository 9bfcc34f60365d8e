"""Labels of a trained network: the class names, as they were given."""

import numpy as np
import pytest

import pynn

# Names of two classes, and the kind of the array of labels.
NAMES = {
    "text": (["no", "yes"], "U"),
    "integers": ([3, 7], "i"),
    "floats": ([0.5, 1.5], "f"),
    "truth values": ([False, True], "b"),
    "text and an integer": ([0, "other"], "O"),
    "text and a float": ([0.5, "other"], "O"),
    "text and a truth value": ([True, "other"], "O"),
    "integer and float": ([2**60 + 1, 0.5], "O"),
    "integer and truth value": ([2, True], "O"),
    "integers beyond int64": ([2**63, -1], "O"),
    "integers beyond uint64": ([2**70, 1], "O"),
    "text that ends with a null": (["a\0", "a"], "O"),
}


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("case", NAMES)
def test_labels_are_the_names_that_were_given(case, outputs):
    names, kind = NAMES[case]
    model = pynn.Sequential(pynn.Linear(1, outputs))
    pynn.Trainer(model, pynn.BCEWithLogitsLoss() if outputs == 1 else pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    model[0].weight[...] = [[1.0]] if outputs == 1 else [[-1.0, 1.0]]
    model.class_names = names
    labels = model.predict_label([[-1.0], [1.0], [2.0]])
    assert labels.dtype.kind == kind
    assert labels.shape == (3,)
    expected = [names[0], names[1], names[1]]
    assert [(type(label), label) for label in labels.tolist()] == [(type(name), name) for name in expected]
    assert isinstance(labels, np.ndarray)
