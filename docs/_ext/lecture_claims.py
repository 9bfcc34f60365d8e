"""The directive ``claim``: a claim of the lecture, its outcome and its picture, from the stored results."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sphinx.util.docutils import SphinxDirective

from pynn.lecture import ExperimentResult, load
from pynn.lecture.entry import headline, label_of

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx

RESULTS = Path(__file__).parents[1] / "lecture" / "lecture.json"


@cache
def results() -> dict[str, ExperimentResult]:
    """Return the stored results by the names of their experiments."""
    return {result.experiment.name: result for result in load(RESULTS)}


def text_of(name: str) -> str:
    """Return the Markdown of a claim."""
    if name not in results():
        raise ValueError(f"no stored result of a claim {name!r}; there are {', '.join(results())}")
    result = results()[name]
    item, label = result.experiment, label_of(result)
    parts = [f"**Claim: {item.claim}** ({item.source})"]
    parts.append(f"{label.symbol} *{label.words.capitalize()}:* {headline(item, result)}. {item.remark}".rstrip())
    parts.append(f"![Measured for the claim {name}](/lecture/pictures/{name}.png)")
    parts.append(
        f"[Every figure, band and reason, and the code](/lecture/{item.section}.md#{name}). "
        f"`pynn lecture {name}` repeats it."
    )
    return "\n\n".join(parts)


class Claim(SphinxDirective):
    """Shows the claim that the argument names."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the claim's nodes."""
        self.env.note_dependency(RESULTS)
        text = f":::::{{div}} claim\n{text_of(self.arguments[0])}\n:::::"
        return self.parse_text_to_nodes(text)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("claim", Claim)
    return {"parallel_read_safe": True}
