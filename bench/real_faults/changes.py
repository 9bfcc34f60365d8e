"""What the documented faults of TheDeepChecker's programs change in their three clean networks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

import pynn

from . import data, own_code
from .plan import Plan, scaled_inputs

Change = Callable[[Plan], None]
CHANGES: dict[str, Change] = {}
#: Rows that the thinned classes 0 to 5 keep, in percent of a tenth of all rows.
KEPT = (1, 1, 2, 3, 4, 5)


def changes(*cases: str) -> Callable[[Change], Change]:
    """Return a decorator that registers a change of the plan for these cases; "tdc_" is left out of their names."""

    def register(change: Change) -> Change:
        CHANGES.update({f"tdc_{case}": change for case in cases})
        return change

    return register


@changes("base_high_lr")
def wider(plan: Plan) -> None:
    """Widen the dense layer; the rate is in the facts."""
    next(layer for layer in plan.layers if layer["type"] == "dense")["units"] = 1024


@changes("regr_miss_norm")
def raw_table(plan: Plan) -> None:
    """Leave the columns unscaled."""
    raw = data.auto_mpg()
    plan.split = plan.split._replace(x=raw.x, xv=raw.xv)


@changes("base_miss_norm", "deep_miss_norm")
def raw_pixels(plan: Plan) -> None:
    """Leave the pixels at 0 to 255."""
    plan.split = scaled_inputs(plan.split, 255)


@changes("regr_dbl_norm")
def scaled_twice(plan: Plan) -> None:
    """Divide the columns by their ranges twice."""
    _, span = data.spans(data.auto_mpg())
    plan.split = plan.split._replace(
        x=(plan.split.x / span).astype(np.float32), xv=(plan.split.xv / span).astype(np.float32)
    )


@changes("base_dbl_norm")
def divided_twice(plan: Plan) -> None:
    """Divide the pixels by 255 twice."""
    plan.split = scaled_inputs(plan.split, 1 / 255)


@changes("regr_over_scaled_outputs")
def targets_times_ten(plan: Plan) -> None:
    """Predict ten times the miles per gallon, unscaled."""
    raw = data.auto_mpg()
    plan.split = plan.split._replace(y=10 * raw.y, yv=10 * raw.yv)


@changes("regr_miss_reg", "base_miss_reg")
def no_penalty(plan: Plan) -> None:
    """Make the penalty so small that it does nothing."""
    plan.penalty = 1e-12


@changes("regr_over_reg", "base_over_reg")
def strong_penalty(plan: Plan) -> None:
    """Raise the coefficient of the squared weights to 0.1."""
    plan.penalty = 0.1


@changes("base_const_init", "deep_const_init")
def constant_weights(plan: Plan) -> None:
    """Start all weights at 0.01."""
    plan.init = plan.last_init = partial(pynn.init.constant, value=0.01)


@changes("base_random_init")
def normal_weights(plan: Plan) -> None:
    """Draw all weights from N(0, 0.1^2)."""
    plan.init = plan.last_init = partial(pynn.init.normal, std=0.1)


@changes("deep_random_init")
def large_normal_weights(plan: Plan) -> None:
    """Draw all weights from N(0, 0.25^2)."""
    plan.init = plan.last_init = partial(pynn.init.normal, std=0.25)


@changes("regr_wrong_labels", "base_wrong_labels")
def shuffled_apart(plan: Plan) -> None:
    """Shuffle the inputs without the targets, before training and before each epoch."""
    x = plan.split.x.copy()
    shuffling = own_code.ShufflesInputs(x, 0)
    shuffling.rng.shuffle(x)
    plan.split, plan.callbacks = plan.split._replace(x=x), [shuffling]


@changes("regr_softmax_out")
def softmax_of_one(plan: Plan) -> None:
    """Apply a softmax to the only output."""
    plan.penalty = 0.0


@changes("regr_sigmoid_out")
def sigmoid_for_signed(plan: Plan) -> None:
    """Scale the targets to [-1, 1], and end in a sigmoid."""
    plan.split = plan.split._replace(y=2 * plan.split.y - 1, yv=2 * plan.split.yv - 1)


@changes("regr_sum_loss")
def summed_squares(plan: Plan) -> None:
    """Sum the squared errors over the batch; ten times the miles per gallon, unscaled."""
    targets_times_ten(plan)
    plan.loss = own_code.sum_of_squares


@changes("regr_broadcast_loss")
def broadcast(plan: Plan) -> None:
    """Compare predictions (n, 1) with targets (n,)."""
    plan.split = plan.split._replace(y=plan.split.y[:, 0], yv=plan.split.yv[:, 0])
    plan.loss = own_code.broadcast_squares


@changes("regr_ce_loss")
def cross_entropy_of_values(plan: Plan) -> None:
    """Use a cross-entropy of clipped linear outputs for a regression."""
    plan.loss = own_code.log_of_clipped(1e-10, mean=False)


@changes("regr_flip_sign", "base_flip_sign")
def gradient_ascent(plan: Plan) -> None:
    """Negate the gradient."""
    ascending = own_code.AscendingAdam if isinstance(plan.optimizer, pynn.Adam) else own_code.AscendingSGD
    plan.optimizer = ascending(plan.optimizer.lr)


@changes("base_miss_softmax")
def log_of_logits(plan: Plan) -> None:
    """Take the logarithm of clipped logits, without a softmax."""
    plan.loss, plan.one_hot = own_code.log_of_clipped(1e-32), True


@changes("base_red_softmax", "deep_red_softmax")
def softmax_twice(plan: Plan) -> None:
    """End in a softmax before a loss that applies its own."""
    plan.tail = [pynn.Softmax()]


@changes("base_softmax_axis")
def softmax_over_batch(plan: Plan) -> None:
    """Apply the softmax over the examples of the batch."""
    plan.tail, plan.loss, plan.one_hot = [own_code.SoftmaxOverBatch()], own_code.log_of_clipped(1e-10), True


@changes("base_hidden_softmax", "deep_hidden_softmax")
def hidden_softmax(plan: Plan) -> None:
    """Use softmax, over units or channels, instead of ReLU."""
    for layer in plan.layers:
        if layer.get("act") == "relu":
            layer["act"] = "softmax"


@changes("base_unbalanced")
def few_of_some_classes(plan: Plan) -> None:
    """Keep 1% to 5% of the rows of the classes 0 to 5."""
    x, y = plan.split.x, plan.split.y
    most = [KEPT[label] * len(y) // 1000 if label < len(KEPT) else len(y) for label in range(10)]
    rows = np.sort(np.concatenate([np.flatnonzero(y == label)[:count] for label, count in enumerate(most)]))
    plan.split = plan.split._replace(x=x[rows], y=y[rows])


@changes("base_augment")
def destroyed_images(plan: Plan) -> None:
    """Add noise to the images and erase most of each."""
    plan.augment = [own_code.noise_and_erasing]


@changes("base_mse_loss")
def squares_of_softmax(plan: Plan) -> None:
    """Use squared errors of a softmax against one-hot targets."""
    plan.tail, plan.loss, plan.one_hot = [pynn.Softmax()], pynn.MSELoss(), True


@changes("base_sum_loss")
def summed_cross_entropy(plan: Plan) -> None:
    """Sum the cross-entropies over the batch."""
    plan.loss = pynn.CrossEntropyLoss(reduction="sum")


@changes("base_loss_axis")
def reduced_over_wrong_axis(plan: Plan) -> None:
    """Sum the cross-entropy over the batch, and average over the classes."""
    plan.tail, plan.loss, plan.one_hot = [pynn.Softmax()], own_code.cross_entropy_over_wrong_axis, True


@changes("deep_miss_batchnorm")
def no_batch_norm(plan: Plan) -> None:
    """Leave out the batch norms; the convolutions get biases."""
    plan.layers = [{**layer, "bias": True} for layer in plan.layers if layer["type"] != "batchnorm"]


@changes("deep_miss_infer_batchnorm")
def frozen_averages(plan: Plan) -> None:
    """Never update the running statistics."""
    plan.norm_momentum = 0.0


@changes("deep_miss_reg")
def no_batch_norm_no_dropout(plan: Plan) -> None:
    """Leave out batch norms and dropouts."""
    no_batch_norm(plan)
    plan.layers = [layer for layer in plan.layers if layer["type"] != "dropout"]


@changes("deep_over_reg")
def much_dropout(plan: Plan) -> None:
    """Drop half of the outputs of every block."""
    for layer in plan.layers:
        if layer["type"] == "dropout":
            layer["rate"] = 0.5
