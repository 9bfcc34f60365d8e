"""Where batches come from: mapped files, functions, iterators; made ahead in a thread or not; in bounded memory."""

import tracemalloc

import numpy as np
import pytest
from image_runs import AUGMENT, AtStep, X, Y, assert_same, fitted, new_trainer

import pynn
from pynn.preprocessing import PCA, Center, ChannelStandardize, Pipeline, Standardize


@pytest.fixture
def mapped(tmp_path):
    """Return a function that writes an array to a file and maps it into memory."""

    def map_array(array, name="x.npy"):
        np.save(tmp_path / name, array)
        return np.load(tmp_path / name, mmap_mode="r")

    return map_array


# Mapped files


@pytest.mark.parametrize("augment", [(), AUGMENT])
def test_a_mapped_file_trains_as_the_array_does(mapped, augment):
    part = {"validation": (X[:30], Y[:30]), "augment": augment}
    from_file = fitted(mapped(X), mapped(Y, "y.npy"), validation=(mapped(X[:30], "v.npy"), Y[:30]), augment=augment)
    in_memory = fitted(**part)
    assert_same(from_file, in_memory)
    assert from_file.history["val_loss"] == in_memory.history["val_loss"]
    assert from_file.evaluate(mapped(X), Y) == in_memory.evaluate(X, Y)
    np.testing.assert_array_equal(from_file.model.predict(mapped(X)), in_memory.model.predict(X))


@pytest.mark.parametrize("change", [np.asfortranarray, lambda x: x.astype(">f4"), lambda x: x.astype(np.float64)])
def test_files_of_any_layout_train_alike(mapped, change):
    assert_same(fitted(mapped(change(X))), fitted(change(X)))


def test_raw_memory_maps_and_their_parts_train_alike(tmp_path):
    X.tofile(tmp_path / "x.bin")
    raw = np.memmap(tmp_path / "x.bin", np.uint8, "r").reshape(X.shape)
    assert_same(fitted(raw[10:80:2], Y[10:80:2]), fitted(X[10:80:2], Y[10:80:2]))


def test_large_arrays_are_prepared_batch_by_batch(monkeypatch):
    whole = fitted()
    monkeypatch.setattr("pynn.preprocessing.base.LARGEST_COPY", 1000)
    assert_same(fitted(), whole)


def test_a_mapped_file_is_not_read_into_memory(mapped):
    count = 6000  # 4.6 MB of bytes, 18.4 MB of floats
    x = mapped(np.random.default_rng(0).integers(0, 256, size=(count, 3, 16, 16), dtype=np.uint8))
    y = np.zeros(count, np.int64)
    pynn.manual_seed(0)
    model = pynn.Sequential(pynn.Flatten(), pynn.Linear(768, 4))
    model.preprocessing = Pipeline([ChannelStandardize(), Center()])
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.01))
    tracemalloc.start()
    trainer.fit(x, y, epochs=1, batch_size=32, augment=AUGMENT)
    trainer.evaluate(x, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    model.predict(x)
    predicting = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    # The largest part is 1024 images as floats, 3.1 MB, while the pipeline is fitted; the whole would be 18.4 MB.
    assert peak < 8e6
    assert predicting < 4e6


def test_a_pipeline_is_fitted_part_by_part_as_it_is_on_the_whole(monkeypatch):
    x = np.random.default_rng(0).normal(size=(3000, 6)).astype(np.float32)
    make = lambda: Pipeline([Center(), Standardize(), PCA(4)])  # noqa: E731
    whole = make().fit(x)
    monkeypatch.setattr("pynn.preprocessing.base.LARGEST_COPY", 100)
    parts = make().fit(np.ones((5, 6))).fit(x)  # what was learnt before is forgotten
    for name, array in whole.state().items():
        np.testing.assert_allclose(parts.state()[name], array, rtol=1e-6, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("preprocessing", [None, ChannelStandardize])
def test_a_nan_in_a_file_is_found_before_training(mapped, preprocessing):
    x = X.astype(np.float32)
    x[71, 2, 0, 5] = np.nan
    trainer = new_trainer(preprocessing)
    before = trainer.model.state_dict()
    with pytest.raises(ValueError, match="x has a NaN in row 71"):
        trainer.fit(mapped(x), Y, epochs=1)
    for name, array in trainer.model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_a_file_of_numbers_too_large_for_the_network_is_refused(mapped):
    x = X.astype(np.float64)
    x[80, 1, 1, 1] = 1e300
    with pytest.raises(ValueError, match="x as float32 has an infinity in row 80"):
        new_trainer(None).fit(mapped(x), Y, epochs=1)


def test_a_monitored_run_on_a_file(mapped):
    monitor = pynn.Monitor(on_problem="silent")
    trainer = fitted(mapped(X), validation=(mapped(X, "v.npy"), Y), callbacks=[monitor], augment=AUGMENT)
    assert len(monitor.stats.steps) == trainer.steps


class Seen(pynn.Layer):
    """Note how many examples come at a time."""

    def __init__(self):
        super().__init__()
        self.rows = []

    def forward(self, x, ctx):
        self.rows.append(len(x))
        return x


@pytest.mark.parametrize(
    ("shape", "batch_size", "rows"),
    [((3, 32, 32), None, [85, 15]), ((3, 32, 32), 60, [60, 40]), ((3072,), None, [100]), ((1, 8, 8), None, [100])],
)
def test_images_are_inferred_in_smaller_batches(shape, batch_size, rows):
    model = pynn.Sequential(Seen(), pynn.Flatten())
    model.predict(np.zeros((100, *shape), np.uint8), batch_size)
    assert model[0].rows == rows


# Batches of the user's own


def batches(epoch, size=16):
    """Return the batches of X as floats, in another order every epoch."""
    order = np.random.default_rng(epoch).permutation(len(X))
    for start in range(0, len(X), size):
        rows = order[start : start + size]
        yield X[rows], Y[rows]


class Minibatches(pynn.Callback):
    """Copies of the minibatches that a run trained on."""

    def __init__(self):
        self.x, self.y = [], []

    def on_step_end(self, trainer):
        x, y = trainer.minibatch
        self.x.append(x.copy())
        self.y.append(y.copy())


@pytest.mark.parametrize("features", [3, 5000])
def test_minibatches_are_the_rows_of_a_permutation_in_order(features):
    """Small minibatches are gathered several at a time, those of 5000 columns one by one; a run may begin at any."""
    examples, size = 101, 8
    x = np.arange(examples, dtype=np.float32)[:, None] * np.ones(features, np.float32)
    model = pynn.Sequential(pynn.Linear(features, 2, init="zeros"))
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(lr=0.0), seed=3)
    seen = Minibatches()
    y = np.arange(examples) % 2
    trainer.fit(x, y, epochs=2, batch_size=size, callbacks=[seen, AtStep(5, pynn.Trainer.stop)])
    trainer.fit(x, y, batch_size=size, callbacks=[seen])
    rows = np.concatenate([np.random.default_rng([3, epoch]).permutation(examples) for epoch in (0, 1)])
    assert [len(y) for y in seen.y] == [*[size] * 12, 5] * 2
    np.testing.assert_array_equal(np.concatenate(seen.x)[:, -1], rows)
    np.testing.assert_array_equal(np.concatenate(seen.y), rows % 2)


def test_functions_and_lists_give_what_arrays_give():
    from_list = new_trainer()
    from_list.model.preprocessing.fit(X)
    parts = [(X[i : i + 16], Y[i : i + 16]) for i in range(0, 90, 16)]
    from_list.fit(parts, epochs=3)
    assert_same(from_list, fitted(shuffle=False))
    assert from_list.history.epoch == [1, 2, 3]
    from_function = new_trainer()
    from_function.model.preprocessing.fit(X)
    from_function.fit(lambda epoch: parts, epochs=3)
    assert_same(from_function, from_list)


def test_weights_come_as_third_part():
    weights = np.linspace(0.1, 2, 90)
    given, whole = new_trainer(None), new_trainer(None)
    given.fit([(X[i : i + 30], Y[i : i + 30], weights[i : i + 30]) for i in (0, 30, 60)], epochs=2)
    whole.fit(X, Y, sample_weight=weights, shuffle=False, batch_size=30, epochs=2)
    assert_same(given, whole)


def test_arrays_that_a_generator_uses_again_are_safe():
    def again(epoch):
        x = np.empty((30, 3, 8, 8), np.float32)
        for i in (0, 30, 60):
            x[...] = X[i : i + 30]
            yield x, Y[i : i + 30]
            x[...] = np.nan

    given, whole = new_trainer(None), new_trainer(None)
    given.fit(again, epochs=3)
    whole.fit(X, Y, shuffle=False, batch_size=30, epochs=3)
    assert_same(given, whole)


def _without_epoch():
    return list(batches(0))


def endless():
    epoch = 0
    while True:
        yield from batches(epoch)
        epoch += 1


def test_an_endless_iterator_is_cut_into_epochs():
    iterator, trainer = endless(), new_trainer(None)
    trainer.fit(iterator, epochs=2, steps_per_epoch=4)
    trainer.fit(iterator, epochs=1, steps_per_epoch=4)
    assert trainer.steps == 12
    function = new_trainer(None)
    function.fit(lambda epoch: list(batches(0))[:4] if epoch == 0 else _from(epoch), epochs=3)
    assert_same(trainer, function)


def _from(epoch):
    every = [*batches(0), *batches(1)]
    return every[4 * epoch : 4 * epoch + 4]


def test_an_endless_function_gives_the_first_batches_of_every_epoch():
    trainer = new_trainer(None)
    trainer.fit(lambda epoch: endless(), epochs=2, steps_per_epoch=3)
    assert (trainer.steps, trainer.batches_per_epoch) == (6, 3)


@pytest.mark.parametrize(
    ("x", "options", "error", "message"),
    [
        (batches(0), {"epochs": 2}, ValueError, "iterator, which can be read only once, but 2 epochs"),
        (batches, {"epochs": 1, "batch_size": 8}, ValueError, "batch_size needs arrays x and y"),
        (batches, {"epochs": 1, "shuffle": False}, ValueError, "shuffle needs arrays x and y"),
        (batches, {"epochs": 1, "steps_per_epoch": 9}, ValueError, "epoch 1 has 6 batches; steps_per_epoch is 9"),
        ([], {"epochs": 1}, ValueError, "epoch 1 has 0 batches; expected at least one"),
        (_without_epoch, {"epochs": 1}, TypeError, r"must take one argument, the epoch number.*def batches\(epoch\)"),
        (X, {"epochs": 1}, TypeError, "y is missing.*x is an array"),
        (7, {"epochs": 1}, TypeError, "x is a int, and y is missing"),
        ([X], {"epochs": 1}, ValueError, r"batch 1 of epoch 1: got a ndarray; expected \(x, y\) or \(x, y, w"),
        ([(X, Y), (X,)], {"epochs": 1}, ValueError, "batch 2 of epoch 1: got a tuple of 1"),
        ([(X, Y[1:])], {"epochs": 1}, ValueError, "batch 1 of epoch 1: x has 90 rows and batch 1 of epoch 1: y has 89"),
        ([(X, Y + 1)], {"epochs": 1}, ValueError, "batch 1 of epoch 1: target 4 in row"),
        ([(X, Y * 0.5)], {"epochs": 1}, ValueError, "batch 1 of epoch 1: target 0.5 in row \\d+"),
        ([(X[:0], Y[:0])], {"epochs": 1}, ValueError, "batch 1 of epoch 1: x is empty"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(x, options, error, message):
    with pytest.raises(error, match=message):
        new_trainer(None).fit(x, **options)


def test_steps_per_epoch_is_not_for_arrays():
    with pytest.raises(ValueError, match="steps_per_epoch needs batches without y"):
        new_trainer(None).fit(X, Y, epochs=1, steps_per_epoch=3)


def test_a_preprocessing_must_be_fitted_before():
    with pytest.raises(ValueError, match=r"ChannelStandardize\(.*\), is not fitted"):
        new_trainer().fit(batches, epochs=1)


def test_an_error_of_the_users_code_comes_out():
    def broken(epoch):
        yield X, Y
        raise ZeroDivisionError("of my own")

    with pytest.raises(ZeroDivisionError, match="of my own"):
        new_trainer(None).fit(broken, epochs=1)


def test_a_monitor_and_a_progress_bar_take_batches_of_unknown_number(capsys):
    monitor = pynn.Monitor(on_problem="silent")
    trainer = new_trainer(None)
    trainer.fit(batches, epochs=2, callbacks=[monitor], validation=(X, Y), progress=True)
    assert len(monitor.stats.steps) == trainer.steps == 12
    assert "epoch 2/2" in capsys.readouterr().err


# Continuing


SOURCES = {
    "array": lambda trainer, **run: trainer.fit(X, Y, augment=AUGMENT, **run),
    "function": lambda trainer, **run: trainer.fit(batches, augment=AUGMENT, **run),
    "list": lambda trainer, **run: trainer.fit(list(batches(0)), augment=AUGMENT, **run),
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("stop", [1, 5, 6, 8])
def test_a_resumed_run_equals_one_that_was_not_interrupted(source, stop, tmp_path):
    run = SOURCES[source]
    whole, part = new_trainer(None), new_trainer(None)
    run(whole, epochs=3)
    run(part, epochs=3, callbacks=[AtStep(stop, pynn.Trainer.stop)])
    assert part.steps == stop
    part.save(tmp_path / "run.ckpt")
    part = pynn.Trainer.resume(tmp_path / "run.ckpt")
    run(part)
    assert_same(whole, part)
    assert whole.last_loss == part.last_loss


def test_a_run_with_augmentation_is_finished_with_it():
    trainer = fitted(augment=AUGMENT, callbacks=[AtStep(2, pynn.Trainer.stop)])
    for augment, given in (((), r"\[\]"), (AUGMENT[:1], r"\[RandomCrop\(padding=1\)\]")):
        with pytest.raises(ValueError, match=rf"has augment=\[RandomCrop.*, RandomHorizontalFlip.*\]; got {given}"):
            trainer.fit(X, Y, augment=augment)


def test_an_iterator_goes_on_one_batch_further():
    seen = []

    def numbered():
        for index in range(100):
            seen.append(index)
            yield X[:8] + np.uint8(index), Y[:8]

    iterator, trainer = numbered(), new_trainer(None)
    trainer.fit(iterator, epochs=2, steps_per_epoch=5, callbacks=[AtStep(3, pynn.Trainer.stop)])
    trainer.fit(iterator)
    assert trainer.steps == 10
    assert len(seen) in (10, 11)
