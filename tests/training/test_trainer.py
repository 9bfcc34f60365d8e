"""Steps and runs: agreement of backends, flat buffers, freezing, memory, determinism, faults in the data."""

import gc
import math
import threading
import tracemalloc

import numpy as np
import pytest

import pynn

BATCHES = np.random.default_rng(5)
X = BATCHES.normal(size=(96, 10))
Y = BATCHES.integers(3, size=96)


def network(dtype="float32", dropout=0.2):
    pynn.manual_seed(0)
    return pynn.Sequential(
        pynn.Linear(10, 20, init="he_normal", dtype=dtype),
        pynn.BatchNorm1d(20, dtype=dtype),
        pynn.ReLU(),
        pynn.Dropout(dropout),
        pynn.Linear(20, 12, dtype=dtype),
        pynn.BatchNorm1d(12, dtype=dtype),
        pynn.Tanh(),
        pynn.Linear(12, 3, dtype=dtype),
    )


def trained(steps, dtype="float32", optimizer=None, **options):
    trainer = pynn.Trainer(network(dtype), pynn.CrossEntropyLoss(), optimizer or pynn.Adam(0.003), **options)
    losses = [trainer.step(X[i % 3 :: 3], Y[i % 3 :: 3]) for i in range(steps)]
    return trainer, losses


@pytest.mark.parametrize(("dtype_name", "steps", "rtol"), [("float64", 50, 1e-9), ("float32", 20, 1e-4)])
def test_backends_agree(dtype_name, steps, rtol, backend):
    trainer, losses = trained(steps, dtype_name)
    with pynn.use_backend("numpy"):
        reference, expected = trained(steps, dtype_name)
    np.testing.assert_allclose(losses, expected, rtol=rtol)
    for (name, array), other in zip(
        trainer.model.state_dict().items(), reference.model.state_dict().values(), strict=True
    ):
        np.testing.assert_allclose(array, other, rtol=rtol, atol=rtol * np.abs(other).max(), err_msg=name)


def test_backends_drop_the_same_elements(backend):
    model = pynn.Sequential(pynn.Dropout(0.4)).train()
    masks = []
    for name in (backend, "numpy"):
        with pynn.use_backend(name):
            ctx = pynn.Context(training=True, random=pynn.nn.random.Stream(7, offset=123))
            masks.append(model.forward(np.ones((37, 41), dtype=np.float32), ctx))
    np.testing.assert_array_equal(*masks)


def gaps(flat):
    """Return a mask of the elements that belong to no parameter."""
    free = np.ones(flat.values.size, dtype=bool)
    for _, _, start, stop in flat.slots:
        free[start:stop] = False
    return free


@pytest.mark.parametrize("make", [lambda: pynn.SGD(0.1, 0.9, 0.1), pynn.Adam, pynn.AdamW, pynn.Adagrad, pynn.RMSprop])
def test_flat_buffers(make, backend, dtype):
    trainer, _ = trained(5, dtype, make(), clip_norm=1.0, clip_value=0.5, regularizers=[pynn.L1(0.1), pynn.MaxNorm(1)])
    flat = trainer.model.flat
    free = gaps(flat)
    assert free.any()
    for buffer in (flat.values, flat.grads, *trainer.optimizer.state.values()):
        assert buffer.ctypes.data % 64 == 0
        assert not buffer[free].any()
    for _, parameter in trainer.model.named_parameters():
        for view, whole in ((parameter.data, flat.values), (parameter.grad, flat.grads)):
            assert view.ctypes.data % 64 == 0
            assert view.flags.c_contiguous
            assert np.shares_memory(view, whole)
    assert sum(parameter.size for parameter in trainer.model.parameters()) == flat.values.size - free.sum()


def test_uniform_parameters_are_one_segment():
    model = pynn.Sequential(pynn.Linear(10, 7), pynn.Sequential(pynn.Linear(7, 5), pynn.Linear(5, 3)))
    optimizer = pynn.SGD(0.1, weight_decay=0.1)
    optimizer.bind(model.flat)
    np.testing.assert_array_equal(optimizer.bounds, [[0, model.flat.slots[-1][3]]])
    model[1][0].weight.lr_factor = 0.5
    assert len(optimizer.bounds) == 3
    model[1][0].weight.frozen = True
    assert len(optimizer.bounds) == 2
    assert len(model.flat.segments()[0]) == 5


def test_weight_decay_for_all_is_one_update_of_one_segment(monkeypatch):
    seen = []
    update = pynn.SGD.update
    monkeypatch.setattr(pynn.SGD, "update", lambda *args: (seen.append(len(args[2])), update(*args)))
    trained(1, optimizer=pynn.SGD(0.1, weight_decay=0.1))
    assert seen == [1]


@pytest.mark.parametrize("make", [lambda: pynn.SGD(0.1, 0.9, 0.1), lambda: pynn.AdamW(0.1), lambda: pynn.Adagrad(0.1)])
def test_frozen_layers_stay_as_they_are(make, backend):
    trainer = pynn.Trainer(network(), pynn.CrossEntropyLoss(), make(), regularizers=[pynn.L2(0.1), pynn.MaxNorm(0.1)])
    model = trainer.model
    model[0].freeze()
    model[1].freeze()
    model[4].weight.frozen = True
    before = model.state_dict()
    for _ in range(3):
        trainer.step(X, Y)
    kept = {name for name, array in model.state_dict().items() if (array == before[name]).all()}
    frozen = {"0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "4.weight"}
    assert kept - {"4.bias"} == frozen  # 4.bias stands before a batch norm and stays 0 or decays
    model[0].freeze(False)
    trainer.step(X, Y)
    assert (model[0].weight[...] != before["0.weight"]).any()


def test_a_frozen_batchnorm_uses_its_running_statistics(backend):
    model = pynn.Sequential(pynn.BatchNorm1d(10)).train()
    model[0].running_mean[...] = 3
    model[0].freeze()
    np.testing.assert_array_equal(model(X), model.eval()(X))
    assert (model[0].running_mean == 3).all()


def test_steps_after_the_first_allocate_nothing():
    with pynn.use_backend(pynn.available_backends()[0]):
        trainer = pynn.Trainer(network(), pynn.CrossEntropyLoss(), pynn.Adam(), clip_norm=1.0)
        x, y = X.astype(np.float32), Y.astype(np.int64)
        batches = [(x[:64], y[:64]), (x[64:], y[64:])]
        for _ in range(5):
            for batch in batches:
                trainer.step(*batch)
        gc.collect()
        tracemalloc.start()
        try:
            for batch in batches * 2:
                trainer.step(*batch)
            start = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            for _ in range(100):
                for batch in batches:
                    trainer.step(*batch)
            end, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert end - start < 1024
    assert peak - start < 5120  # Python objects of a moment; the smallest activation, 64 x 20 floats, has 5120 bytes


def test_the_same_seed_gives_the_same_run(backend):
    def run(seed):
        trainer = pynn.Trainer(network(), pynn.CrossEntropyLoss(), pynn.Adam(), seed=seed)
        history = trainer.fit(X, Y, epochs=2, batch_size=20)
        return history["loss"], trainer.model.state_dict()

    (losses, state), (again, same_state), (other, other_state) = run(1), run(1), run(2)
    assert losses == again
    assert all((state[name] == same_state[name]).all() for name in state)
    assert losses != other
    assert (state["0.weight"] != other_state["0.weight"]).any()


def test_shuffling_changes_from_epoch_to_epoch_and_covers_everything():
    seen = []

    def loss(prediction, target):
        seen.append(target.copy())
        return 0.0, np.zeros_like(prediction)

    trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(10, 1)), loss, pynn.SGD(0.0))
    trainer.fit(X, np.arange(96), epochs=2, batch_size=36)
    trainer.fit(X, np.arange(96), epochs=1, batch_size=36, shuffle=False)
    assert [len(part) for part in seen] == [36, 36, 24] * 3
    first, second, third = (np.concatenate(seen[i : i + 3]) for i in (0, 3, 6))
    assert (first != second).any()
    np.testing.assert_array_equal(np.sort(first), np.arange(96))
    np.testing.assert_array_equal(third, np.arange(96))


def test_a_single_example_left_over_is_skipped_before_batchnorm_only():
    counts = {}
    for name, layers in {"with": [pynn.BatchNorm1d(10)], "without": []}.items():
        model = pynn.Sequential(pynn.Sequential(*layers), pynn.Linear(10, 3))
        trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1))
        trainer.fit(X[:33], Y[:33], epochs=1, batch_size=16)
        counts[name] = trainer.steps
    assert counts == {"with": 2, "without": 3}


def test_the_history_adds_up():
    trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(10, 3)), pynn.CrossEntropyLoss(), pynn.SGD(0.0))
    history = trainer.fit(X, Y, epochs=1, batch_size=36, validation=(X[:10], Y[:10]))
    expected, held_out = trainer.evaluate(X, Y), trainer.evaluate(X[:10], Y[:10])
    assert math.isclose(history["loss"][0], expected["loss"], rel_tol=1e-6)
    assert history["accuracy"] == [expected["accuracy"]]
    assert (history["val_loss"], history["val_accuracy"]) == ([held_out["loss"]], [held_out["accuracy"]])
    again = trainer.fit(X, Y, epochs=2)
    assert again is history
    assert history.epoch == [1, 2, 3]
    assert math.isnan(history["val_loss"][2])
    assert history["lr"] == [0.0] * 3
    assert "loss" in history
    assert "3 epochs" in repr(history)
    with pytest.raises(KeyError, match=r"no column 'acc'.*accuracy"):
        history["acc"]


def test_sample_weights_in_fit(backend):
    weights = np.where(np.arange(96) < 48, 1.0, 0.0)
    models = []
    for data in ((X, Y, weights), (X[:48], Y[:48], None)):
        pynn.manual_seed(0)
        model = pynn.Sequential(pynn.Linear(10, 3, dtype="float64"))
        trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1))
        trainer.fit(data[0], data[1], sample_weight=data[2], epochs=5, batch_size=96)
        models.append(model)
    np.testing.assert_allclose(models[0][0].weight, models[1][0].weight, rtol=1e-10)


def test_preprocessing_is_fitted_on_the_training_part(rng):
    model = pynn.Sequential(pynn.Linear(10, 3))
    model.preprocessing = pynn.preprocessing.Standardize()
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    raw = 100 + 50 * X
    trainer.fit(raw[:64], Y[:64], epochs=3, validation=(raw[64:], Y[64:]))
    np.testing.assert_allclose(model.preprocessing.mean_, raw[:64].mean(axis=0), rtol=1e-9)
    expected = model(model.preprocessing.transform(raw))
    np.testing.assert_array_equal(model.predict(raw), expected)
    fitted = model.preprocessing.mean_.copy()
    trainer.fit(raw[64:], Y[64:], epochs=1)
    np.testing.assert_array_equal(model.preprocessing.mean_, fitted)


def test_two_threads_on_one_trainer(rng):
    entered, leave = threading.Event(), threading.Event()

    def loss(prediction, target):
        entered.set()
        leave.wait(20)
        return 0.0, np.zeros_like(prediction)

    trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(10, 1)), loss, pynn.SGD(0.1))
    thread = threading.Thread(target=trainer.fit, args=(X, Y), kwargs={"epochs": 2})
    thread.start()
    assert entered.wait(20)
    try:
        with pytest.raises(RuntimeError, match="one step at a time"):
            trainer.step(X, Y)
        with pytest.raises(RuntimeError, match="one step at a time"):
            trainer.fit(X, Y, epochs=7, batch_size=5)
    finally:
        leave.set()
        thread.join()
    assert (trainer.epoch, trainer.steps, trainer.target_epoch) == (2, 6, 2)


def test_two_trainers_in_two_threads_do_not_mix(backend):
    expected = [trained(30, optimizer=pynn.SGD(rate))[1] for rate in (0.1, 0.02)]
    trainers = [pynn.Trainer(network(), pynn.CrossEntropyLoss(), pynn.SGD(rate)) for rate in (0.1, 0.02)]
    results = [[], []]

    def work(which):
        results[which] += [trainers[which].step(X[i % 3 :: 3], Y[i % 3 :: 3]) for i in range(30)]

    threads = [threading.Thread(target=work, args=(which,)) for which in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_allclose(results, expected, rtol=1e-6)
