"""Outputs in Chromium, in pages like notebooks: they follow the page's theme, and change nothing else on it."""

import polars as pl
import pytest
from browsers import CHROMIUM

import pynn
from pynn.training.history import History

# Without a browser there is nothing to test; with one, anything that is missing besides is a failure.
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")

# Rules of JupyterLab that outputs must withstand.
HOST = """<style>
.host dt { float: left; width: 20% } .host table { table-layout: fixed; font-size: 30px } .host td { text-align: right }
.host h2, .host h3 { color: rgb(1, 2, 3); margin-top: 99px }
</style>"""
DARK = ['<body data-jp-theme-light="false">', '<body class="vscode-dark">', '<body data-theme="dark">']
LIGHT = ['<body data-jp-theme-light="true">', '<body class="vscode-light">', "<body>"]


@pytest.fixture
def show(browser):
    """Return a function that opens a page with an output, on a system with a light or dark scheme."""
    contexts = []

    def open_page(body, html, scheme):
        context = browser.new_context(viewport={"width": 700, "height": 900}, color_scheme=scheme, offline=True)
        contexts.append(context)
        shown = context.new_page()
        shown.set_content(f'<!doctype html>{HOST}{body}<div class="host"><h2>Mine</h2>{html}</div>')
        return shown

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def trained():
    history = History()
    for epoch in range(1, 30):
        history.append(epoch, {"loss": 1 / epoch, "val_loss": 1.2 / epoch, "accuracy": 1 - 0.5 / epoch})
    return history


def brightness(colour):
    return sum(map(int, colour.removeprefix("rgb(").removesuffix(")").split(", ")))


@pytest.mark.parametrize(("body", "dark"), [(body, True) for body in DARK] + [(body, False) for body in LIGHT])
def test_an_output_follows_the_notebooks_theme(show, trained, body, dark):
    shown = show(body, trained._repr_html_(), "light" if dark else "dark")
    ink = shown.evaluate("getComputedStyle(document.querySelector('.pynn h3')).color")
    card = shown.evaluate("getComputedStyle(document.querySelector('.pynn .chart')).backgroundColor")
    assert brightness(ink) > 600 if dark else brightness(ink) < 150
    assert brightness(card) < 150 if dark else brightness(card) > 700


def test_neither_changes_the_other(show, trained):
    pynn.manual_seed(0)
    trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(4, 3)), pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    shown = show("<body>", trained._repr_html_() + trainer._repr_html_(), "light")
    assert shown.evaluate("getComputedStyle(document.querySelector('.host > h2')).marginTop") == "99px"
    assert shown.evaluate("getComputedStyle(document.querySelector('.pynn h3')).marginTop") == "0px"
    assert shown.evaluate("getComputedStyle(document.querySelector('.pynn dt')).float") == "none"
    assert shown.evaluate("parseFloat(getComputedStyle(document.querySelector('.pynn table')).fontSize)") < 16
    assert shown.evaluate("getComputedStyle(document.querySelector('.pynn td.text')).textAlign") == "left"
    # Curves are lines, not black areas, and everything fits.
    assert shown.evaluate("getComputedStyle(document.querySelector('.pynn path.line')).fill") == "none"
    assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_no_word_is_broken(show):
    frame = pl.DataFrame(
        {
            "agreement": ["Neither agree nor disagree", "Strongly agree"] * 20,
            "when": [f"2024-{1 + i % 12:02}-10 10:00:00" for i in range(40)],
            "sold": ["yes", "no"] * 20,
        }
    )
    trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(4, 3)), pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    for shown_object in (trainer, pynn.datasets.read_table(frame)):
        shown = show("<body>", shown_object._repr_html_(), "light")
        lines = shown.evaluate(
            """[...document.querySelectorAll(".pynn dd, .pynn td")].filter(cell => /^[A-Za-z]+$/.test(cell.textContent))
            .map(cell => {
                const range = document.createRange();
                range.selectNodeContents(cell);
                return [cell.textContent, range.getClientRects().length];
            })"""
        )
        assert lines
        assert [word for word, count in lines if count > 1] == []
