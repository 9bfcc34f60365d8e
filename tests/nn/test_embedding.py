"""Embeddings: what they look up, their gradients, recorded steps, files, and indices that are refused."""

import copy
import pickle

import numpy as np
import pytest

import pynn
from pynn import ops
from pynn.nn import inputs


def columns(count=60):
    """Return a table of two columns of numbers and two of categories, and labels that depend on the latter."""
    rng = np.random.default_rng(0)
    first, second = rng.integers(4, size=count), rng.integers(3, size=count)
    x = np.column_stack([rng.normal(size=count), first, rng.normal(size=count), second])
    return x, (first + second) % 3


def network():
    pynn.manual_seed(2)
    return pynn.Sequential(pynn.EmbedColumns([0, 4, 0, 3], [2, 3]), pynn.Linear(7, 16), pynn.ReLU(), pynn.Linear(16, 3))


def test_numbers_come_first_and_then_the_vectors(backend):
    layer = pynn.EmbedColumns([0, 4, 0, 3], [2, 3])
    x, _ = columns()
    y = pynn.Sequential(layer)(x)
    tables = [embedding.weight.data for embedding in layer.embeddings]
    want = np.concatenate(
        [x[:, [0, 2]].astype(np.float32), tables[0][x[:, 1].astype(int)], tables[1][x[:, 3].astype(int)]], 1
    )
    np.testing.assert_array_equal(y, want)


def test_the_gradient_of_a_table_is_that_of_a_product_with_one_hot_rows(backend, dtype, rng):
    indices, dy = rng.integers(5, size=(40, 2)).astype(dtype), rng.normal(size=(40, 6)).astype(dtype)
    one_hot = np.eye(5)[indices[:, 1].astype(int)]
    got = ops.embed_backward(dy, indices, np.empty((5, 3), dtype), column=1, start=2)
    np.testing.assert_allclose(got, one_hot.T @ dy[:, 2:5], rtol=1e-5, atol=1e-6)
    padded = ops.embed_backward(dy, indices, np.empty((5, 3), dtype), column=1, start=2, padding_idx=4)
    np.testing.assert_array_equal(padded, np.where(np.arange(5)[:, None] == 4, 0, got))


def test_columns_are_learnt(backend):
    x, y = columns(200)
    trainer = pynn.Trainer(network(), pynn.CrossEntropyLoss(), pynn.Adam(1e-2))
    trainer.fit(x, y, epochs=40, batch_size=50)
    assert trainer.evaluate(x, y)["accuracy"] > 0.9


def test_recorded_steps_are_those_taken_op_by_op(monkeypatch, backend):
    x, y = columns(32)

    def losses():
        trainer = pynn.Trainer(network(), pynn.CrossEntropyLoss(), pynn.SGD(0.1, momentum=0.9))
        return [trainer.step(x, y) for _ in range(8)]

    recorded = losses()
    monkeypatch.setattr("pynn.training.passes.recorder", lambda methods: None)
    assert losses() == recorded


def test_later_steps_replay_kernels_without_the_ops(monkeypatch):
    def called(*arguments, **options):
        raise AssertionError("the step was not replayed")

    x, y = columns(32)
    with pynn.use_backend("cython"):
        trainer = pynn.Trainer(network(), pynn.CrossEntropyLoss(), pynn.SGD(0.1))
        trainer.step(x, y)
        monkeypatch.setattr(ops, "embed", called)
        monkeypatch.setattr(ops, "embed_backward", called)
        assert np.isfinite([trainer.step(x, y) for _ in range(3)]).all()


@pytest.mark.parametrize(
    ("bad", "said"), [(4, "4"), (-1, "-1"), (1.5, "1.5"), (np.nan, "nan"), (np.inf, "inf"), (1e30, "1e\\+30")]
)
def test_what_is_no_category_is_named_also_in_a_recorded_step(bad, said, backend):
    x, y = columns(32)
    trainer = pynn.Trainer(network(), pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    for _ in range(3):
        trainer.step(x, y)
    before = trainer.model.state_dict()
    broken = x.copy()
    broken[7, 1] = bad
    with pytest.raises(ValueError, match=rf"^{said} in row 7, column 1 is no category: expected .* from 0 to 3"):
        trainer.step(broken, y)
    for name, array in trainer.model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    trainer.step(x, y)


def test_integers_are_taken_as_they_are(backend):
    model = pynn.Sequential(pynn.Embedding(300, 4), pynn.Flatten(), pynn.Linear(8, 2))
    x = np.random.default_rng(0).integers(300, size=(9, 2))
    want = model.predict(x.astype(np.float64))
    for kind in (np.int64, np.uint16, np.float32):
        np.testing.assert_array_equal(model.predict(x.astype(kind)), want)


def test_padding_starts_at_zero_and_stays(backend, rng):
    model = pynn.Sequential(pynn.Embedding(6, 3, padding_idx=1), pynn.Flatten(), pynn.Linear(12, 2))
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.Adam(0.1))
    before = np.array(model[0].weight)
    for _ in range(4):
        trainer.step(rng.integers(6, size=(20, 4)), rng.integers(2, size=20))
    assert not model[0].weight[1].any()
    assert (model[0].weight[...] != before).any(axis=1).sum() == 5


def test_an_embedding_after_another_layer_passes_zeros_back(backend):
    class Rounded(pynn.Layer):
        def forward(self, x, ctx):
            return np.round(np.abs(x))

        def backward(self, dy, ctx):
            ctx.seen = dy
            return dy

    model = pynn.Sequential(Rounded(), pynn.Embedding(5, 2), pynn.Flatten())
    y = model(np.array([[0.9, 3.2]]))
    np.testing.assert_array_equal(model.backward(np.ones_like(y)), np.zeros((1, 2)))


@pytest.mark.parametrize("training", [True, False])
def test_gradients_of_a_network(training, backend):
    x, y = columns(12)
    checks = pynn.gradcheck(network(), pynn.CrossEntropyLoss(), x, y, training=training)
    assert [check.name for check in checks if not check.ok(1e-6)] == []
    assert {"0.0.weight", "0.1.weight"} <= {check.name for check in checks}


def test_files_and_copies_give_the_same_bits(tmp_path):
    model, (x, _) = network(), columns()
    model.save(tmp_path / "m")
    for twin in (pynn.load(tmp_path / "m"), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(twin.predict(x), model.predict(x))
        assert all(embedding.owner is twin[0] for embedding in twin[0].embeddings)


def test_widths_of_neighbours_are_checked():
    with pytest.raises(ValueError, match=r"expects 6 features, but layer 0 .EmbedColumns. returns 7"):
        pynn.Sequential(pynn.EmbedColumns([0, 4, 0, 3], [2, 3]), pynn.Linear(6, 2))
    with pytest.raises(ValueError, match=r"EmbedColumns got an input of shape \(2, 3\); expected \(batch, 4\)"):
        network()(np.zeros((2, 3)))


def test_a_monitor_judges_no_table_as_a_weight_matrix():
    x, y = columns(200)
    monitor = pynn.Monitor(on_problem="silent")
    trainer = pynn.Trainer(network(), pynn.CrossEntropyLoss(), pynn.Adam(1e-2))
    trainer.fit(x, y, epochs=10, batch_size=20, callbacks=[monitor])
    assert np.isfinite(monitor.stats["0.EmbedColumns"]["std"]).all()
    assert [finding.symptom for finding in monitor.verdict if "Embed" in str(finding.layer)] == []


def test_new_initial_weights_leave_tables_alone():
    model = network()
    before = np.array(model[0].embeddings[0].weight)
    pynn.init.apply(model, "he_normal")
    np.testing.assert_array_equal(model[0].embeddings[0].weight, before)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: pynn.Embedding(2**24 + 1, 1), "at most 2..24"),
        (lambda: pynn.Embedding(4, 2, padding_idx=4), "padding_idx is 4; expected less than num_embeddings=4"),
        (lambda: pynn.EmbedColumns([0, 3], [2, 2]), "embedding_dims has 2 entries; expected 1"),
        (lambda: pynn.EmbedColumns([], 2), "the number of cardinalities is 0"),
        (lambda: pynn.EmbedColumns([-1], 2), "cardinalities is -1"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda x: ops.copy_columns(x, np.zeros((2, 3)), width=4), "expected at least 4 columns from 0"),
        (lambda x: ops.copy_columns(x, np.zeros((3, 3)), width=1), r"out has shape \(3, 3\); expected \(2, 3\)"),
        (lambda x: ops.copy_columns(x, x, width=1), "overlaps"),
        (lambda x: ops.embed(x, np.zeros((2, 2)), column=3), "expected at least 1 columns from 3"),
        (lambda x: ops.embed(x, np.zeros((2, 4)), np.zeros((2, 5)), out_start=2), "expected at least 4 columns from 2"),
    ],
)
def test_columns_that_do_not_exist_are_refused(call, said, backend):
    with pytest.raises(ValueError, match=said):
        call(np.zeros((2, 3)))


@pytest.mark.parametrize("target", [[[0.0, 0.0]], None, np.zeros(3)])
def test_a_target_that_is_no_array_of_two_dimensions_is_refused(target, backend):
    with pytest.raises(TypeError, match="is not an array of two dimensions"):
        ops.copy_columns(np.zeros((1, 2)), target, width=1)
    with pytest.raises(TypeError, match="dtable is not an array of two dimensions"):
        ops.embed_backward(np.zeros((1, 2)), np.zeros((1, 1)), target)


@pytest.mark.parametrize("where", ["x", "validation x"])
@pytest.mark.parametrize("make", [np.array, lambda x: x.astype(">f4")], ids=["array", "another dtype"])
def test_a_category_that_does_not_exist_is_named_before_training(where, make):
    x, y = columns()
    wrong = x.copy()
    wrong[57, 3] = 3
    parts = {"x": x, "validation x": x} | {where: wrong}
    trainer = pynn.Trainer(network(), pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    with pytest.raises(ValueError, match=f"^{where}: 3 in row 57, column 3 is no category: expected .* from 0 to 2$"):
        trainer.fit(make(parts["x"]), y, epochs=1, validation=(make(parts["validation x"]), y))
    assert trainer.steps == 0


@pytest.mark.parametrize(("shape", "place"), [((3, 4), "row 1, column 2"), ((3, 4, 2), r"row 1, place \[2, 1\]")])
def test_a_category_that_does_not_exist_is_named_where_it_stands(shape, place):
    x = np.zeros(shape)
    x[(1, 2, 1)[: len(shape)]] = 7
    model = pynn.Sequential(pynn.Embedding(4, 3))
    with pytest.raises(ValueError, match=f"7 in {place} is no category: expected a whole number from 0 to 3"):
        model(x)


def test_categories_of_a_mapped_file_are_checked_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "PART", 8)
    x, y = columns()
    x[57, 1] = 1.5
    np.save(tmp_path / "x.npy", x)
    trainer = pynn.Trainer(network(), pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    with pytest.raises(ValueError, match=r"x: 1\.5 in row 57, column 1 is no category"):
        trainer.fit(np.load(tmp_path / "x.npy", mmap_mode="r"), y, epochs=1)
