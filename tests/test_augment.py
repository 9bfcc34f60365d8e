"""Crops, flips and cutout against their definitions, pixel by pixel; what the trainer makes of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pynn
from pynn.augment import Cutout, RandomCrop, RandomHorizontalFlip

SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 3), st.integers(1, 9), st.integers(1, 9))


def images(shape, dtype=np.float32):
    """Return images whose pixels are all different, and none of them 0."""
    return np.arange(1, np.prod(shape) + 1).reshape(shape).astype(dtype)


@given(shape=SHAPES, padding=st.integers(1, 5), seed=st.integers(0, 99))
def test_a_crop_is_a_shift_with_zeros_from_outside(shape, padding, seed):
    x = images(shape)
    result = RandomCrop(padding)(x.copy(), np.random.default_rng(seed))
    assert (result.shape, result.dtype) == (x.shape, x.dtype)
    height, width = shape[2:]
    for image, cropped in zip(x, result, strict=True):
        padded = np.pad(image, ((0, 0), (padding, padding), (padding, padding)))
        places = [(top, left) for top in range(2 * padding + 1) for left in range(2 * padding + 1)]
        assert any(np.array_equal(cropped, padded[:, top : top + height, left : left + width]) for top, left in places)


def test_all_crops_are_equally_likely():
    x = images((20_000, 1, 1, 1))
    # Of 9 places one shows the only pixel.
    assert np.count_nonzero(RandomCrop(1)(x, np.random.default_rng(0))) == pytest.approx(20_000 / 9, rel=0.05)


@given(shape=SHAPES, p=st.sampled_from([0.0, 0.5, 1.0]), seed=st.integers(0, 99))
def test_a_flip_mirrors_whole_images(shape, p, seed):
    x = images(shape)
    result = RandomHorizontalFlip(p)(x.copy(), np.random.default_rng(seed))
    same = [np.array_equal(a, b) for a, b in zip(x, result, strict=True)]
    mirrored = [np.array_equal(a[..., ::-1], b) for a, b in zip(x, result, strict=True)]
    assert all(a or b for a, b in zip(same, mirrored, strict=True))
    assert all(mirrored) or p < 1
    assert all(same) or p > 0


@given(shape=SHAPES, length=st.integers(1, 12), seed=st.integers(0, 99))
def test_cutout_takes_one_square_around_a_pixel(shape, length, seed):
    x = images(shape)
    result = Cutout(length)(x.copy(), np.random.default_rng(seed))
    gone = result == 0
    np.testing.assert_array_equal(result[~gone], x[~gone])
    for image in gone:
        assert (image == image[0]).all()
        rows, columns = np.flatnonzero(image[0].any(axis=1)), np.flatnonzero(image[0].any(axis=0))
        assert image[0][np.ix_(rows, columns)].all()
        for covered, size in ((rows, shape[2]), (columns, shape[3])):
            assert 1 <= len(covered) <= length
            assert np.array_equal(covered, np.arange(covered[0], covered[0] + len(covered)))
            assert len(covered) == min(length, size) or 0 in covered or size - 1 in covered


@pytest.mark.parametrize("change", [RandomCrop(2), RandomHorizontalFlip(), Cutout(3)])
def test_the_same_numbers_make_the_same_change(change, dtype):
    x = images((8, 2, 6, 5), dtype)
    results = [change(x.copy(), np.random.default_rng(seed)) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(results[0], results[1])
    assert not np.array_equal(results[0], results[2])
    assert results[0].dtype == dtype


@pytest.mark.parametrize("change", [RandomCrop(2), RandomHorizontalFlip(), Cutout(3)])
def test_what_is_no_image_is_refused(change):
    with pytest.raises(ValueError, match=r"shape \(8, 64\); expected images, \(n, channels, height, width\)"):
        change(np.zeros((8, 64)), np.random.default_rng(0))


@pytest.mark.parametrize("make", [lambda: RandomCrop(0), lambda: RandomHorizontalFlip(1.5), lambda: Cutout(-1)])
def test_impossible_settings_are_refused(make):
    with pytest.raises(ValueError, match=r"is (0|1\.5|-1); expected"):
        make()


def trainer(seed=0):
    pynn.manual_seed(0)
    model = pynn.Sequential(pynn.Conv2d(2, 4, 3), pynn.ReLU(), pynn.Flatten(), pynn.Linear(4 * 16, 3))
    return pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.01), seed=seed)


X = np.random.default_rng(0).normal(size=(50, 2, 6, 6)).astype(np.float32)
Y = np.random.default_rng(1).integers(3, size=50)


class Kept(pynn.Callback):
    """Keep the inputs of every step."""

    def __init__(self):
        self.inputs = []

    def on_step_end(self, trainer):
        self.inputs.append(trainer.minibatch[0].copy())


def test_training_batches_alone_are_augmented_and_the_data_stay_as_they_are():
    before, kept, seen = X.copy(), Kept(), []

    def change(x, rng):
        seen.append(len(x))
        x[...] = rng.normal(size=x.shape)
        return x

    trainer().fit(X, Y, epochs=2, batch_size=20, validation=(X, Y), augment=[change], callbacks=[kept])
    np.testing.assert_array_equal(X, before)
    assert seen == [20, 20, 10] * 2
    assert len(np.unique(np.concatenate([x.ravel() for x in kept.inputs]))) > 2 * X.size * 0.9


def test_changes_are_made_one_after_the_other():
    kept = Kept()
    changes = [lambda x, rng: x * 2, lambda x, rng: x + 1]
    trainer().fit(X, Y, epochs=1, batch_size=50, shuffle=False, augment=changes, callbacks=[kept])
    np.testing.assert_array_equal(kept.inputs[0], X * 2 + 1)


def test_random_numbers_follow_from_seed_epoch_and_batch():
    runs = []
    for seed in (0, 0, 1):
        kept = Kept()
        trainer(seed).fit(np.zeros_like(X), Y, epochs=2, batch_size=25, augment=_noise, callbacks=[kept])
        runs.append(np.array(kept.inputs))
    np.testing.assert_array_equal(runs[0], runs[1])
    everything = np.concatenate([runs[0].ravel(), runs[2].ravel()])
    assert len(np.unique(everything)) > 0.99 * everything.size


def _noise(x, rng):
    return x + rng.normal(size=x.shape).astype(x.dtype)


@pytest.mark.parametrize(
    ("augment", "error", "message"),
    [
        ([RandomCrop], TypeError, r"write RandomCrop\(\)"),
        (["flip"], TypeError, "augment has 'flip'; expected augmentations from pynn.augment"),
        ([lambda x, rng: x[:, :, 1:]], ValueError, r"returned float32 of shape \(20, 2, 5, 6\) for a batch; expected"),
        ([lambda x, rng: x.astype(np.float64)], ValueError, "returned float64 of shape"),
        ([lambda x, rng: None], ValueError, "returned None for a batch"),
    ],
)
def test_what_does_not_fit_is_refused(augment, error, message):
    with pytest.raises(error, match=message):
        trainer().fit(X, Y, epochs=1, batch_size=20, augment=augment)
