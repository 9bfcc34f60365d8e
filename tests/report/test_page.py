"""HTML for pages and notebooks: text stays text, and one rule for to_html."""

import pytest

import pynn
from pynn.babysit.preflight.report import Report, failed, passed
from pynn.report.history import history_charts
from pynn.report.page import Page, delivered, document, fragment, table
from pynn.training.history import History

NASTY = "<b>&\x00\ud800$x$"


def test_a_page_goes_to_its_path_or_comes_back(tmp_path):
    report = Report([passed("input scale", NASTY)])
    assert report.to_html(tmp_path / "report.html") is None
    page = report.to_html()
    assert isinstance(page, str)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page
    assert page.startswith("<!doctype html>")


def test_monitors_follow_the_same_rule(tmp_path):
    monitor = pynn.Monitor()
    assert monitor.to_html(tmp_path / "run.html") is None
    assert (tmp_path / "run.html").read_text(encoding="utf-8") == monitor.to_html()
    with pytest.warns(DeprecationWarning, match="to_html"):
        assert monitor.report() == monitor.to_html()


def test_what_utf_8_or_html_forbids_is_replaced():
    for html in (delivered(document("t", NASTY), None), fragment(NASTY)):
        html.encode()
        assert "\x00" not in html and "�" in html


def test_a_page_shows_itself_in_a_frame_and_is_short_elsewhere():
    page = Page('<p title="a & b">')
    assert 'srcdoc="&lt;p title=&quot;a &amp; b&quot;&gt;"' in page._repr_html_()
    assert repr(page) == "<HTML page of 17 characters; print it, or let to_html(path) write it>"
    assert str(page) == '<p title="a & b">'


def test_a_fragment_has_no_hover_values_and_no_formulas():
    html = fragment('<figure><script type="application/json">{"a":"\\u003c"}</script></figure>')
    assert "script" not in html
    assert "mathjax_ignore" in html


def test_texts_in_tables_are_on_the_left():
    html = table("t", ["a", "b", "c"], [["<x>", "1", "2"]], ("b",))
    assert "&lt;x&gt;" in html
    assert '<td class="text">1</td><td>2</td>' in html


def test_a_report_is_short_in_a_terminal():
    report = Report([passed("input scale", "rms 1"), failed("learning rate", None, "too high", "Lower it.")])
    lines = repr(report).splitlines()
    assert lines[0] == "preflight: 1 failed (learning rate), 1 passed"
    assert "learning rate" in lines[1] and "Lower it." in lines[2]
    assert "input scale" not in repr(report)


def test_metrics_have_their_usual_names():
    history = History()
    for epoch in (1, 2):
        history.append(epoch, {"loss": 1 / epoch, "val_r2": 1 - 1 / epoch, "val_roc_auc": 0.5, "lr": 0.1})
    html = history_charts(history)
    assert html.index("<h3>Loss</h3>") < html.index("<h3>R²</h3>") < html.index("<h3>ROC AUC</h3>")
    assert "Lr" not in html
