"""Self-contained HTML pages in pynn's style."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from importlib.resources import files
from string import Template


def document(title: str, body: str, style: str = "") -> str:
    """Return a self-contained page in pynn's style.

    Parameters
    ----------
    title : str
        Plain text.
    body : str
        HTML: a header and a main part.
    style : str
        Additional CSS.
    """
    parts = files(__package__).joinpath("files")
    script = parts.joinpath("page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    template = Template(parts.joinpath("page.html").read_text(encoding="utf-8"))
    style = parts.joinpath("page.css").read_text(encoding="utf-8") + style
    body += "\n<footer>Written by pynn. Nothing on this page is loaded from elsewhere.</footer>"
    return template.substitute(title=escape(title), style=style, body=body, script=script, script_hash=digest)


def table(caption: str, heads: list[str], rows: list[list[str]]) -> str:
    """Return a table that scrolls horizontally; the first cell of each row is text, the others are HTML."""
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = ""
    for first, *cells in rows:
        figures = "".join(f"<td>{cell}</td>" for cell in cells)
        body += f'<tr><th scope="row" title="{escape(first)}">{escape(first)}</th>{figures}</tr>'
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
