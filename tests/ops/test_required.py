"""Arrays that an op must be given, and numbers that it must be able to count with: None and nonsense are refused."""

import numpy as np
import pytest

from pynn import ops

pytestmark = pytest.mark.usefixtures("backend")

BOUNDS, RATES = np.array([[0, 3]]), np.array([[0.1, 0.0]])


def buffers(count):
    return [np.ones(3, np.float32) for _ in range(count)]


X, COLUMNS, LABELS = np.ones((2, 3), np.float32), np.ones(3, np.float32), np.zeros(2, int)
CALLS = {
    "unit_stats": (ops.unit_stats, (X, np.zeros((4, 3)))),
    "square_sum": (ops.square_sum, (X, np.zeros(1))),
    "one_signed": (ops.one_signed, (X, np.zeros(1))),
    "share_correct": (ops.share_correct, (X, LABELS, np.zeros(1))),
    "advance": (ops.advance, (np.zeros(2, np.uint64), 5)),
    "batch_norm": (ops.batch_norm, (X, COLUMNS, COLUMNS, COLUMNS + 0, COLUMNS + 0)),
    "batch_norm2d": (ops.batch_norm2d, (X[..., None], COLUMNS, COLUMNS, COLUMNS + 0, COLUMNS + 0)),
    "merge_statistics": (ops.merge_statistics, (np.ones((2, 2, 3)), np.ones(2), np.zeros(3), np.ones(3))),
    "merge_gradients": (lambda sums: ops.merge_gradients(sums, count=4), (np.ones((2, 2, 3)),)),
    "merged_input_gradient": (ops.merged_input_gradient, (X, X, *[COLUMNS] * 4, np.ones((2, 3), np.float32))),
    "copy_columns": (lambda source, out: ops.copy_columns(source, out, width=2), (X, X + 0)),
    "embed_backward": (ops.embed_backward, (X, np.zeros((2, 1), np.float32), X + 0)),
    "sgd": (lambda w, g, bounds, rates: ops.sgd(w, g, None, bounds, rates), (*buffers(2), BOUNDS, RATES)),
    "adagrad": (ops.adagrad, (*buffers(3), BOUNDS, RATES)),
    "rmsprop": (lambda w, g, s, b, r: ops.rmsprop(w, g, s, None, b, r), (*buffers(3), BOUNDS, RATES)),
    "adam": (lambda *arrays: ops.adam(*arrays, step=1), (*buffers(4), BOUNDS, RATES)),
    "add_penalty": (ops.add_penalty, (*buffers(2), BOUNDS)),
    "gradient_norm": (ops.gradient_norm, (COLUMNS,)),
    "clip_values": (lambda grad: ops.clip_values(grad, 1.0), (COLUMNS + 0,)),
    "clip_column_norms": (lambda weight: ops.clip_column_norms(weight, 1.0), (X + 0,)),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("nothing", [None, "x"])
def test_a_required_array_that_is_none_is_refused(name, nothing):
    op, arguments = CALLS[name]
    op(*arguments)
    for place in range(len(arguments)):
        if isinstance(arguments[place], np.ndarray):
            with pytest.raises((TypeError, ValueError)):
                op(*arguments[:place], nothing, *arguments[place + 1 :])


@pytest.mark.parametrize("index", [2**63, 10**30, -(2**63) - 1, np.inf, 1.5])
def test_an_ignore_index_that_no_label_can_be_is_refused(index):
    for op in (ops.softmax_cross_entropy, ops.count_correct):
        with pytest.raises(ValueError, match="ignore_index is"):
            op(X, LABELS, ignore_index=index)


@pytest.mark.parametrize("code", [-1, 99, 2**61, None])
def test_an_activation_that_does_not_exist_is_refused(code):
    with pytest.raises(ValueError, match="is not a valid ActivationCode"):
        ops.unit_stats(X, np.zeros((4, 3)), code=code)


def test_adam_takes_no_average_that_grows():
    with pytest.raises(ValueError, match="beta1 is -1"):
        ops.adam(*buffers(4), BOUNDS, RATES, step=2, beta1=-1)


IMAGES = np.ones((1, 1, 2, 2), np.float32)


@pytest.mark.parametrize("wrong", ["a", None, [1]])
@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("alpha", lambda wrong: ops.elu(X, wrong)),
        ("negative_slope", lambda wrong: ops.leaky_relu_backward(X, X, wrong)),
        ("min_val", lambda wrong: ops.hardtanh(X, wrong, 1.0)),
        ("p", lambda wrong: ops.dropout(X, wrong, (1, 0))),
        ("p", lambda wrong: ops.dropout2d(IMAGES, wrong, (1, 0))),
        ("draw", lambda wrong: ops.dropout(X, 0.5, wrong)),
        ("count", lambda wrong: ops.advance(np.zeros(2, np.uint64), wrong)),
        ("activation", lambda wrong: ops.matmul(X, X, trans_b=True, activation=wrong or 0)),
        ("the parameter of elu", lambda wrong: ops.matmul(X, X, trans_b=True, activation=("elu", wrong or ""))),
        ("momentum", lambda wrong: ops.batch_norm(X, *[COLUMNS + 0 for _ in range(4)], momentum=wrong)),
        ("momentum", lambda wrong: ops.batch_norm2d(IMAGES, *[COLUMNS[:1] + 0 for _ in range(4)], momentum=wrong)),
        ("eps", lambda wrong: ops.group_norm(X, 1, eps=wrong)),
        ("shape", lambda wrong: ops.layer_norm(X, wrong if wrong != [1] else [])),
        ("shape", lambda wrong: ops.rms_norm_backward(X, X, wrong if wrong != [1] else 3, None, X[:, :1])),
        ("shape", lambda wrong: ops.avg_pool2d_backward(IMAGES, wrong, 1)),
        ("shape", lambda wrong: ops.upsample_backward(IMAGES, wrong, scale_factor=1)),
        ("label_smoothing", lambda wrong: ops.softmax_cross_entropy(X, LABELS, label_smoothing=wrong)),
        ("gamma", lambda wrong: ops.softmax_cross_entropy(X, LABELS, gamma=wrong)),
        ("margin", lambda wrong: ops.multiclass_hinge(X, LABELS, margin=wrong)),
        ("pos_weight", lambda wrong: ops.bce_with_logits(X, X, pos_weight=wrong or "")),
        ("limit", lambda wrong: ops.clip_values(COLUMNS + 0, wrong)),
    ],
)
def test_an_argument_that_is_no_number_is_named(name, call, wrong):
    """Python's own errors said neither which argument was wrong nor what it takes."""
    with pytest.raises(ValueError, match=rf"^({name} is .*; expected|unknown activation)"):
        call(wrong)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("momentum", lambda: ops.batch_norm(X, *[COLUMNS + 0 for _ in range(4)], momentum=2.0)),
        ("gamma", lambda: ops.softmax_cross_entropy(X, LABELS, gamma=np.inf)),
        ("margin", lambda: ops.multiclass_hinge(X, LABELS, margin=np.nan)),
        ("pos_weight", lambda: ops.bce_with_logits(X, X, pos_weight=-1.0)),
        ("seed", lambda: ops.dropout(X, 0.5, (1.5, 0))),
    ],
)
def test_a_number_out_of_range_is_named(name, call):
    with pytest.raises(ValueError, match=f"^{name} is .*; expected"):
        call()
