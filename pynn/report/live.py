"""Live output in a notebook: what `rich.live.Live` is on a terminal."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType

#: Characters per line.
WIDTH = 100
#: Colours that are readable on white and on near-black: those of a terminal, normal and bright.
_NORMAL = [(110, 118, 126), (205, 66, 58), (34, 148, 92), (184, 122, 8), (31, 135, 200), (181, 83, 143), (22, 148, 158)]
_STYLE = "margin: 0 0 0.5rem; white-space: pre; overflow-x: auto; font: 0.82rem/1.25 monospace"
_FORMAT = f'<pre style="{_STYLE}">{{code}}</pre>'


class NotebookLive:
    """One output of a notebook cell, redrawn in place; the notebook keeps the last drawing.

    rich itself needs ipywidgets for that, and makes an output of every line that it prints. The methods are those of
    `rich.live.Live`.
    """

    def __init__(self) -> None:
        self._handle: Any = None

    def update(self, renderable: RenderableType, *, refresh: bool = True) -> None:
        """Draw, instead of what was drawn before."""
        from IPython.display import display

        drawn = drawing(renderable)
        if self._handle is None:
            self._handle = display(drawn, raw=True, display_id=True)
        else:
            self._handle.update(drawn, raw=True)

    def stop(self) -> None:
        """Leave the last drawing as it is."""


def drawing(renderable: RenderableType) -> dict[str, str]:
    """Return a renderable as HTML and as plain text, by mime type.

    Examples
    --------
    >>> drawing("epoch 1/2")["text/plain"]
    'epoch 1/2'
    """
    from rich.console import Console
    from rich.terminal_theme import TerminalTheme

    console = Console(file=io.StringIO(), record=True, width=WIDTH, force_jupyter=False, force_terminal=False)
    console.print(renderable)
    theme = TerminalTheme((255, 255, 255), (0, 0, 0), [*_NORMAL, (140, 148, 156)])
    html = console.export_html(theme=theme, code_format=_FORMAT, inline_styles=True, clear=False)
    return {"text/html": html, "text/plain": console.export_text().rstrip("\n")}
