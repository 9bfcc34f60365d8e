"""Rules of the user's own: what they may yield, how they fail, and where their findings appear."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

import pynn
from pynn.babysit import Detection
from pynn.babysit.views.terminal import Panel

DOCS = Path(__file__).parents[2] / "docs" / "rules.md"


def fitted(monitor, epochs=5, *others):
    x, y = pynn.datasets.blobs(seed=0)
    pynn.manual_seed(0)
    model = pynn.Sequential(pynn.Linear(2, 8), pynn.ReLU(), pynn.Linear(8, 3))
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1), seed=0)
    x /= x.std()
    trainer.fit(x, y, epochs=epochs, batch_size=64, callbacks=[monitor, *others], validation=(x, y))
    return trainer


def always(state):
    yield Detection("house_style", "warning", f"{state.age} steps & <b>", "do as the house does", "1.ReLU")


def test_findings_appear_everywhere():
    monitor = pynn.Monitor(rules=[always], on_problem="silent")
    shown = io.StringIO()
    trainer = fitted(monitor, 5, Panel(monitor, Console(file=shown, width=150)))
    (finding,) = [finding for finding in monitor.verdict if finding.symptom == "house_style"]
    assert (finding.layer, finding.step, finding.last_step) == ("1.ReLU", 1, trainer.steps)
    assert "house_style" in repr(monitor)
    assert "&amp; &lt;b&gt;" in monitor.to_html()
    assert "House style" in monitor._repr_html_()
    assert "house_style" in shown.getvalue()


def test_own_symptoms_come_after_pynns():
    def first_of_all(state):
        yield Detection("mine", "error", "from the start", "change it")
        yield Detection("lr_too_high", "warning", "said so", "lower it")

    monitor = pynn.Monitor(rules=[first_of_all], on_problem="silent")
    fitted(monitor)
    assert [finding.symptom for finding in monitor.verdict] == ["lr_too_high", "mine"]


def test_own_symptoms_can_be_ignored_and_acted_on():
    told = []
    fitted(pynn.Monitor(rules=[always], ignore=["house_style"], on_problem=told.append))
    assert not told
    fitted(pynn.Monitor(rules=[always], on_problem=told.append))
    assert [finding.symptom for finding in told] == ["house_style"]
    with pytest.raises(ValueError, match="ignore has unknown symptoms house_style"):
        pynn.Monitor(ignore=["house_style"])


def test_an_error_stops_the_run():
    def never_enough(state):
        if state.age >= 4:
            yield Detection("enough", "error", "four steps", "go home")

    with pytest.warns(pynn.BabysitterWarning, match="enough"):
        trainer = fitted(pynn.Monitor(rules=[never_enough], on_problem="stop"))
    assert trainer.steps < 10


def raises(state):
    return [state.no_such_figure]


def yields_text(state):
    yield "dead units"


def wrong_severity(state):
    yield Detection("mine", "fatal", "figures", "advice")


def no_evidence(state):
    yield Detection("mine", "error", None, "advice")


def layer_number(state):
    yield Detection("mine", "error", "figures", "advice", 3)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (raises, r"your rule raises failed \(AttributeError.*no_such_figure"),
        (yields_text, r"your rule yields_text failed \(TypeError.*yielded 'dead units'; expected a pynn"),
        (wrong_severity, r"your rule wrong_severity failed \(ValueError.*severity is 'fatal'"),
        (no_evidence, r"your rule no_evidence failed \(TypeError.*evidence is None"),
        (layer_number, r"your rule layer_number failed \(TypeError.*layer is 3"),
    ],
)
def test_a_rule_that_fails_is_named_and_ends_nothing(rule, message):
    monitor = pynn.Monitor(rules=[rule, always], on_problem="silent")
    with pytest.warns(pynn.BabysitterWarning, match=message):
        trainer = fitted(monitor, epochs=1)
    assert trainer.epoch == 1
    assert [finding.symptom for finding in monitor.findings] == ["house_style"]


@pytest.mark.parametrize(
    ("rules", "message"),
    [(always, r"expected a list of functions: rules=\[always\]"), ([always, 3], "rules has 3; expected functions")],
)
def test_refuses_what_is_no_rule(rules, message):
    with pytest.raises(TypeError, match=message):
        pynn.Monitor(rules=rules)


def test_a_rule_may_detect_nothing():
    monitor = pynn.Monitor(rules=[lambda state: None, lambda state: []], on_problem="silent")
    fitted(monitor, epochs=1)
    assert not monitor.findings


def test_the_example_of_the_page():
    (code,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    names = {}
    exec(code, names)
    fitted(names["monitor"], epochs=1)
    x, y = pynn.datasets.blobs(seed=0)
    model = pynn.Sequential(pynn.Linear(2, 8, init="zeros"), pynn.Linear(8, 3))
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(1e-6))
    again = pynn.Monitor(rules=names["monitor"].rules, on_problem="silent")
    trainer.fit(x, y, epochs=20, callbacks=[again])
    assert {"goal_missed", "narrow_layer"} <= {finding.symptom for finding in again.findings}


def test_the_attributes_on_the_page_exist():
    page = DOCS.read_text()
    seen = []

    def look(state):
        for text in re.findall(r"`(state\.[^`]*)`", page.split("## What it may read")[1]):
            text = text.replace("[layer]", "['1.ReLU']" if "outputs" in text else "['0.Linear']")
            eval(text.replace("steps=20", ""), {"state": state})
            seen.append(text)
        return []

    fitted(pynn.Monitor(rules=[look], on_problem="silent"), epochs=1)
    assert len(set(seen)) == 10
