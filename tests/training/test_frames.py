"""A model that holds a schema takes data frames, in training and in prediction."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

import pynn


@pytest.fixture
def columns():
    rng = np.random.default_rng(0)
    size = rng.normal(size=90)
    return {"size": size, "colour": rng.choice(["red", "green"], 90), "kind": np.where(size > 0, "big", "small")}


@pytest.fixture
def model(columns):
    table = pynn.datasets.read_table(pl.DataFrame(columns), "kind")
    made = pynn.Sequential(pynn.Linear(table.x.shape[1], 2))
    made.input_schema = table.schema
    return made, table


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize("with_target", [True, False])
def test_a_frame_is_read_by_the_schema(columns, model, kind, with_target):
    network, table = model
    frame = kind(columns)[["kind", "colour", "size"] if with_target else ["colour", "size"]]
    labels = frame["kind"] if with_target else columns["kind"]
    trainer = pynn.Trainer(network, pynn.CrossEntropyLoss(), pynn.SGD(0.5))
    trainer.fit(frame, labels, epochs=5, validation=(frame, labels))
    assert trainer.evaluate(frame, labels) == trainer.evaluate(table.x, labels)
    assert trainer.evaluate(frame, labels)["accuracy"] > 0.9
    for method in (network.predict, network.predict_proba, network.predict_label):
        np.testing.assert_array_equal(method(frame), method(table.x))
    assert set(network.predict_label(frame)) == {"big", "small"}


def test_the_same_training_as_on_the_tables_features(columns, model):
    network, table = model
    other = pynn.Sequential(pynn.Linear(table.x.shape[1], 2))
    other.load_state_dict(network.state_dict())
    for trained, x in ((network, pd.DataFrame(columns)), (other, table.x)):
        pynn.Trainer(trained, pynn.CrossEntropyLoss(), pynn.SGD(0.5)).fit(x, columns["kind"], epochs=2)
    np.testing.assert_array_equal(network.predict(table.x), other.predict(table.x))


def test_frames_are_examined_as_the_tables_features_are(columns, model):
    network, table = model
    trainer = pynn.Trainer(network, pynn.CrossEntropyLoss(), pynn.SGD(0.5))
    told = []
    for x in (pd.DataFrame(columns), table.x):
        data = {"x": x[:60], "y": columns["kind"][:60], "validation": (x[60:], columns["kind"][60:])}
        told.append((str(pynn.preflight(trainer, **data)), str(pynn.diagnose(trainer, **data, epochs=1))))
    assert told[0] == told[1]
    with pytest.raises(ValueError, match="lacks column colour"):
        pynn.preflight(trainer, pd.DataFrame(columns)[["size"]], columns["kind"])


def test_a_missing_column_is_named(columns, model):
    with pytest.raises(ValueError, match="lacks column colour"):
        model[0].predict(pd.DataFrame(columns)[["size"]])


def test_a_row_without_a_value_is_named(columns, model):
    columns["size"][7] = np.nan
    with pytest.raises(ValueError, match="row 7"):
        model[0].predict_label(pd.DataFrame(columns))


def test_a_model_without_a_schema_takes_frames_of_numbers():
    network = pynn.Sequential(pynn.Linear(2, 1))
    x = np.arange(6.0).reshape(3, 2)
    for frame in (pd.DataFrame(x), pl.DataFrame(x)):
        np.testing.assert_array_equal(network.predict(frame), network.predict(x))
