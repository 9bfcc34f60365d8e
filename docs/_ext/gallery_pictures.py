"""Pictures of the gallery: what `pynn.plots` returns, as a notebook would show it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sphinx_gallery.scrapers import figure_rst

from pynn.report.picture import Picture


def scraper(block: tuple[Any, ...], block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Return the reST of the picture that is a block's last expression, if it is one."""
    del block
    # sphinx-gallery keeps the value of the last expression under this name, also through blocks that end in another.
    shown = block_vars["example_globals"].get("___")
    if not isinstance(shown, Picture) or block_vars.get("last picture") is shown:
        return ""
    block_vars["last picture"] = shown
    path = next(block_vars["image_path_iterator"])
    Path(path).write_bytes(shown._repr_png_()[0])
    return figure_rst([path], gallery_conf["src_dir"])
