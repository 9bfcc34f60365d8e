"""Links of the Markdown pages that lead out of the site.

The pages are also read in the repository, where a link may lead to its other files. In the site a link to a Markdown
file or a folder that is no page of the site becomes its path, as text; a link to any other file stays, as a download.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(((?:\.\./)+[^)#]+)(#[^)]*)?\)")


def within_site(text: str, page: Path, site: Path) -> str:
    """Return a page's text with links that the site cannot follow replaced by paths."""

    def replaced(match: re.Match[str]) -> str:
        target = (page.parent / match[2]).resolve()
        outside = not target.is_relative_to(site) and target.exists()
        if outside and (target.is_dir() or target.suffix == ".md"):
            return f"{match[1]} (`{target.relative_to(site.parent)}` in the sources)"
        return match[0]

    return LINK.sub(replaced, text)


def _on_read(app: Sphinx, docname: str, content: list[str]) -> None:
    page = Path(app.env.doc2path(docname))
    if page.suffix == ".md":
        content[0] = within_site(content[0], page, Path(app.srcdir).resolve())


def setup(app: Sphinx) -> dict[str, bool]:
    """Register."""
    app.connect("source-read", _on_read)
    return {"parallel_read_safe": True}
