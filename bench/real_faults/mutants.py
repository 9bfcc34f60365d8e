"""Mutants of the programs of `ordinary`: the operators of DeepCrime and DeepMutation, which mimic real faults.

Humbatova, Jahangirova and Tonella (2021) drew DeepCrime's operators from studies of real faults; Ma et al. (2018) have
further ones on data and layers. `OPERATORS` says what each changes, and the documented causes that name it. They were
settled, and the strengths chosen, before preflight and monitor saw a mutant; whether it does harm was looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import pynn

from .mutations import (
    Blocked,
    Change,
    activation,
    at_the_end,
    batch,
    both,
    constant,
    dense,
    dropout,
    epochs,
    fewer,
    in_order,
    instead,
    loss,
    noisy,
    normal,
    optimizer,
    overlapping,
    rarer,
    rate,
    repeated,
    setting,
    softmax,
    uniform,
    validation,
    weights,
    whole,
    without_biases,
    wrong_labels,
)
from .own_code import Exponential

#: What an operator changes, and the tags of `accepted.ACCEPTED` that name it.
OPERATORS: dict[str, tuple[str, tuple[str, ...]]] = {
    "TCL": ("wrong labels for some training examples", ("corrupted_labels",)),
    "TRD": ("training examples removed", ("too_few_examples",)),
    "TUD": ("some classes made rare", ("class_imbalance",)),
    "TAN": ("noise added to the training inputs", ("noisy_inputs",)),
    "TCO": ("examples of one class repeated with the label of another", ("overlapping_classes",)),
    "HBS-": ("smaller batches", ("batch_size", "small_batch_norm")),
    "HBS+": ("larger batches", ("too_few_epochs",)),
    "HDB": ("all examples in one batch", ("too_few_epochs",)),
    "HLR+": ("a higher learning rate", ("lr_too_high", "dying_relu")),
    "HLR-": ("a lower learning rate", ("lr_too_low",)),
    "HNE": ("fewer epochs", ("too_few_epochs",)),
    "ACH": ("another activation", ("wrong_hidden_activation", "vanishing_gradient")),
    "ARM": ("activations removed", ("missing_nonlinearity",)),
    "AAL": ("an activation after the last layer", ("wrong_output_activation", "redundant_softmax")),
    "RAW": ("a penalty on the weights", ("over_regularisation",)),
    "RCD": ("another dropout rate", ("over_regularisation",)),
    "WCI": ("another initialisation", ("bad_init", "symmetric_init", "exploding_gradient", "vanishing_gradient")),
    "WRB": ("biases removed", ("missing_bias",)),
    "LCH": ("another loss", ("wrong_loss",)),
    "OCH-": ("an optimiser for which the rate is too low", ("lr_too_low", "optimizer_slow")),
    "OCH+": ("an optimiser for which the rate is too high", ("lr_too_high", "dying_relu")),
    "OCG": ("gradients clipped", ("lr_too_low", "clipped")),
    "VRM": ("other validation examples", ("validation_scale",)),
    "LR": ("layers removed", ("missing_nonlinearity", "too_few_units")),
    "LA": ("layers added", ("bad_architecture", "vanishing_gradient")),
    "LD": ("a layer repeated", ("bad_architecture", "vanishing_gradient")),
    "NEB": ("units blocked", ("too_few_units", "dying_relu", "frozen")),
    "DR": ("some examples repeated", ("class_imbalance", "too_few_examples")),
    "DF": ("another order of the examples", ("unshuffled",)),
}


@dataclass(frozen=True)
class Mutant:
    """A changed program; its tags are those of its operator."""

    program: str
    operator: str
    about: str
    change: Change

    @property
    def name(self) -> str:
        return f"{self.program} {self.operator}: {self.about}"

    @property
    def tags(self) -> tuple[str, ...]:
        return OPERATORS[self.operator][1]


MUTANTS: dict[str, list[tuple[str, str, Change]]] = {
    "digits_cnn": [
        ("TCL", "60% of the labels", wrong_labels(0.6)),
        ("TRD", "60 of 2000 left", fewer(60)),
        ("TUD", "2% of five classes left", rarer((5, 6, 7, 8, 9), 0.02)),
        ("TAN", "noise of 3 deviations", noisy(3.0)),
        ("HBS-", "one example", batch(1)),
        ("HLR+", "0.5", rate(0.5)),
        ("HLR-", "0.00005", rate(5e-5)),
        ("HNE", "one epoch", epochs(1)),
        ("ACH", "softmax", activation(softmax)),
        ("AAL", "softmax", at_the_end(softmax)),
        ("RAW", "L2 of 0.2", setting(regularizers=[pynn.L2(0.2)])),
        ("WCI", "the first hidden linear layer starts at 0", weights(constant(0.0), slice(2, 3))),
        ("WCI", "ones", weights(constant(1.0))),
        ("OCG", "norm of 0.001", setting(clip_norm=1e-3)),
        ("DF", "sorted", in_order),
    ],
    "digits_batchnorm": [
        ("TCL", "90% of the labels", wrong_labels(0.9)),
        ("TUD", "1% of eight classes left", rarer(tuple(range(2, 10)), 0.01)),
        ("HBS-", "two examples", batch(2)),
        ("HDB", "4000", whole),
        ("HLR+", "3", rate(3.0)),
        ("ACH", "exponential", activation(Exponential)),
        ("AAL", "sigmoid", at_the_end(pynn.Sigmoid)),
        ("AAL", "ReLU", at_the_end(pynn.ReLU)),
        ("OCH-", "SGD at the rate of 0.001", optimizer(lambda: pynn.SGD(1e-3))),
        ("VRM", "pixels as they come", validation(lambda x: 78 * x + 33)),
    ],
    "colour_images": [
        ("TCL", "half of the labels", wrong_labels(0.5)),
        ("TRD", "200 of 3000 left", fewer(200)),
        ("TAN", "noise of 2 deviations", noisy(2.0)),
        ("TCO", "four pairs of classes", overlapping((0, 1), (2, 3), (4, 5), (6, 7))),
        ("HBS+", "1000", batch(1000)),
        ("HLR+", "0.05", rate(0.05)),
        ("HNE", "one epoch", epochs(1)),
        ("ACH", "sigmoid", activation(pynn.Sigmoid)),
        ("RCD", "0.9", dropout(0.9)),
        ("WCI", "N(0, 1)", weights(normal(1.0))),
        ("LCH", "absolute error of one-hot classes", loss(pynn.L1Loss(), 10)),
        ("OCH-", "Adagrad at the rate of 0.002", optimizer(lambda: pynn.Adagrad(2e-3))),
        ("LD", "the hidden linear layer 12 times", instead(12, 13, dense(64, 64), 12)),
    ],
    "house_prices": [
        ("TCL", "all targets exchanged", wrong_labels(1.0)),
        ("TRD", "20 of 1800 left", fewer(20)),
        ("TAN", "noise of one deviation", noisy(1.0)),
        ("HDB", "1800", whole),
        ("HLR+", "1", rate(1.0)),
        ("HLR-", "0.000002", rate(2e-6)),
        ("ARM", "all", activation(None)),
        ("AAL", "ReLU", at_the_end(pynn.ReLU)),
        ("AAL", "sigmoid", at_the_end(pynn.Sigmoid)),
        ("RAW", "weight decay of 0.3", optimizer(lambda: pynn.Adam(2e-3, weight_decay=0.3))),
        ("WRB", "all", without_biases),
        ("LCH", "binary cross-entropy", loss(pynn.BCEWithLogitsLoss())),
        (
            "NEB",
            "all but one of both layers",
            both(instead(4, 4, lambda: [Blocked(1)]), instead(2, 2, lambda: [Blocked(1)])),
        ),
        ("LR", "both hidden layers", instead(0, 4, lambda: [pynn.Linear(6, 32)])),
    ],
    "news": [
        ("TCL", "70% of the labels", wrong_labels(0.7)),
        ("TRD", "100 of 3000 left", fewer(100)),
        ("TUD", "3% of two classes left", rarer((3, 4), 0.03)),
        ("TCO", "two pairs of classes", overlapping((0, 1), (2, 3))),
        ("HBS+", "1500", batch(1500)),
        ("HLR-", "0.00001", rate(1e-5)),
        ("RCD", "0.98", dropout(0.98)),
        ("WCI", "N(0, 5)", weights(normal(5.0))),
        ("OCH-", "SGD at the rate of 0.002", optimizer(lambda: pynn.SGD(2e-3))),
        ("OCH+", "RMSprop at a rate of 0.3", optimizer(lambda: pynn.RMSprop(0.3))),
        ("DR", "one class 100 times", repeated(0, 100)),
    ],
    "defaulters": [
        ("TUD", "a tenth of the positives left, no weights", both(rarer((1,), 0.1), loss(pynn.BCEWithLogitsLoss()))),
        ("TCL", "half of the labels", wrong_labels(0.5)),
        ("HLR+", "1", rate(1.0)),
        ("HNE", "one epoch", epochs(1)),
        ("AAL", "sigmoid", at_the_end(pynn.Sigmoid)),
        ("AAL", "ReLU", at_the_end(pynn.ReLU)),
        ("ARM", "all", activation(None)),
        ("WCI", "all weights start at 0.1", weights(constant(0.1))),
        (
            "LA",
            "ten layers of four sigmoids",
            instead(
                4,
                5,
                lambda: [
                    pynn.Linear(16, 4),
                    pynn.Sigmoid(),
                    *(layer for _ in range(9) for layer in (pynn.Linear(4, 4), pynn.Sigmoid())),
                    pynn.Linear(4, 1),
                ],
            ),
        ),
        ("VRM", "another order of the columns", validation(lambda x: x[:, ::-1])),
    ],
    "autoencoder": [
        ("AAL", "softmax in the place of the sigmoid", instead(7, 8, lambda: [softmax()])),
        ("ARM", "the last", instead(7, 8, list)),
        ("RAW", "L1 of 0.003", setting(regularizers=[pynn.L1(3e-3)])),
        ("WCI", "uniform from 0 to 1", weights(uniform)),
        ("HLR+", "0.2", rate(0.2)),
        ("HDB", "1437", whole),
        (
            "OCG",
            "values of 0.000001 with SGD of 0.5",
            both(optimizer(lambda: pynn.SGD(0.5, momentum=0.9)), setting(clip_value=1e-6)),
        ),
        (
            "LR",
            "all hidden layers but two units",
            instead(0, 7, lambda: [pynn.Linear(64, 2), pynn.ReLU(), pynn.Linear(2, 64)]),
        ),
        ("TRD", "15 of 1437 left", fewer(15)),
    ],
}


def mutants() -> list[Mutant]:
    """Return all mutants, in the order of the programs."""
    made = []
    for name, changes in MUTANTS.items():
        made += [Mutant(name, operator, about, change) for operator, about, change in changes]
    return made
