"""The chart beside each finding of the HTML page: which figures, the threshold, the steps."""

import re

import numpy as np
import pytest
from shown_runs import trained_run

import pynn
from pynn.babysit import SYMPTOMS
from pynn.babysit.findings import Finding
from pynn.babysit.views.evidence import OF_LAYERS, evidence
from pynn.babysit.views.reading import RunFigures


@pytest.fixture(scope="module")
def run():
    return RunFigures(trained_run())


def finding(symptom, layer=None, step=20, last_step=60):
    return Finding(symptom, layer, step, last_step, "warning", "figures", "advice")


@pytest.mark.parametrize("symptom", [*SYMPTOMS, "of_my_own"])
def test_every_finding_has_a_chart_or_picture(run, symptom):
    shown = evidence(run, finding(symptom))
    assert shown.count("<figure") == shown.count("</figure>") == 1


@pytest.mark.parametrize(
    ("symptom", "layer", "title"),
    [
        ("dead_units", "1.ReLU", "Dead units; dashed: 50%"),
        ("saturated_units", "3.Tanh", "Saturated outputs; dashed: 50%"),
        ("lr_too_high", "0.Linear", "Update / weight; dashed: 0.1"),
        ("lr_too_low", "0.Linear", "Update / weight; dashed: 0.0001"),
        ("zigzag", "2.Linear", "Zig-zag units; dashed: 50%"),
        ("input_not_normalised", "0.Linear", "Root mean square of a minibatch&#x27;s inputs; dashed: 3"),
        ("vanishing_gradient", "1.ReLU", "Gradient of the output (rms)"),
        ("diverging", None, "Loss"),
        ("class_imbalance", None, "Accuracy"),
        ("of_my_own", "3.Tanh", "Output spread (std)"),
    ],
)
def test_shows_the_figure_that_the_rule_reads(run, symptom, layer, title):
    shown = evidence(run, finding(symptom, layer))
    assert f"<h4>{title}</h4>" in shown
    assert shown.count('class="limit"') == title.count("dashed")


def test_shows_the_layers_outputs_at_a_bad_start(run):
    shown = evidence(run, finding("bad_initialisation", "0.Linear"))
    assert "Outputs of 1.ReLU over time" in shown  # the activation is fused into the layer


def test_gradients_are_compared_between_layers(run):
    shown = evidence(run, finding("vanishing_gradient", "1.ReLU"))
    assert shown.count("<li ") > 1


def test_the_threshold_and_the_steps_are_where_they_belong(run):
    first, last = run.span
    step, last_step = first + (last - first) // 4, first + (last - first) // 2
    shown = evidence(run, finding("dead_units", "1.ReLU", step, last_step))
    (start, end) = re.search(r'class="seen warning" d="M(\d+) 0H(\d+)V1000', shown).groups()
    assert (int(start), int(end)) == pytest.approx((250, 500), abs=5)
    (height,) = re.search(r'class="limit" d="M0 (\d+)H1000"', shown).groups()
    ticks = np.array(re.findall(r'<span style="top:([\d.]+)%">([\d.]+)%</span>', shown), float)
    of_half = np.polyval(np.polyfit(ticks[:, 1], ticks[:, 0], 1), 50.0)
    assert int(height) / 10 == pytest.approx(of_half, abs=0.5)


def test_own_thresholds_are_drawn():
    monitor = trained_run(thresholds={"many_dead": 0.35})
    assert "dashed: 35%" in evidence(RunFigures(monitor), finding("dead_units", "1.ReLU"))


def test_a_run_without_steps_has_no_charts():
    assert evidence(RunFigures(pynn.Monitor()), finding("diverging")) == ""


def test_the_scale_of_the_inputs_is_recorded():
    x = pynn.datasets.load_digits()[0]
    run = RunFigures(trained_run())
    mean_square = np.square(x / 16, dtype=np.float64).mean()
    assert run.input_rms.mean() == pytest.approx(np.sqrt(mean_square), rel=0.02)


def test_every_rule_on_layers_reads_what_is_recorded(run):
    figures = {name for columns in run.layers.values() for name in columns}
    assert {name for name, _, _ in OF_LAYERS.values()} <= figures
    assert all(hasattr(run.limits, limit) for _, _, limit in OF_LAYERS.values() if limit)
