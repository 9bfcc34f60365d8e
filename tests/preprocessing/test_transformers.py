import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import decomposition
from sklearn import preprocessing as peers
from sklearn.base import clone
from transformer_cases import ON_IMAGES, ON_ROWS

from pynn import preprocessing
from pynn.preprocessing import (
    PCA,
    ZCA,
    Center,
    ChannelCenter,
    ChannelStandardize,
    MinMax,
    NotFittedError,
    PCAWhiten,
    Standardize,
)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Center(), peers.StandardScaler(with_std=False)),
        (Standardize(), peers.StandardScaler()),
        (MinMax(), peers.MinMaxScaler()),
        (MinMax((-3, 0.5), clip=True), peers.MinMaxScaler((-3, 0.5), clip=True)),
    ],
    ids=repr,
)
def test_scaling_agrees_with_scikit_learn(ours, theirs, rows):
    train, new = rows[:150], rows[150:] * 2
    np.testing.assert_allclose(ours.fit(train).transform(new), theirs.fit(train).transform(new), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kept", [None, 1, 4])
@pytest.mark.parametrize("whiten", [False, True])
def test_pca_agrees_with_scikit_learn_up_to_sign(rows, kept, whiten):
    ours = PCAWhiten(kept, eps=0.0) if whiten else PCA(kept)
    theirs = decomposition.PCA(kept, whiten=whiten)
    y, expected = ours.fit_transform(rows), theirs.fit_transform(rows)
    signs = np.sign((y * expected).sum(axis=0))
    np.testing.assert_allclose(y, expected * signs, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(ours.explained_variance_, theirs.explained_variance_, rtol=1e-9)
    np.testing.assert_allclose(ours.components_, theirs.components_ * signs[:, None], rtol=1e-9, atol=1e-9)


def test_the_largest_entry_of_each_axis_is_positive(rows):
    components = PCA().fit(rows).components_
    assert (components[np.arange(6), np.abs(components).argmax(axis=1)] > 0).all()


def test_mean_image_and_channel_statistics(images):
    np.testing.assert_allclose(Center().fit(images).mean_, images.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(ChannelCenter().fit(images).mean_, images.mean(axis=(0, 2, 3)), rtol=1e-12)
    channels = ChannelStandardize().fit(images)
    np.testing.assert_allclose(channels.var_, images.var(axis=(0, 2, 3)), rtol=1e-12)
    y = channels.transform(images)
    np.testing.assert_allclose(y.mean(axis=(0, 2, 3)), 0, atol=1e-12)
    np.testing.assert_allclose(y.std(axis=(0, 2, 3)), 1, rtol=1e-12)
    assert Center().fit(images).n_features_in_ == 24
    assert channels.n_features_in_ == 3


def test_channel_statistics_weigh_images_of_several_sizes_by_their_pixels(rng):
    small, large = rng.standard_normal((5, 2, 3, 3)), rng.standard_normal((4, 2, 6, 5)) + 4
    fitted = ChannelStandardize().fit(small).partial_fit(large)
    for c in range(2):
        pixels = np.concatenate([small[:, c].ravel(), large[:, c].ravel()])
        np.testing.assert_allclose([fitted.mean_[c], fitted.var_[c]], [pixels.mean(), pixels.var()], rtol=1e-12)
    assert fitted.transform(large[:, :, :1]).shape == (4, 2, 1, 5)


@pytest.mark.parametrize("transformer", ON_IMAGES, ids=repr)
@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(1, 39), unique=True, max_size=8), seed=st.integers(0, 1000))
def test_partial_fit_in_any_parts_equals_fit(transformer, cuts, seed):
    x = np.random.default_rng(seed).normal(100, 3, (40, 2, 2, 2))
    whole, parts = clone(transformer).fit(x), clone(transformer)
    for part in np.split(x, sorted(cuts)):
        parts.partial_fit(part)
    np.testing.assert_allclose(parts.transform(x), whole.transform(x), rtol=1e-8, atol=1e-8)
    assert parts.n_samples_seen_ == whole.n_samples_seen_


@pytest.mark.parametrize("transformer", ON_IMAGES, ids=repr)
def test_blocks_within_a_call_do_not_change_the_result(transformer, images, monkeypatch):
    whole = clone(transformer).fit(images)
    monkeypatch.setattr(preprocessing.base, "BLOCK_SIZE", 60)
    blocks = clone(transformer).fit(images)
    np.testing.assert_allclose(blocks.transform(images), whole.transform(images), rtol=1e-9, atol=1e-9)


def test_partial_fit_after_transform_updates_the_axes(rows):
    pca = PCA().fit(rows[:50])
    pca.transform(rows)
    pca.partial_fit(rows[50:])
    np.testing.assert_allclose(pca.components_, PCA().fit(rows).components_, atol=1e-9)


def test_a_copy_is_independent(rows):
    pca = PCA().fit(rows[:50])
    twin = copy.copy(pca).partial_fit(rows[50:])
    np.testing.assert_array_equal(pca.components_, PCA().fit(rows[:50]).components_)
    assert twin.n_samples_seen_ == 200


@pytest.mark.parametrize("transformer", ON_IMAGES, ids=repr)
def test_inverse_transform_restores_data_and_shape(transformer, images):
    transformer = clone(transformer).fit(images)
    restored = transformer.inverse_transform(transformer.transform(images))
    assert restored.shape == images.shape
    np.testing.assert_allclose(restored, images, rtol=1e-9)


def test_inverse_of_a_truncated_pca_is_the_projection(rows):
    pca = PCA(2).fit(rows)
    centred = rows - rows.mean(axis=0)
    expected = centred @ pca.components_.T @ pca.components_ + rows.mean(axis=0)
    np.testing.assert_allclose(pca.inverse_transform(pca.transform(rows)), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("transformer", [PCAWhiten(eps=0.0), ZCA(eps=0.0)], ids=repr)
def test_whitening_gives_identity_covariance(transformer, rows):
    y = clone(transformer).fit_transform(rows)
    np.testing.assert_allclose(np.cov(y, rowvar=False), np.eye(6), atol=1e-9)


def test_zca_is_the_symmetric_whitening(images):
    zca = ZCA(eps=0.1).fit(images)
    flat = images.reshape(50, -1)
    variance, vectors = np.linalg.eigh(np.cov(flat, rowvar=False))
    expected = (flat - flat.mean(axis=0)) @ (vectors / np.sqrt(variance + 0.1)) @ vectors.T
    np.testing.assert_allclose(zca.transform(images), expected.reshape(images.shape), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("transformer", [PCAWhiten(eps=0.0), ZCA(eps=0.0)], ids=repr)
def test_whitening_without_eps_drops_directions_without_variance(transformer, rng):
    x = rng.standard_normal((5, 12))  # rank 4 once centred
    transformer = clone(transformer).fit(x)
    y = transformer.transform(x)
    assert np.linalg.matrix_rank(np.cov(y, rowvar=False)) == 4
    assert np.abs(y).max() < 10
    np.testing.assert_allclose(transformer.inverse_transform(y), x, atol=1e-9)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e8 / 3, -3e-9, 1e25])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_constant_features_become_zero(value, dtype):
    x = np.full((10_007, 3), value, dtype)
    standardize = Standardize().fit(x).partial_fit(x[:100])
    np.testing.assert_array_equal(standardize.scale_, 1.0)
    np.testing.assert_array_equal(standardize.transform(x), 0)
    np.testing.assert_array_equal(Center().fit_transform(x), 0)
    np.testing.assert_array_equal(ChannelStandardize().fit_transform(np.full((9, 2, 7, 5), value, dtype)), 0)
    np.testing.assert_array_equal(MinMax((2, 5)).fit_transform(x), 2.0)


def test_a_large_mean_costs_no_precision(rng):
    spread = rng.standard_normal((5000, 2))
    fitted = Standardize().fit(spread + 1e8)
    np.testing.assert_allclose(fitted.var_, (spread + 1e8).var(axis=0), rtol=1e-12)
    x = (spread * 100 + 1e6).astype(np.float32)
    np.testing.assert_allclose(Standardize().fit_transform(x).std(axis=0), 1, rtol=1e-5)


def test_min_max_hits_its_ends_exactly_and_clips_only_if_told(rows):
    y = MinMax().fit_transform(rows)
    np.testing.assert_array_equal([y.min(axis=0), y.max(axis=0)], [np.zeros(6), np.ones(6)])
    assert MinMax().fit(rows).transform(rows * 9).max() > 1
    assert MinMax(clip=True).fit(rows).transform(rows * 9).max() == 1


@pytest.mark.parametrize("transformer", ON_IMAGES, ids=repr)
@pytest.mark.parametrize(
    ("given_type", "expected"),
    [
        (np.float32, np.float32),
        (np.float64, np.float64),
        (np.uint8, np.float32),
        (np.int64, np.float32),
        (np.float16, np.float32),
        (np.bool_, np.float32),
    ],
)
def test_types_of_results(transformer, given_type, expected, images):
    x = images.astype(given_type)
    transformer = clone(transformer).fit(x)
    y = transformer.transform(x)
    assert y.dtype == expected
    assert transformer.inverse_transform(y).dtype == expected
    reference = clone(transformer).fit(x.astype(np.float64)).transform(x.astype(np.float64))
    np.testing.assert_allclose(y, reference, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("transformer", ON_IMAGES, ids=repr)
@pytest.mark.parametrize("layout", ["F", "strided", "readonly"])
def test_any_layout_and_the_input_stays_as_it_is(transformer, layout, images):
    x = np.asfortranarray(images) if layout == "F" else np.repeat(images, 2, axis=0)[::2]
    x.flags.writeable = layout != "readonly"
    y = clone(transformer).fit_transform(x)
    np.testing.assert_allclose(y, clone(transformer).fit_transform(images), rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(x, images)
    assert not np.shares_memory(x, y)


@pytest.mark.parametrize("transformer", ON_IMAGES, ids=repr)
def test_an_empty_batch_can_be_transformed_but_not_fitted(transformer, images):
    fitted = clone(transformer).fit(images)
    y = fitted.transform(images[:0])
    assert y.shape == (0, *fitted.transform(images).shape[1:])
    assert fitted.inverse_transform(y).shape == (0, 3, 2, 4)
    for method in (fitted.fit, fitted.partial_fit):
        with pytest.raises(ValueError, match=r"\(0, 3, 2, 4\): it is empty"):
            method(images[:0])


@pytest.mark.parametrize("transformer", ON_IMAGES, ids=repr)
@pytest.mark.parametrize(("bad", "word"), [(np.nan, "a NaN"), (np.inf, "an infinite value")])
def test_non_finite_data_name_their_row_and_leave_the_fit_alone(transformer, bad, word, images):
    fitted = clone(transformer).fit(images)
    before = fitted.transform(images)
    broken = images.copy()
    broken[17, 1, 0, 2] = bad
    broken[30] = np.nan
    for method in (fitted.fit, fitted.partial_fit):
        with pytest.raises(ValueError, match=f"x has {word} in row 17;"):
            method(broken)
    np.testing.assert_array_equal(fitted.transform(images), before)


def test_a_nan_passes_through_transform(rows):
    rows = rows.copy()
    fitted = MinMax(clip=True).fit(rows)
    rows[3, 2] = np.nan
    assert np.isnan(fitted.transform(rows)).sum() == 1


@pytest.mark.parametrize("transformer", ON_IMAGES, ids=repr)
def test_use_before_fit(transformer, images):
    transformer = clone(transformer)
    for use in (transformer.transform, transformer.inverse_transform):
        with pytest.raises(NotFittedError, match=r"has not been fitted; call fit\(x\)"):
            use(images)
    with pytest.raises(NotFittedError):
        transformer.state()
    assert not hasattr(transformer, "n_features_in_")
    assert not hasattr(transformer, "components_")


@pytest.mark.parametrize("transformer", ON_ROWS, ids=repr)
def test_wrong_shapes_name_both(transformer, rows):
    transformer = clone(transformer).fit(rows)
    for use in (transformer.transform, transformer.inverse_transform, transformer.partial_fit):
        with pytest.raises(ValueError, match=r"\(200, 5\).*\(N, 6\)"):
            use(rows[:, :5])


@pytest.mark.parametrize("transformer", [ChannelCenter(), ChannelStandardize()], ids=repr)
def test_channel_transformers_want_images(transformer, rows, images):
    with pytest.raises(ValueError, match=r"\(200, 6\).*expects images \(N, C, H, W\)"):
        clone(transformer).fit(rows)
    fitted = clone(transformer).fit(images)
    for x in (images[:, :2], images[0]):
        with pytest.raises(ValueError, match=r"fitted to \(N, 3, H, W\)"):
            fitted.transform(x)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        ([1.0, 2.0], ValueError, r"shape \(2,\); expected one example per row"),
        (np.zeros((3, 0)), ValueError, "at least one feature per row"),
        ([["a"]], TypeError, "x has dtype <U1; expected real numbers"),
        ([[1j]], TypeError, "complex128"),
        ([[None]], ValueError, "x has a missing value, None, in row 0"),
    ],
)
def test_unusable_data(x, error, message):
    with pytest.raises(error, match=message):
        Center().fit(x)


@pytest.mark.parametrize("kind", [Center, Standardize, MinMax, PCA, ZCA])
def test_numbers_whose_squares_overflow_are_refused(kind):
    x = np.array([[1.0, 2.0], [3.0, -1e200], [2.0, 5.0]])
    fitted = kind().fit(x[[0, 2]])
    before = fitted.state()
    with pytest.raises(
        ValueError, match=r"x has 1e\+200 in row 1; float64 holds sums of squares .* 1e\+140: rescale x"
    ):
        fitted.partial_fit(x)
    for name, array in fitted.state().items():
        np.testing.assert_array_equal(array, before[name])
    large = kind().fit(x / 1e60)
    assert all(np.isfinite(array).all() for array in (*large.state().values(), large.transform(x / 1e60)))


@pytest.mark.parametrize(
    ("transformer", "error", "message"),
    [
        (Standardize(eps=-1), ValueError, "eps is -1"),
        (Standardize(eps="1"), TypeError, "eps is '1'"),
        (Standardize(limit=0), ValueError, "limit is 0; expected a positive number, or None"),
        (Standardize(limit="3"), TypeError, "limit is '3'"),
        (ZCA(eps=float("nan")), ValueError, "eps is nan; expected a finite"),
        (PCAWhiten(eps=True), TypeError, "eps is True"),
        (PCA(0), ValueError, "n_components is 0; expected at least 1"),
        (PCA(2.0), TypeError, r"n_components is 2.0; expected an int or None"),
        (PCA(7), ValueError, "n_components is 7, but the data have only 6 features"),
        (MinMax((1, 1)), ValueError, "lo < hi"),
        (MinMax(3), TypeError, r"feature_range is 3; expected a pair \(lo, hi\)"),
        (MinMax((0, "1")), TypeError, "an end of feature_range is '1'"),
        (MinMax((-1.7e308, 1)), ValueError, r"an end of feature_range is -1.7e\+308; expected at most 1e\+30 in size"),
        (MinMax(clip=1), TypeError, "clip is 1; expected True or False"),
    ],
    ids=repr,
)
def test_impossible_parameters_are_named_when_fitting(transformer, error, message, rows):
    with pytest.raises(error, match=message):
        transformer.fit(rows)


def test_a_limit_compresses_what_lies_far_out(rng):
    x = rng.standard_cauchy((500, 3))
    limited = Standardize(limit=3.0).fit(x)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    y = limited.transform(x)
    np.testing.assert_allclose(y, z / np.sqrt(1 + (z / 3) ** 2), rtol=1e-12)
    assert np.abs(limited.transform([[1e30, -1e30, 0.0]])).max() <= 3
    near = np.abs(z) < 10
    np.testing.assert_allclose(limited.inverse_transform(y)[near], x[near], rtol=1e-9, atol=1e-9)
    assert limited.inverse_transform([[3.0, -3.0, 0.0]])[0] == pytest.approx([np.inf, -np.inf, x[:, 2].mean()])


def test_a_covariance_needs_two_rows(rows):
    pca = PCA().fit(rows[:1])
    with pytest.raises(ValueError, match="needs at least two"):
        pca.transform(rows)
    assert pca.partial_fit(rows[1:]).transform(rows).shape == (200, 6)
