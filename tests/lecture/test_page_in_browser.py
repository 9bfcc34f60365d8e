"""The page of results in headless Chromium, as a phone and as a desk, by day and by night."""

import pytest
from browsers import CHROMIUM

from pynn.lecture import run, select
from pynn.lecture.page import write_page

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "lecture.html"
    chosen = select(["he-relu", "initial-loss", "regularisation-raises", "bn-identity", "relu-does-not-saturate"])
    write_page(list(run(chosen, seeds=3)), path)
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(390, 844), (1280, 900)], ids=["phone", "desk"])
def test_the_page_opens_without_a_word_and_fits(browser, path, size, scheme):
    messages = []
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, offline=True)
    shown = context.new_page()
    shown.on("console", lambda message: messages.append(message.text))
    shown.on("pageerror", lambda error: messages.append(str(error)))
    shown.on("request", lambda request: request.url.startswith(("file:", "data:")) or messages.append(request.url))
    shown.goto(path.as_uri())
    for details in shown.locator("#he-relu details, #initial-loss details").all():
        details.evaluate("element => element.open = true")
    assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert shown.locator("#he-relu .chart path.line").count() == 1
    # Of each figure: a dot for every seed, and a band.
    assert shown.locator("#he-relu .strip i").count() == 6
    assert shown.locator("#he-relu .strip b").count() == 2
    light = shown.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(int(part) for part in light[4:-1].split(",")) > 384) == (scheme == "light")
    assert messages == []
    context.close()


def test_dots_lie_in_the_shaded_band_where_the_figures_do(browser, path):
    shown = browser.new_page()
    shown.goto(path.as_uri())
    inside = shown.evaluate(
        """[...document.querySelectorAll("#he-relu .track")].map(track => {
            const band = track.querySelector("b").getBoundingClientRect();
            return [...track.querySelectorAll("i")].every(dot => {
                const box = dot.getBoundingClientRect(), middle = (box.left + box.right) / 2;
                return band.left <= middle && middle <= band.right;
            });
        })"""
    )
    assert inside == [True, True]
    shown.close()


def test_the_overview_leads_to_the_entries_and_a_chart_tells_its_figures(browser, path):
    shown = browser.new_page(viewport={"width": 1280, "height": 900})
    shown.goto(path.as_uri())
    shown.locator(".overview a", has_text="regularisation-raises").click()
    assert shown.url.endswith("#regularisation-raises")
    area = shown.locator("#regularisation-raises .area")
    shown.evaluate("document.documentElement.style.scrollBehavior = 'auto'")
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    shown.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] / 2)
    assert "strength 0.1" in shown.locator("#reading").inner_text()
    shown.close()
