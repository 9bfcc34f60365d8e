"""Live output in a notebook, without a notebook."""

import sys
from types import SimpleNamespace

from rich.text import Text

from pynn.report.live import NotebookLive, drawing


def test_drawn_text_is_escaped_and_inherits_its_colour():
    drawn = drawing(Text("<b>[bold]&").append(" worse", style="red"))
    assert drawn["text/plain"] == "<b>[bold]& worse"
    assert "&lt;b&gt;[bold]&amp;<span" in drawn["text/html"]
    assert drawn["text/html"].count("color") <= 2  # of the red part: the rest is light on dark, and dark on light


def test_one_output_is_redrawn(monkeypatch):
    drawn = []
    handle = SimpleNamespace(update=lambda data, raw: drawn.append(("update", data["text/plain"])))

    def display(data, *, raw, display_id):
        drawn.append(("display", data["text/plain"]))
        return handle

    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))
    live = NotebookLive()
    for text in ("a", "b", "c"):
        live.update(text)
    live.stop()
    assert drawn == [("display", "a"), ("update", "b"), ("update", "c")]
