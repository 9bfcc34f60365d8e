"""The report of preflight: its status, its text, the rates that it names, and its page."""

import re

import pytest
from html_contents import Contents
from preflight_networks import network, trainer_of

import pynn
from pynn.babysit.preflight import Check, Report, preflight
from pynn.babysit.preflight.report import failed, noted, passed, skipped, warned

pytestmark = pytest.mark.usefixtures("seeded")


def test_a_rate_interval_holds_rates_that_train(classes):
    trainer = trainer_of(network(12, [24], 3), optimizer=pynn.SGD(1e-6, momentum=0.9))
    evidence = preflight(trainer, *classes)["learning rate"].evidence
    low, high = (float(word) for word in evidence.split("between ")[1].split(" they")[0].split(" and "))
    assert 1e-4 <= low <= 0.1 <= high <= 10


def test_reports_tell_the_worst_and_list_what_is_wrong():
    report = Report([passed("a", "fine"), skipped("b", "no data"), warned("c", "dead_units", "half", "Do.", "1.ReLU")])
    assert (report.status, report.ok, len(report.failures), len(report.warnings)) == ("warn", True, 0, 1)
    report.checks.append(failed("d", None, "gone", "Run."))
    assert (report.status, report.ok, report.failures[0].name) == ("fail", False, "d")
    assert report.summary() == "1 failed (d), 1 warned (c), 1 passed, 1 skipped"
    assert Report([skipped("b", "no data")]).status == "pass"
    assert Report().status == "pass"
    note = noted("f", None, "slow", "Speed up.")
    assert (Report([note]).status, Report([note]).ok, Report([note]).warnings) == ("pass", True, [])
    assert "-> Speed up." in str(Report([note]))
    assert "Speed up." in repr(Report([note]))
    text = str(report)
    for expected in ("warn  c", "1.ReLU: half", "-> Do.", "-> Run.", "preflight: 1 failed"):
        assert expected in text
    assert "Nothing to do" not in text
    with pytest.raises(KeyError, match="expected one of a, b, c, d"):
        report["e"]
    with pytest.raises(ValueError, match="expected one of"):
        Check("a", "pass", "headache", None, "", "")


def test_the_page_holds_every_check_escaped_and_needs_nothing_else(tmp_path):
    nasty = '<script>alert("1")</script> & more'
    report = Report([passed("input scale", "rms 1"), failed("gradient check", "not_learning", nasty, nasty, "1.<b>")])
    report.to_html(tmp_path / "report.html")
    content = (tmp_path / "report.html").read_text(encoding="utf-8")
    contents = Contents(content)
    assert all(link.startswith("data:") for link in contents.having("href") + contents.having("src"))
    text = contents.text
    for check in report:
        assert check.name in text
        assert check.evidence in text
    assert nasty not in content
    assert "url(" not in content
    assert "prefers-color-scheme: dark" in content
    assert "width=device-width" in content
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_the_page_begins_with_what_is_wrong_the_worst_first():
    checks = [
        passed("a", "fine"),
        noted("b", None, "slow", "Do."),
        failed("c", None, "gone", "Run."),
        passed("d", "well"),
    ]
    content = str(Report(checks).to_html())
    assert re.findall("<h3>(.)</h3>", content) == ["c", "b", "a", "d"]
    assert re.findall("<h2>(.*?)</h2>", content) == ["Checks that failed, warned or noted something", "Other checks"]
    assert re.findall("<h2>(.*?)</h2>", str(Report(checks[:1]).to_html())) == ["Checks"]


def test_the_page_of_a_real_report_holds_all_its_checks(tmp_path, classes):
    report = preflight(trainer_of(network(12, [24], 3), optimizer=pynn.SGD(50.0)), *classes)
    report.to_html(tmp_path / "report.html")
    text = Contents((tmp_path / "report.html").read_text(encoding="utf-8")).text
    assert all(check.name in text and check.evidence in text for check in report)
    assert "Preflight: fail" in text
