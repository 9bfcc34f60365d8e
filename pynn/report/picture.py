"""A matplotlib figure that shows itself as the result of a notebook cell."""

import io

from matplotlib.figure import Figure

#: Pixels per inch at which a page shows a picture; the picture has more, for sharp screens.
SHOWN_DPI = 96


class Picture(Figure):
    r"""A figure with a picture for notebooks, which otherwise show only figures of pyplot.

    Examples
    --------
    >>> picture = Picture(figsize=(2, 1), dpi=192)
    >>> content, shown = picture._repr_png_()
    >>> content[:4], shown
    (b'\x89PNG', {'width': 192})
    """

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        content = io.BytesIO()
        self.savefig(content, format="png")
        return content.getvalue(), {"width": round(self.get_figwidth() * SHOWN_DPI)}
