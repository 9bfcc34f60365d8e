"""HTML in pynn's style: self-contained pages, and what objects show of themselves in a notebook."""

from __future__ import annotations

import base64
import hashlib
import re
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from ..utils.files import write_atomically

#: Control characters, which HTML forbids; names and errors may contain them.
NO_CONTROLS = dict.fromkeys({*range(32), 127} - set(map(ord, "\t\n\r")), "\N{REPLACEMENT CHARACTER}")
#: Marks of a dark theme: JupyterLab and nbconvert; VS Code; Colab; documentation themes of Sphinx.
DARK = '[data-jp-theme-light="false"], .vscode-dark, html[theme="dark"], [data-theme="dark"]'


class Page(str):
    """A page as text; as the result of a notebook cell, it shows the page.

    Examples
    --------
    >>> Page("<!doctype html>")
    <HTML page of 15 characters; print it, or let to_html(path) write it>
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<HTML page of {len(self):,} characters; print it, or let to_html(path) write it>"

    def _repr_html_(self) -> str:
        # A frame of its own: neither the page's styles nor its ids meet those of the notebook.
        style = "width: 100%; height: 40rem; border: 0"
        return f'<iframe sandbox="allow-scripts" style="{style}" srcdoc="{escape(self)}"></iframe>'


def delivered(page: str, path: str | Path | None) -> Page | None:
    """Write a page to a file, atomically; without a path, return it."""
    page = _clean(page)
    if path is None:
        return Page(page)
    write_atomically(path, page.encode())
    return None


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
    script = _part("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    light, dark = (f":root {{ {_part(name)} }}" for name in ("light.css", "dark.css"))
    theme = f"{light} @media (prefers-color-scheme: dark) {{ {dark} }}"
    style = "\n".join((theme, _part("page.css"), _part("parts.css"), style))
    body += "\n<footer>Written by pynn. Nothing on this page is loaded from elsewhere.</footer>"
    template = Template(_part("page.html"))
    return template.substitute(title=escape(title), style=style, body=body, script=script, script_hash=digest)


def fragment(body: str, style: str = "") -> str:
    """Return HTML for a notebook's output: its styles apply to nothing else, and follow the notebook's theme.

    Parameters
    ----------
    body : str
        HTML as in `document`. The values that a chart shows on hover are left out, since no script reads them.
    style : str
        Additional CSS.
    """
    body = re.sub(r'<script type="application/json">[^<]*</script>', "", _clean(body))
    # Several outputs share one page, so their ids must differ.
    mark = hashlib.sha256(body.encode()).hexdigest()[:8]
    body = re.sub(r'( id="| href="#)', rf"\1pynn-{mark}-", body)
    # The class twice: more specific than the notebook's own rules.
    rules = "\n".join((_part("light.css"), _part("parts.css"), style, _part("notebook.css")))
    dark = f":is({DARK}) .pynn.pynn {{ {_part('dark.css')} }}"
    style = f"<style>.pynn.pynn {{ {rules} }}\n{dark}</style>"
    # Names with dollar signs are not formulas, which notebooks typeset.
    return f'<div class="pynn tex2jax_ignore mathjax_ignore">{style}{body}</div>'


def table(caption: str, heads: list[str], rows: list[list[str]], texts: tuple[str, ...] = ()) -> str:
    """Return a table that scrolls horizontally.

    The first cell of each row is plain text, the others are HTML: figures, or texts in the columns whose heads are
    `texts`. Without text, the heads are left out.
    """
    kinds = [' class="text"' if head in texts else "" for head in heads]
    head = "".join(f'<th scope="col"{kind}>{escape(text)}</th>' for text, kind in zip(heads, kinds, strict=True))
    shown = f"<thead><tr>{head}</tr></thead>" if any(heads) else ""
    body = ""
    for first, *cells in rows:
        figures = "".join(f"<td{kind}>{cell}</td>" for cell, kind in zip(cells, kinds[1:], strict=True))
        body += f'<tr><th scope="row" title="{escape(first)}">{escape(first)}</th>{figures}</tr>'
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption>{shown}<tbody>{body}</tbody></table></div>"
    )


def facts(pairs: list[tuple[str, str]]) -> str:
    """Return names and values, both plain text, as a row of tiles."""
    cells = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in pairs)
    return f'<dl class="facts">{cells}</dl>' if cells else ""


def _part(name: str) -> str:
    return files(__package__).joinpath("files", name).read_text(encoding="utf-8")


def _clean(page: str) -> str:
    # Names may contain lone surrogates, which UTF-8 cannot encode.
    return page.translate(NO_CONTROLS).encode("utf-8", "replace").decode()
