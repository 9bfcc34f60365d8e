"""The answers that name each documented fault: symptoms, and checks before training.

Several can be right, as a fault has several names: a softmax over the wrong axis is found as outputs that do not fit
the loss, or as examples that depend on each other. An answer that only says that nothing is learnt names no cause,
unless nothing can be learnt.
"""

from __future__ import annotations

from typing import NamedTuple

from pynn.babysit.findings import SYMPTOMS
from pynn.babysit.preflight import OF_DATA, OF_NETWORK


class Answers(NamedTuple):
    """Symptoms and names of checks; a check also counts by its symptom."""

    symptoms: tuple[str, ...]
    checks: tuple[str, ...] = ()


TOO_FAST = Answers(("lr_too_high", "diverging", "oscillating"), ("learning rate",))
TOO_SLOW = Answers(("lr_too_low", "underfitting"), ("learning rate",))
INPUTS = Answers(("input_not_normalised",), ("input scale", "input centring"))
MISFIT = Answers((), ("network output",))
SHRINKS = Answers(("vanishing_gradient", "bad_initialisation"), ("gradient spread", "activation spread"))
GROWS = Answers(
    ("exploding_gradient", "bad_initialisation", "bad_initial_loss"),
    ("gradient spread", "activation spread", "initial loss"),
)
START = Answers(
    ("bad_initialisation", "symmetric_units", "bad_initial_loss"),
    ("activation spread", "symmetric units", "initial loss"),
)
#: By tag of the facts.
ACCEPTED: dict[str, Answers] = {
    "lr_too_high": TOO_FAST,
    "lr_too_low": TOO_SLOW,
    "optimizer_epsilon": TOO_FAST,
    "batch_size": TOO_FAST,
    "unstable_loss": TOO_FAST,
    "unnormalised_inputs": INPUTS,
    "double_normalisation": INPUTS,
    "unscaled_targets": Answers(("bad_initial_loss",), ("target scale", "initial loss")),
    "missing_regularisation": Answers(("overfitting",)),
    "over_regularisation": Answers(("regularisation_too_strong",), ("regularisation",)),
    "bad_init": START,
    "symmetric_init": Answers(("symmetric_units",), ("symmetric units",)),
    "corrupted_labels": Answers(("not_learning",), ("beats the baseline",)),
    "wrong_output_activation": Answers(("dead_units", "saturated_units"), MISFIT.checks),
    "softmax_single_unit": MISFIT,
    "redundant_softmax": Answers(("plateau",), MISFIT.checks),
    "wrong_softmax_axis": Answers((), (*MISFIT.checks, "batch independence")),
    "wrong_loss": Answers((), (*MISFIT.checks, "targets")),
    "shape_broadcast": Answers((), (*MISFIT.checks, "batch independence")),
    "wrong_loss_reduction": Answers(("bad_initial_loss", "lr_too_high"), ("loss reduction", "learning rate")),
    "wrong_hidden_activation": Answers((*SHRINKS.symptoms, "saturated_units"), (*SHRINKS.checks, "saturated units")),
    "vanishing_gradient": SHRINKS,
    "exploding_gradient": GROWS,
    "dying_relu": Answers(("dead_units", *SHRINKS.symptoms), ("dead units", *SHRINKS.checks)),
    "bad_architecture": Answers(("dead_units", *SHRINKS.symptoms), ("dead units", *SHRINKS.checks)),
    "flipped_gradient": Answers(
        ("diverging", "not_learning"), ("gradient check", "learning rate", "overfits a handful")
    ),
    "class_imbalance": Answers(("class_imbalance",), ("label balance",)),
    "wrong_augmentation": Answers(("underfitting", "input_not_normalised")),
    "missing_batchnorm": Answers((*SHRINKS.symptoms, *TOO_SLOW.symptoms), (*SHRINKS.checks, *TOO_SLOW.checks)),
    "labels_out_of_range": Answers((), ("targets",)),
    "frozen": Answers(("plateau",), ("one training step",)),
    "dropout_at_the_end": Answers((), MISFIT.checks),
    "numerical": Answers(("non_finite",), (*MISFIT.checks, "initial loss", "one training step")),
    "no_slope": Answers(
        ("vanishing_gradient", "not_learning", "plateau"), ("gradient spread", "gradient check", "overfits a handful")
    ),
    "wrong_gradient": Answers(("not_learning",), ("gradient check",)),
    "clipped": Answers((), ("learning rate",)),
    "optimizer_slow": TOO_SLOW,
    "missing_codes": Answers(("input_not_normalised", "bad_initial_loss"), ("input scale", "target scale")),
    "unshuffled": Answers(("oscillating",)),
    "validation_scale": Answers(("input_not_normalised",), ("validation scale",)),
    "nan_in_data": Answers(("non_finite",), ("data values",)),
    "empty_features": Answers(("input_not_normalised",), ("constant features",)),
    "wrong_layout": Answers((), ("image layout",)),
    "too_few_units": Answers(("underfitting",)),
    "missing_nonlinearity": Answers(("underfitting",), ("non-linearity",)),
    "too_few_epochs": TOO_SLOW,
    "decays_too_soon": Answers(("plateau", *TOO_SLOW.symptoms), TOO_SLOW.checks),
    "small_batch_norm": Answers(("batchnorm_mismatch",), ("training and inference",)),
    "batchnorm_inference": Answers(("batchnorm_mismatch",), ("training and inference",)),
    "constant_targets": Answers((), ("targets", "target scale")),
    "norm_of_one_value": Answers((*SHRINKS.symptoms, "dead_units"), (*SHRINKS.checks, "dead units", *MISFIT.checks)),
    "slow_average": Answers(("batchnorm_mismatch", "underfitting"), ("training and inference",)),
    "accumulated_gradients": Answers((*TOO_FAST.symptoms, "exploding_gradient")),
    "unregistered": Answers(("plateau", "underfitting")),
    "uneven_targets": Answers(("bad_initial_loss", "underfitting"), ("target scale",)),
    "restarted": Answers(("oscillating", "diverging", "underfitting")),
    "batch_taken_for_time": Answers(("underfitting",), ("batch independence",)),
    "leaking_target": Answers(("overfitting",), ("constant features",)),
    "too_few_examples": Answers(("overfitting", *TOO_SLOW.symptoms)),
    "noisy_inputs": Answers(INPUTS.symptoms, (*INPUTS.checks, "validation scale", "beats the baseline")),
    "overlapping_classes": Answers(("not_learning",), ("beats the baseline", "targets", "data values")),
    "missing_bias": Answers(("underfitting",)),
    "wrong_axis": Answers(("not_learning", "underfitting"), ("beats the baseline",)),
}


def answers_to(tags: list[str]) -> Answers:
    """Return the answers to any of the tags."""
    found = [ACCEPTED[tag] for tag in tags if tag in ACCEPTED]
    return Answers(
        tuple(dict.fromkeys(name for each in found for name in each.symptoms)),
        tuple(dict.fromkeys(name for each in found for name in each.checks)),
    )


def unknown() -> set[str]:
    """Return answers that are neither symptoms nor checks."""
    checks = {"data values", "targets", "one training step", *(name for name, _ in OF_DATA + OF_NETWORK)}
    wanted = [each for answers in ACCEPTED.values() for each in answers.checks]
    symptoms = [each for answers in ACCEPTED.values() for each in answers.symptoms]
    return set(wanted) - checks | set(symptoms) - set(SYMPTOMS)
