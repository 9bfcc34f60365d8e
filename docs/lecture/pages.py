"""Writes these pages, their pictures and the README's part from lecture.json, the results of ``pynn lecture``.

python docs/lecture/pages.py           from the project folder
python docs/lecture/pages.py --check   only says whether they are up to date
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from pynn.lecture import ExperimentResult, load
from pynn.lecture.catalogue import SECTIONS, experiments
from pynn.lecture.entry import LABELS, headline, label_of, spread
from pynn.lecture.pictures import write_picture

FOLDER = Path(__file__).parent
README = FOLDER.parents[1] / "README.md"
MARKS = "<!-- lecture: docs/lecture/pages.py -->\n", "<!-- end of lecture -->"
RESULTS = FOLDER / "lecture.json"
#: Pixels per inch of the pictures: enough to read, a few kilobytes each.
DPI = 64

HEAD = """# The lecture, claim by claim

Every claim of CS231n's *Training Neural Networks, Part 1*, and of the notes and papers behind it, as an experiment:
`pynn lecture NAME` repeats one, `pynn lecture` all of them. Each figure of a claim has a band, and the band a reason.
Bands were fixed before the figures were measured; exceptions are named below. An experiment runs with {seeds} seeds.
A figure is in its band if it is so for at least four of five seeds. The first figure decides whether the claim is
reproduced. The others are its further parts and controls, and can make it "partly". What one processor cannot do
(ImageNet, 30 convolutions) is scaled down, and says so. [notes.md](notes.md) has what the lecture says, each statement
with the names of its experiments.

Not everything was settled blind. Where the phenomenon could not occur at first, the set-up was changed after a look:
dead-relu, dead-for-good, relu-bias, leaky-lives, maxout-lives, whitening and edge-of-range. dead-relu lost the
condition that the network still learns at that rate, which the notes do not have; the share with it is shown beside.
dead-for-good got its band for "partly" afterwards; by its first band alone it is not reproduced.

{counts}

These pages are written by `python docs/lecture/pages.py` from [lecture.json](lecture.json), which holds every figure of
every run. An experiment is one short file in [pynn/lecture/claims](../../pynn/lecture/claims).
"""


def texts_of(results: dict[str, ExperimentResult]) -> dict[Path, str]:
    """Return the text of each page by its path."""
    found = {FOLDER / f"{section}.md": _section(section, title, results) for section, title in SECTIONS.items()}
    seeds = max(len(result.trials) for result in results.values())
    parts = [HEAD.format(seeds=seeds, counts=_counts(results))]
    for section, title in SECTIONS.items():
        parts.append(f"\n## {title}\n\n| experiment | claim | outcome | first figure (band) |\n|---|---|---|---|")
        for item in experiments().values():
            if item.section == section:
                result = results.get(item.name)
                figure = headline(item, result).replace("|", "\\|")
                parts.append(
                    f"| [{item.name}]({section}.md#{item.name}) | {item.claim} | {_outcome(result)} | {figure} |"
                )
    found[FOLDER / "README.md"] = "\n".join(parts) + "\n"
    before, rest = README.read_text(encoding="utf-8").split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    found[README] = f"{before}{MARKS[0]}\n{_summary(results)}\n\n{MARKS[1]}{after}"
    return found


def _counts(results: dict[str, ExperimentResult]) -> str:
    counts = Counter(_outcome(results.get(name)) for name in experiments())
    return f"Of {len(experiments())} experiments: {', '.join(f'{n} {words}' for words, n in counts.most_common())}."


def _summary(results: dict[str, ExperimentResult]) -> str:
    """Return the README's part: how many claims are reproduced."""
    return (
        f"Each claim is an experiment, with a band fixed in advance. {_counts(results)} [All](docs/lecture/README.md)."
    )


def _outcome(result: ExperimentResult | None) -> str:
    return label_of(result).words


def _section(section: str, title: str, results: dict[str, ExperimentResult]) -> str:
    parts = [f"# {title}\n\n[All claims](README.md)\n"]
    for item in experiments().values():
        if item.section != section:
            continue
        result = results.get(item.name)
        parts.append(f"## {item.name}\n\n**{item.claim}** ({item.source})\n\n{item.setup}\n")
        if item.analogue:
            parts.append(f"Scaled-down analogue. {item.analogue}\n")
        if result is None or not result.trials:
            parts.append("Not run.\n")
            continue
        parts.append("| figure | mean ± std | band | why | |\n|---|---|---|---|---|")
        figures = result.figures
        for band in item.bands:
            mark = LABELS[band.outcome(figures[band.figure])].symbol
            cells = (band.figure, spread(figures[band.figure]), str(band), band.why, mark)
            parts.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        parts.append(f"\n**{_outcome(result).capitalize()}.** {item.remark}".rstrip() + "\n")
        parts.append(f"![{item.name}](pictures/{item.name}.png)\n")
        given = "".join(f", {name} = {value:g}" for name, value in result.settings.items())
        code = f"[code](../../pynn/lecture/claims/{section}/{item.name.replace('-', '_')}.py)"
        parts.append(f"{len(result.trials)} seeds{given}, {result.seconds:,.1f} s; {code}\n")
    return "\n".join(parts)


def main() -> int:
    """Write the pages and pictures, or check them."""
    stored = {result.experiment.name: result for result in load(RESULTS)}
    results = {name: stored[name] for name in experiments() if name in stored}
    texts = texts_of(results)
    if "--check" in sys.argv[1:]:
        stale = [str(path) for path, text in texts.items() if not path.exists() or path.read_text("utf-8") != text]
        print("up to date" if not stale else f"out of date: {', '.join(stale)}")
        return bool(stale)
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    pictures = FOLDER / "pictures"
    pictures.mkdir(exist_ok=True)
    for name, result in results.items():
        if result.trials:
            write_picture(result, pictures / f"{name}.png", dpi=DPI)
    return 0


if __name__ == "__main__":
    sys.exit(main())
