"""Views of a search: an HTML page and matplotlib figures, imported on first use."""
