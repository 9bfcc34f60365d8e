"""Precision, recall, F1 and confusion of each class are scikit-learn's."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

import pynn


@pytest.fixture
def trained(rng):
    x, y = pynn.datasets.blobs(n=90, classes=3, seed=0)
    pynn.manual_seed(0)
    trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(2, 3)), pynn.CrossEntropyLoss(), pynn.SGD(0.05))
    trainer.fit(x, y, epochs=2)
    return trainer, x, y


@pytest.mark.parametrize("weighted", [False, True])
def test_scores_are_those_of_scikit_learn(trained, weighted, rng):
    trainer, x, y = trained
    weights = rng.uniform(0.5, 2, len(y)).astype(np.float32) if weighted else None
    scores = pynn.class_scores(trainer, x, y, sample_weight=weights)
    labels = trainer.model.predict_label(x)
    np.testing.assert_allclose(scores.confusion, confusion_matrix(y, labels, sample_weight=weights), rtol=1e-6)
    expected = precision_recall_fscore_support(y, labels, sample_weight=weights, zero_division=0)
    for found, value in zip((scores.precision, scores.recall, scores.f1), expected[:3], strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-6)


def test_two_classes_of_one_output_and_names(rng):
    x, y = np.eye(4, dtype=np.float32), np.array(["no", "no", "yes", "yes"])
    trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(4, 2)), pynn.CrossEntropyLoss(), pynn.SGD(1.0))
    trainer.fit(x, y, epochs=50)
    scores = pynn.class_scores(trainer, x, y)
    assert scores.names == ["no", "yes"]
    assert (scores.confusion == [[2, 0], [0, 2]]).all()
    binary = pynn.Trainer(pynn.Sequential(pynn.Linear(4, 1)), pynn.BCEWithLogitsLoss(), pynn.SGD(1.0))
    numbers = (y == "yes").astype(np.float32)[:, None]
    binary.fit(x, numbers, epochs=50)
    assert (pynn.class_scores(binary, x, numbers).confusion == [[2, 0], [0, 2]]).all()


def test_a_class_that_is_never_said_has_precision_0_and_a_name_is_escaped():
    scores = pynn.training.class_scores.ClassScores.of(np.array([0, 1]), np.array([0, 0]), ["<b>", "y"])
    assert scores.precision.tolist() == [0.5, 0] and scores.f1[1] == 0
    assert "<b>" not in scores._repr_html_() and "&lt;b&gt;" in scores._repr_html_()
    assert str(scores).splitlines()[0].split() == [
        "class",
        "examples",
        "precision",
        "recall",
        "F1",
        "as",
        "<b>",
        "as",
        "y",
    ]


def test_amounts_have_no_classes(rng):
    trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(2, 1)), pynn.MSELoss(), pynn.SGD(0.1))
    with pytest.raises(ValueError, match="MSELoss is for amounts; expected a loss of classes"):
        pynn.class_scores(trainer, np.zeros((4, 2)), np.zeros((4, 1)))
