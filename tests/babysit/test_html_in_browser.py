"""The HTML report in a real browser: Chromium, headless, as a phone and as a desk, by day and by night."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from browsers import CHROMIUM
from cases import case
from shown_runs import empty_run, made_run, sick_findings, trained_run

from pynn.babysit.findings import Finding
from pynn.babysit.views.html import page

SIZES = {"phone": (390, 844), "desk": (1280, 900)}

# Without a browser there is nothing to test; with one, anything that is missing besides is a failure.
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")


@pytest.fixture(params=SIZES)
def size(request):
    return SIZES[request.param]


@pytest.fixture
def show(browser, tmp_path):
    """Return a function that opens the report of a run and fails on whatever the console or the network says."""
    contexts, messages = [], []

    def open_page(run, size=SIZES["desk"], scheme="light", *, touch=False):
        path = tmp_path / "run.html"
        path.write_text(page(run, title="A run"), encoding="utf-8")
        width, height = size
        viewport = {"width": width, "height": height}
        context = browser.new_context(viewport=viewport, color_scheme=scheme, has_touch=touch, offline=True)
        contexts.append(context)
        shown = context.new_page()
        shown.on("console", lambda message: messages.append(message.text))
        shown.on("pageerror", lambda error: messages.append(str(error)))
        shown.on("request", lambda request: request.url.startswith(("file:", "data:")) or messages.append(request.url))
        shown.goto(path.as_uri())
        return shown

    yield open_page
    for context in contexts:
        context.close()
    assert messages == []


def fits(shown):
    return shown.evaluate(
        "document.documentElement.scrollWidth <= innerWidth && document.body.scrollWidth <= innerWidth"
    )


def nasty_run():
    name = "1.<b>Re\"LU'&" + "W" * 200
    findings = [Finding("dead_units", name, 5, 9, "error", "<script>alert(1)</script>" + "e" * 300, "<i>a" * 80)]
    return made_run(hidden=(name, "3." + "long name " * 30), findings=findings)


def broken_run():
    run = made_run(rows=50)
    run.stats.columns["loss"][20:] = np.nan
    for layer in run.stats.layers:
        for column in run.stats[layer].values():
            column[10:] = np.inf
    run.snapshots[3].gradients["1.ReLU"] = SimpleNamespace(low=np.nan, high=np.inf, counts=np.zeros(40, np.int64))
    run.first_weights[:] = np.nan
    return run


RUNS = {
    "of a real training": trained_run,
    "with findings": lambda: made_run(findings=sick_findings()),
    "without a step": empty_run,
    "without accuracy or validation": lambda: made_run(accuracy=False, validation=False),
    "of one layer": lambda: made_run(hidden=()),
    "of one step and one unit": lambda: made_run(hidden=("1.ReLU",), rows=1, steps=1, units=1, snapshots=1, inputs=1),
    "of a hundred layers": lambda: made_run(hidden=tuple(f"{i}.ReLU" for i in range(1, 200, 2)), rows=200),
    "on colour images": lambda: made_run(inputs=3072),
    "with names that are markup": nasty_run,
    "that broke": broken_run,
}


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_report_opens_without_a_word_on_the_console_and_fits_the_page(show, run):
    shown = show(run())
    for (size, (width, height)), scheme in itertools.product(SIZES.items(), ["light", "dark"]):
        with case(size=size, scheme=scheme):
            shown.set_viewport_size({"width": width, "height": height})
            shown.emulate_media(color_scheme=scheme)
            shown.reload()
            assert fits(shown)
            assert shown.locator("h1").inner_text() == "A run"
            # Every picture is one that the browser can read.
            assert shown.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
            shown.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
            assert fits(shown)


def test_curves_are_drawn_where_their_values_are(show, size):
    shown = show(made_run(), size)
    boxes = shown.evaluate(
        """[...document.querySelectorAll(".chart .area")].map(area => {
            const frame = area.getBoundingClientRect();
            return [...area.querySelectorAll("path.line")].map(path => {
                const box = path.getBoundingClientRect();
                return [box.width / frame.width, box.top - frame.top, frame.bottom - box.bottom];
            });
        }).flat()"""
    )
    assert len(boxes) > 10
    for share, above, below in boxes:
        assert share > 0.8
        assert min(above, below) > -2


def test_the_page_follows_the_light(show):
    backgrounds = {}
    for scheme in ("light", "dark"):
        shown = show(made_run(), scheme=scheme)
        colours = shown.evaluate(
            "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
        )
        backgrounds[scheme] = [sum(int(part) for part in colour[4:-1].split(",")) / 765 for colour in colours]
    page, ink = zip(backgrounds["light"], backgrounds["dark"], strict=True)
    assert page[0] > 0.9 > 0.2 > page[1]
    assert ink[0] < 0.2 < 0.8 < ink[1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_background(show, scheme):
    shown = show(made_run(findings=sick_findings()), scheme=scheme)
    contrasts = shown.evaluate(
        """(() => {
            const light = text => {
                const parts = text.match(/[\\d.]+/g).slice(0, 3).map(part => {
                    const share = part / 255;
                    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
                });
                return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
            };
            const behind = element => {
                for (; element; element = element.parentElement) {
                    const colour = getComputedStyle(element).backgroundColor;
                    if (!colour.endsWith(", 0)")) return colour;
                }
            };
            const told = [...document.querySelectorAll("h1, h2, h3, h4, p, dt, dd, li, th, td, span, .scale, a")];
            return told.filter(element => element.textContent.trim()).map(element => {
                const [a, b] = [light(getComputedStyle(element).color), light(behind(element))];
                return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), element.outerHTML.slice(0, 80)];
            });
        })()"""
    )
    assert len(contrasts) > 100
    assert [text for contrast, text in contrasts if contrast < 4.5] == []


def test_pointing_at_a_chart_shows_the_figures_there(show):
    run = made_run()
    shown = show(run)
    area = shown.locator(".chart .area").first
    area.scroll_into_view_if_needed()
    reading = shown.locator("#reading")
    assert not reading.is_visible()
    box = area.bounding_box()
    shown.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert reading.is_visible()
    text = reading.inner_text()
    assert "step 2,0" in text
    assert "training" in text
    assert "validation" in text
    at = reading.bounding_box()
    assert at["x"] >= 0
    assert at["x"] + at["width"] <= 1280
    shown.mouse.move(box["x"] + box["width"] / 2, box["y"] - 40)
    assert not reading.is_visible()


def test_touching_a_chart_on_a_phone_shows_the_figures_inside_the_page(show):
    shown = show(made_run(), SIZES["phone"], touch=True)
    area = shown.locator(".chart .area").first
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    area.dispatch_event("pointerdown", {"clientX": box["x"] + box["width"] - 3, "clientY": box["y"] + 20})
    at = shown.locator("#reading").bounding_box()
    assert at["x"] >= 0
    assert at["x"] + at["width"] <= 390
    assert fits(shown)


def test_a_mark_on_a_chart_leads_to_its_finding(show):
    shown = show(made_run(findings=sick_findings()))
    shown.locator(".marks a", has_text="2").first.click()
    assert shown.evaluate("document.querySelector(':target h3').textContent") == "Dead units"


def test_without_scripts_the_page_says_the_same(browser, tmp_path):
    (tmp_path / "run.html").write_text(page(made_run(findings=sick_findings())), encoding="utf-8")
    context = browser.new_context(java_script_enabled=False)
    shown = context.new_page()
    shown.goto((tmp_path / "run.html").as_uri())
    assert shown.locator(".chart svg path.line").count() > 10
    assert "validation accuracy" in shown.locator("main").inner_text()
    context.close()
