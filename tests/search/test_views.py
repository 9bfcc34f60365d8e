"""A search as a page and as a picture; in headless Chromium as a phone and as a desk, by day and by night."""

import io
import itertools
import math
import re

import pytest
from browsers import CHROMIUM
from cases import case

import pynn
from pynn import search
from pynn.search.state import Trials
from pynn.search.views.figures import plot_overview, plot_random_against_grid
from pynn.search.views.page import page
from pynn.search.views.reading import TrialFigures


def result_of(build, space, **settings):
    x, y = pynn.datasets.blobs(n=240, classes=3, seed=0)
    return search.run(build, space, (x[:160], y[:160]), (x[160:], y[160:]), workers=1, **settings)


def network(params):
    if params.get("kind") == "<b>fails</b>":
        raise ValueError("no <such> network")
    model = pynn.Sequential(pynn.Linear(2, 8), pynn.ReLU(), pynn.Linear(8, 3))
    return pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(params["lr"], weight_decay=params.get("decay", 0.0)))


@pytest.fixture(scope="module")
def searched():
    space = {"lr": search.LogUniform(1e-3, 1.0), "decay": search.LogUniform(1e-6, 1e-2)}
    return result_of(network, space, stages=search.coarse_to_fine(9, 4, 2), seed=1)


@pytest.fixture(scope="module")
def failed():
    space = {"lr": search.LogUniform(1e-3, 1.0), "kind": search.Choice("<b>fails</b>")}
    return result_of(network, space, trials=3, epochs=1)


def test_each_trial_is_shown_once_with_the_best_it_came_to(searched):
    run = TrialFigures(searched)
    begun = [trial for trial in searched.trials if trial.continues is None]
    assert len(run.begun) == len(begun)
    assert any(trial is run.best for trial in run.begun)
    assert any(trial.continues is not None for trial in searched.trials)


def test_the_page_holds_every_trial_and_marks_the_best(searched):
    text = page(searched)
    assert "Best validation accuracy" in text
    assert text.count('class="ring"') >= 1
    assert "<script src" not in text and "http://" not in text.replace("http://www.w3.org", "")


def test_names_and_messages_are_text_on_the_page(failed):
    text = page(failed)
    assert "No trial finished" in text
    assert "<b>fails</b>" not in text and "<such>" not in text
    assert "no &lt;such&gt; network" in text


def test_one_range_is_enough():
    one = result_of(network, {"lr": search.LogUniform(1e-3, 1.0)}, trials=4, epochs=1)
    assert "lr" in page(one)
    axes = plot_overview(one).axes
    assert axes[0].get_ylabel() == "validation accuracy"


def test_the_picture_shows_trials_losses_and_importance(searched, tmp_path):
    figure = searched.plot(tmp_path / "search.png")
    assert (tmp_path / "search.png").read_bytes().startswith(b"\x89PNG")
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[:3] == ["Trials by validation accuracy", "Training loss (log scale)", "What matters"]
    points = figure.axes[0].collections[0].get_offsets()
    assert len(points) == len([trial for trial in TrialFigures(searched).begun if trial.ended == "finished"])
    widths = [bar.get_width() for bar in figure.axes[2].patches]
    assert math.isclose(sum(widths), 1.0, rel_tol=1e-6)


def with_losses(*losses):
    """Return a search over one range whose trials ended with these losses, after one of 1."""
    trials = [
        search.Trial(number, 0, {"lr": 0.1}, "finished", score=loss, epochs=2, history={"loss": [1.0, loss]})
        for number, loss in enumerate(losses)
    ]
    return Trials(
        trials=trials, space=search.Space({"lr": search.LogUniform(1e-3, 1.0)}), metric="loss", maximize=False,
        stages=(search.Stage(len(trials), 2),), sampler="random", interrupted=False, edges=[],
    )  # fmt: skip


@pytest.mark.parametrize(("losses", "shown"), [((2, 2, 2, 2, 9), True), ((1, 2, 2, 2, 90), False)])
def test_an_outlier_does_not_squeeze_the_other_scores(losses, shown):
    section = page(with_losses(*losses)).partition("Parameter by parameter")[2]
    assert (">8</span>" in section) is shown


def test_losses_below_0_are_drawn_on_a_linear_scale():
    losses = plot_overview(with_losses(-2.0)).axes[1]
    assert (losses.get_yscale(), losses.get_title(loc="left")) == ("linear", "Training loss")


def test_random_against_grid_shows_which_values_each_has_tried(tmp_path):
    space = {"lr": search.LogUniform(1e-3, 1.0), "decay": search.LogUniform(1e-6, 1e-2)}
    random, grid = (result_of(network, space, trials=9, epochs=1, sampler=sampler) for sampler in ("random", "grid"))
    figure = plot_random_against_grid(random, grid, tmp_path / "both.png")
    assert (tmp_path / "both.png").read_bytes().startswith(b"\x89PNG")
    panels = [axes for axes in figure.axes if axes.get_title(loc="left")]
    assert [axes.get_title(loc="left").partition(",")[0] for axes in panels] == ["9 trials", "9 trials"]
    tried = [{round(float(value), 9) for value in axes.lines[0].get_xdata()} for axes in panels]
    assert [len(values) for values in tried] == [9, 3]
    with pytest.raises(ValueError, match="of the same space, with at least two ranges"):
        plot_random_against_grid(random, result_of(network, {"lr": search.LogUniform(1e-3, 1.0)}, trials=2, epochs=1))


def test_the_grid_beside_a_search_has_as_many_trials_as_its_first_stage(searched):
    assert f"{searched.stages[0].trials} trials, random" in page(searched)
    assert f"a grid of {searched.stages[0].trials}" in page(searched)


def test_a_picture_of_what_failed_is_empty_and_one_of_another_format_refused(failed, tmp_path):
    assert len(failed.plot().axes[0].collections[0].get_offsets()) == 0
    with pytest.raises(ValueError, match="no supported file extension"):
        failed.plot(tmp_path / "search.gif")


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
def test_the_page_opens_without_a_word_and_fits(browser, searched, tmp_path):
    path = tmp_path / "search.html"
    searched.to_html(path)
    messages = []
    shown = browser.new_page(offline=True)
    shown.on("console", lambda message: messages.append(message.text))
    shown.on("pageerror", lambda error: messages.append(str(error)))
    shown.on("request", lambda request: request.url.startswith(("file:", "data:")) or messages.append(request.url))
    for (width, height), scheme in itertools.product([(390, 844), (1280, 900)], ["light", "dark"]):
        with case(width=width, scheme=scheme):
            shown.set_viewport_size({"width": width, "height": height})
            shown.emulate_media(color_scheme=scheme)
            shown.goto(path.as_uri())
            assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")
            light = shown.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (sum(int(part) for part in light[4:-1].split(",")) > 384) == (scheme == "light")
            heading = shown.locator(".verdict h2").first.inner_text()
            assert re.search(r"Best validation accuracy: \d", heading)
            assert not messages
    shown.close()


# Whatever names, values and errors say.

ODD = ["[/b]x", "<script>alert(1)</script>", "a$b$c^_{", "\udc80", "x\x1b[31m", "[red]", ":smile:", "", "é" * 60]
ERROR = "cannot read [/data/train.csv] :smile: \x1b[2J <b>bold</b> \udc80 ünï $x^$\nsecond line"


def odd(params):
    if params["lr"] > 0.3:
        raise ValueError(ERROR)
    return network({"lr": 0.1})


def odd_space():
    ranges = {name: search.Uniform(0.0, 1.0) for name in ("lr", *ODD)}
    return ranges | {"[/]": search.Choice("[/i]", "<b>", "\x1b[3m", "\udc80")}


@pytest.fixture(scope="module")
def oddly_named(tmp_path_factory):
    settings = {"trials": 24, "epochs": 1, "folder": tmp_path_factory.mktemp("odd") / "run"}
    first = result_of(odd, odd_space(), **settings)
    again = result_of(odd, odd_space(), **settings)
    assert [trial.reason for trial in first.trials] == [trial.reason for trial in again.trials]
    assert {trial.ended for trial in first.trials} == {"finished", "failed"}
    return first


def test_odd_names_and_errors_stand_on_the_page_as_text(oddly_named, tmp_path):
    oddly_named.to_html(tmp_path / "s.html")
    text = (tmp_path / "s.html").read_text(encoding="utf-8")
    assert "<script>alert" not in text and "<b>bold" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert not [char for char in text if not char.isprintable() and char not in "\n\t"]


@pytest.mark.filterwarnings("ignore:Glyph:UserWarning")
@pytest.mark.parametrize("ending", ["png", "svg"])
def test_odd_names_stand_in_the_picture_letter_by_letter(oddly_named, tmp_path, ending):
    oddly_named.plot(tmp_path / f"s.{ending}")
    assert (tmp_path / f"s.{ending}").stat().st_size > 1000


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self):
        return True


class Refusing(Screen):
    """A terminal that has gone."""

    def write(self, text):
        raise BrokenPipeError

    def flush(self):
        raise ValueError("I/O operation on closed file")


class Simple:
    """What has a write and nothing more."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text


def shown(monkeypatch, stream):
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "400")
    return result_of(odd, odd_space(), trials=8, epochs=1, progress=True)


def test_odd_names_and_errors_are_shown_on_a_terminal(monkeypatch):
    screen = Screen()
    shown(monkeypatch, screen)
    text = screen.getvalue()
    assert "[/b]x" in text and ":smile:" in text and "[/data/train.csv]" in text
    assert "\x1b[2J" not in text and "\udc80" not in text


def test_lines_take_any_stream(monkeypatch):
    simple = Simple()
    shown(monkeypatch, simple)
    assert simple.text.count("\n") == 8
    assert "cannot read [/data/train.csv] :smile: \\x1b[2J <b>bold</b> \\udc80 ünï $x^$ second line" in simple.text


@pytest.mark.parametrize(
    "make",
    [Refusing, lambda: None, lambda: io.TextIOWrapper(io.BytesIO(), "ascii")],
    ids=["gone", "none", "ascii"],
)
def test_a_stream_that_takes_nothing_ends_no_search(monkeypatch, make):
    assert len(shown(monkeypatch, make()).trials) == 8


def test_a_closed_stream_ends_no_search(monkeypatch):
    stream = io.StringIO()
    stream.close()
    assert len(shown(monkeypatch, stream).trials) == 8
