"""The order of findings: causes before what follows from them."""

import pynn
from pynn.babysit.findings import SYMPTOMS, ranked


def test_moderately_large_inputs_are_not_blamed_for_a_network_that_is_built_wrong():
    inputs = pynn.Finding("input_not_normalised", "0.Linear", 1, 90, "warning", "", "")
    rate = pynn.Finding("lr_too_high", None, 20, 90, "warning", "", "")
    vanishing = pynn.Finding("vanishing_gradient", "1.Sigmoid", 20, 90, "warning", "", "")
    assert ranked([inputs, rate]) == [inputs, rate]
    assert ranked([inputs, vanishing]) == [vanishing, inputs]


def test_every_symptom_has_a_place_in_the_ranking():
    severity = {"input_not_normalised": "error"}
    findings = [pynn.Finding(name, None, 1, 1, severity.get(name, "warning"), "", "") for name in reversed(SYMPTOMS)]
    assert [finding.symptom for finding in ranked(findings)] == list(SYMPTOMS)
    assert len(set(SYMPTOMS)) == 21
