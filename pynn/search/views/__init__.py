"""How a search is shown: as an HTML page, and as matplotlib figures; neither is imported before it is used."""
