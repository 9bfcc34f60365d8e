"""A real notebook, executed by a kernel: what its cells show, by mime type, and what is in it."""

import base64
import io
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from html_contents import Contents
from matplotlib.image import imread
from nbclient import NotebookClient

HOSTILE = "<b>&amp;\"'$x$"

SETUP = f"""
import pynn
from pynn import search

class Odd(pynn.ReLU):
    pass

Odd.__name__ = {HOSTILE!r}
pynn.manual_seed(0)
x, y = pynn.datasets.blobs(n=240, classes=3, seed=0)
model = pynn.Sequential(pynn.Linear(2, 8), Odd(), pynn.Linear(8, 3))
trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1))
monitor = pynn.Monitor(on_problem="silent")

def build(params):
    model = pynn.Sequential(pynn.Linear(2, 8), pynn.ReLU(), pynn.Linear(8, 3))
    return pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(params["lr"]))

space = {{"lr": search.LogUniform(1e-3, 1.0), {HOSTILE!r}: search.Choice("plain", {HOSTILE!r})}}
"""

#: By name: a cell, which shows its last expression.
CELLS = {
    "setup": SETUP,
    "table": """
import pathlib, tempfile
rows = "".join(f"{i},{1.5 * i},{'abc'[i % 3]},2024-01-{1 + i % 28:02},{'yn'[i % 2]}\\n" for i in range(40))
with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder, "t.csv")
    path.write_text(f"id,<b>&,kind,when,label\\n{rows}")
    table = pynn.datasets.read_table(path, "label")
table""",
    "untrained trainer": "trainer",
    "empty history": "trainer.history",
    "unused monitor": "monitor",
    "summary": "model.summary()",
    "printed summary": "print(model.summary())",
    "model": "model",
    "fit": "trainer.fit(x[:160], y[:160], epochs=3, validation=(x[160:], y[160:]), callbacks=[monitor], progress=True)",
    "trainer": "trainer",
    "monitor": "monitor",
    "monitor's page": "monitor.to_html()",
    "plot of the history": "pynn.plots.plot_history(trainer.history)",
    "plot of the loss": "pynn.plots.plot_loss(monitor)",
    "preflight": "pynn.preflight(pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(1e4)), x, y)",
    "diagnosis": "pynn.diagnose(pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(1e3)), x, y, seconds=2)",
    "search": """
result = search.run(build, space, (x[:160], y[:160]), (x[160:], y[160:]), trials=6, epochs=2, workers=1, progress=True)
result""",
    "plot of the search": "result.plot()",
    "page of the search": "result.to_html()",
    "experiment": """
from pynn.lecture import experiments, run
[measured] = run([experiments()["linear-stack"]], seeds=2)
measured""",
}


@pytest.fixture(scope="module")
def outputs():
    """Return the outputs of each cell, by name."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source.strip()) for source in CELLS.values()])
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    return {name: cell.outputs for name, cell in zip(CELLS, notebook.cells, strict=True)}


def shown(outputs, name):
    """Return the data of a cell's result, by mime type."""
    [result] = [output for output in outputs[name] if output.output_type == "execute_result"]
    return result.data


def html_of(outputs, name):
    return Contents(shown(outputs, name)["text/html"])


@pytest.mark.parametrize("name", [name for name in CELLS if name not in ("setup", "printed summary")])
def test_each_cell_shows_its_last_expression_and_nothing_else(outputs, name):
    live = 1 if name in ("fit", "search") else 0
    assert [output.output_type for output in outputs[name]] == ["display_data"] * live + ["execute_result"]


@pytest.mark.parametrize("name", ["plot of the history", "plot of the loss", "plot of the search"])
def test_a_plot_is_a_picture_of_something(outputs, name):
    png = base64.b64decode(shown(outputs, name)["image/png"])
    pixels = imread(io.BytesIO(png))
    assert min(pixels.shape[:2]) > 400
    ink = (pixels[..., :3] < 0.7).any(axis=2)
    assert 0.005 < ink.mean() < 0.5
    quarters = [part for half in np.array_split(ink, 2) for part in np.array_split(half, 2, axis=1)]
    assert all(quarter.any() for quarter in quarters)


def test_a_summary_is_a_table_for_eyes_and_a_text_for_print(outputs):
    [printed] = outputs["printed summary"]
    lines = printed.text.splitlines()
    assert lines[0].split() == ["layer", "kind", "output", "parameters"]
    assert lines[1].split() == ["0", "Linear", "(n,", "8)", "24"]  # 2 x 8 weights and 8 biases
    assert lines[-1].split() == ["total", "51"]
    assert shown(outputs, "summary")["text/plain"].splitlines() == lines
    for name in ("summary", "model"):
        page = html_of(outputs, name)
        assert page.tags.count("tr") == 1 + len(lines[1:])
        assert all(word in page.text for word in ("Linear", HOSTILE, "(n, 8)", "51"))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("table", ["40", "label", "2 classes", "<b>&", "0 to 58.5", "a, b, c", "2024-01-01 to 2024-01-28"]),
        ("untrained trainer", ["CrossEntropyLoss", "SGD", HOSTILE]),
        ("empty history", ["No epoch"]),
        ("unused monitor", ["Nothing to judge yet"]),
        ("fit", ["Loss", "Accuracy", "validation", "epoch 1"]),
        ("trainer", ["CrossEntropyLoss", "SGD", "Loss", "Accuracy", HOSTILE]),
        ("monitor", ["No fault found", "Course of the run"]),
        ("preflight", ["Preflight: fail", "learning rate", "input scale"]),
        ("diagnosis", ["Diagnosis", "learning rate", "as it is", "SGD(lr="]),
        ("search", ["Best validation accuracy", "lr", HOSTILE, "Trials, best first"]),
        ("experiment", ["linear-stack", "reproduced"]),
    ],
)
def test_objects_show_what_they_hold(outputs, name, words):
    page = html_of(outputs, name)
    assert [word for word in words if word not in page.text] == []
    assert "script" not in page.tags


def test_their_plain_texts_are_short_and_say_something(outputs):
    for name in CELLS:
        for output in outputs[name]:
            if output.output_type == "execute_result" and name not in ("summary", "model"):
                text = output.data["text/plain"]
                assert " at 0x" not in text
                assert len(text) < 1500, name


def test_styles_reach_nothing_outside_their_output(outputs):
    for name in CELLS:
        for output in outputs[name]:
            for style in re.findall(r"<style>(.*?)</style>", output.get("data", {}).get("text/html", ""), re.DOTALL):
                depth, outermost = 0, ""
                for char in style:
                    depth += (char == "{") - (char == "}")
                    outermost += char if depth == 0 else ""
                for selector in filter(str.strip, outermost.split("}")):
                    assert re.fullmatch(r"(:is\(.*\) )?\.pynn\.pynn", selector.strip()), selector


def test_ids_of_two_outputs_differ_and_links_find_theirs(outputs):
    pages = [html_of(outputs, name) for name in ("monitor", "diagnosis", "experiment", "search", "trainer")]
    ids = [each for page in pages for each in page.having("id")]
    assert len(ids) == len(set(ids))
    for page in pages:
        targets = {link[1:] for link in page.having("href") if link.startswith("#")}
        assert targets <= set(page.having("id"))


@pytest.mark.parametrize("name", ["monitor's page", "page of the search"])
def test_a_page_without_a_path_is_shown_in_a_frame(outputs, name):
    page = html_of(outputs, name)
    assert page.tags == ["iframe"]
    assert shown(outputs, name)["text/plain"].startswith("<HTML page of")


@pytest.mark.parametrize(("name", "pattern", "lines"), [("fit", r"^epoch \d/3 ", 3), ("search", r"^ *\d  ", 6)])
def test_progress_is_one_output_that_ends_with_all_that_happened(outputs, name, pattern, lines):
    [drawn] = [output for output in outputs[name] if output.output_type == "display_data"]
    text = Contents(drawn.data["text/html"]).text
    assert set(drawn.data) == {"text/html", "text/plain"}
    assert text.strip() == drawn.data["text/plain"].strip()
    assert len(re.findall(pattern, text, re.MULTILINE)) == lines


def test_the_notebook_of_the_docs_runs_and_is_stored_without_outputs():
    path = Path(__file__).parents[2] / "docs" / "notebook.ipynb"
    notebook = nbformat.read(path, 4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in cells] == [[]] * len(cells)
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    assert all(cell.outputs[-1].output_type == "execute_result" for cell in cells)
