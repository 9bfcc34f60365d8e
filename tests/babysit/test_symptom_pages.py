"""Every symptom has a page whose figures are those of the rules, whose picture exists, and whose examples run."""

import ast
import importlib
import importlib.util
import math
import re
from dataclasses import asdict
from pathlib import Path

import pytest

from pynn.babysit.findings import SYMPTOMS
from pynn.babysit.thresholds import Thresholds

PROJECT = Path(__file__).parents[2]
FOLDER = PROJECT / "docs" / "symptoms"
HEADINGS = [
    "What it means",
    "How it is detected",
    "Sick and healthy",
    "False alarms",
    "Cause and consequence",
    "Try it",
    "What to do",
]
RULES = ("base", "start", "signal", "units", "rates", "curve", "comparison", "evaluation", "ending")
MONITOR = (
    *("run_state", "start_figures", "scores", "network_facts", "settings_facts", "data_facts"),
    *("unit_sums", "probes", "scoring", "recorder", "monitor", "breakdown"),
    *(f"rules.{name}" for name in RULES),
)
MODULES = ("findings", "learners", *(f"monitor.{name}" for name in MONITOR))
#: Symptoms that need none of the thresholds that have a name.
UNNAMED = {"symmetric_units"}
NUMBER = r"-?\d+(?:\.\d+)?(?:e-?\d+)?"


def load_pictures():
    spec = importlib.util.spec_from_file_location("symptom_pictures", FOLDER / "pictures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pictures = load_pictures()


def text_of(symptom):
    return pictures.page_of(symptom).read_text(encoding="utf-8")


def prose_of(symptom):
    """Return a page without its code, and with no line broken within a quote."""
    prose = re.sub(r"```.*?```", "", text_of(symptom), flags=re.DOTALL)
    return re.sub(r"`[^`]+`", lambda quote: " ".join(quote[0].split()), prose)


def section(text, heading):
    return re.search(rf"## {heading}\n(.*?)(?=\n## |\Z)", text, re.DOTALL)[1]


def named_constants():
    """Return the values of each threshold and of each constant in capitals, by name."""
    values = {name: {value} for name, value in asdict(Thresholds()).items()}
    for module in MODULES:
        for name, value in vars(importlib.import_module(f"pynn.babysit.{module}")).items():
            if name.isupper() and isinstance(value, int | float):
                values.setdefault(name, set()).add(float(value))
    return values


CONSTANTS = named_constants()


def literals_of(reference):
    """Return the numbers that a function or method, named as `module.function`, is written with."""
    module, name = reference.split(".")
    path = next(PROJECT / "pynn" / "babysit" / f"{m.replace('.', '/')}.py" for m in MODULES if m.endswith(module))
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == name]
    assert found, f"{path.name} has no {name}"
    constants = [node.value for node in ast.walk(found[0]) if isinstance(node, ast.Constant)]
    return {float(value) for value in constants if isinstance(value, int | float)}


def test_index_lists_all_symptoms_in_the_order_of_ranking():
    rows = re.findall(
        r"^\| (\d+) \| \[(\w+)\]\((\w+)\.md\) \|", (FOLDER / "README.md").read_text("utf-8"), re.MULTILINE
    )
    assert [int(number) for number, _, _ in rows] == list(range(1, len(SYMPTOMS) + 1))
    assert [name for _, name, _ in rows] == [page for _, _, page in rows] == list(SYMPTOMS)


def test_there_is_no_page_of_something_else():
    assert {path.stem for path in FOLDER.glob("*.md")} == {*SYMPTOMS, "README"}
    assert {path.stem for path in (FOLDER / "pictures").iterdir()} == set(SYMPTOMS)


@pytest.mark.parametrize("symptom", SYMPTOMS)
def test_page_has_its_sections_and_a_small_picture_with_a_caption(symptom):
    text = text_of(symptom)
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == HEADINGS
    assert f"`{symptom}`" in text.split("## ")[0]
    shown = re.search(rf"!\[.+\]\(pictures/{symptom}\.png\)\n\n(.+)", section(text, "Sick and healthy"))
    assert shown, "no picture, or no caption under it"
    content = (FOLDER / "pictures" / f"{symptom}.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) < 60_000


@pytest.mark.parametrize("symptom", [*SYMPTOMS, "README"])
def test_links_of_a_page_lead_somewhere(symptom):
    for link in re.findall(r"\]\(([^)]+)\)", text_of(symptom)):
        assert link.startswith("https://") or (FOLDER / link).exists(), link


@pytest.mark.parametrize("symptom", SYMPTOMS)
def test_rules_and_modules_that_a_page_names_exist(symptom):
    modules = {name.rpartition(".")[2]: importlib.import_module(f"pynn.babysit.{name}") for name in MODULES}
    head = prose_of(symptom).split("## ")[0]
    rules = re.findall(r"`(\w+)\.(\w+)`", head)
    assert rules
    for module, name in rules:  # a function, or a method of a class
        owners = [modules[module], *(item for item in vars(modules[module]).values() if isinstance(item, type))]
        assert any(hasattr(owner, name) for owner in owners), (module, name)
    assert set(re.findall(r"constants in `(\w+)`", head)) <= set(modules)


@pytest.mark.parametrize("symptom", [*SYMPTOMS, "README"])
def test_quoted_constants_are_those_of_the_rules(symptom):
    quoted = re.findall(rf"`(\w+) = ({NUMBER})`", prose_of(symptom))
    assert bool(quoted) == (symptom not in UNNAMED)
    for name, value in quoted:
        assert name in CONSTANTS, f"nothing is called {name}"
        assert float(value) in CONSTANTS[name], f"{name} is {CONSTANTS[name]}, not {value}"


@pytest.mark.parametrize("symptom", SYMPTOMS)
def test_other_quoted_numbers_stand_in_the_rules(symptom):
    text = prose_of(symptom)
    references = re.findall(r"`(\w+\.\w+)`", text.split("## ")[0])
    assert references
    known = set().union(*(literals_of(reference) for reference in references))
    quoted = {float(number) for number in re.findall(rf"`({NUMBER})`", section(text, "How it is detected"))}
    assert quoted <= known, f"{sorted(quoted - known)} in none of {', '.join(references)}"


@pytest.mark.parametrize("symptom", SYMPTOMS)
def test_named_controls_exist(symptom):
    code = "".join(path.read_text(encoding="utf-8") for path in (PROJECT / "bench" / "faults").glob("controls*.py"))
    for names in re.findall(r"controls?\s+((?:`\w+`(?:,\s+)?)+)", prose_of(symptom)):
        for name in re.findall(r"`(\w+)`", names):
            assert f"def {name}(" in code or f'_activation("{name}"' in code, name


@pytest.mark.parametrize("symptom", SYMPTOMS)
def test_example_shows_the_symptom_and_its_healthy_twin_does_not(symptom, capsys):
    names, printed = pictures.run(pictures.example_of(symptom))
    found = [finding for finding in names["monitor"].verdict if finding.symptom == symptom]
    assert found, f"not found; printed was:\n{printed}"
    shown = pictures.EXAMPLE.search(text_of(symptom))["printed"]
    where = f" in {found[0].layer}" if found[0].layer else ""
    assert f"{found[0].severity}: {symptom}{where}, step" in " ".join(shown.split())
    healthy, _ = pictures.run(pictures.example_of(symptom, healthy=True))
    assert not [finding for finding in healthy["monitor"].verdict if finding.symptom == symptom]
    assert math.isfinite(healthy["trainer"].last_loss)
    for block in re.findall(r"```python\n(.*?)```", section(text_of(symptom), "What to do"), re.DOTALL):
        exec(block, names)  # continues the example
    capsys.readouterr()


def test_example_of_the_index_runs():
    names = {}
    exec(re.search(r"```python\n(.*?)```", text_of("README"), re.DOTALL)[1], names)
    assert names["monitor"].verdict[0].symptom == "input_not_normalised"


@pytest.mark.parametrize("symptom", ["lr_too_high", "zigzag"])
def test_pictures_are_drawn_from_both_runs(symptom):
    pytest.importorskip("matplotlib")
    code = pictures.example_of(symptom)
    sick, _ = pictures.run(code)
    healthy, _ = pictures.run(pictures.example_of(symptom, healthy=True))
    switch = pictures.SWITCH.search(code)
    picture = pictures.draw(symptom, sick, healthy, switch)
    assert picture.startswith(b"\x89PNG")
    assert picture != pictures.draw(symptom, healthy, sick, switch)
