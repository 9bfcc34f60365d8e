"""The list of the modules whose source the site shows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def flat(body: str) -> str:
    """Return the page with one list of pynn's modules.

    `sphinx.ext.viewcode` puts inner lists between the items of the outer one, which is not valid HTML, and
    lists modules of the standard library.
    """
    heading, _, rest = body.partition("<ul>")
    return f"{heading}<ul>{''.join(re.findall('<li><a [^>]*>pynn.*?</li>', rest))}</ul>"


def _on_page(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: object) -> None:
    if pagename == "_modules/index":
        context["body"] = flat(context["body"])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register."""
    app.connect("html-page-context", _on_page)
    return {"parallel_read_safe": True}
