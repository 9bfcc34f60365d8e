"""Write the tables of docs/benchmarks.md, and the README's two, from `bench/results` and `bench/faults`.

Run ``python bench/readme_tables.py``; with ``--check`` it only reports whether both are up to date.
"""

import json
import sys
from pathlib import Path

from pynn.bench import report, results
from pynn.bench.contestants import CONTESTANTS

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from bench.faults.score import CURED, share  # noqa: E402 - the folder is not an installed package

FIGURES = (ROOT / "bench" / "results" / name for name in ("one-thread.json", "two-threads.json"))
README, BENCHMARKS = ROOT / "README.md", ROOT / "docs" / "benchmarks.md"
CORPUS, REMEDIES = (ROOT / "bench" / "faults" / name for name in ("summary.json", "remedies.json"))
WATCHING, BUDGET, LONG = (
    ROOT / "bench" / "results" / name for name in ("watching.json", "watching_budget.json", "long_run.json")
)
MEMORY = ROOT / "bench" / "results" / "memory.json"
SPEED_MARKS = "<!-- figures: bench/readme_tables.py -->", "<!-- end of figures -->"
SEARCHING = ROOT / "bench" / "results" / "searching.json"
SEARCH_MARKS = "<!-- search: bench/readme_tables.py -->", "<!-- end of search -->"
CORPUS_MARKS = "<!-- corpus: bench/readme_tables.py -->", "<!-- end of corpus -->"
#: The rows of the monitor's table that the README shows.
AT_A_GLANCE = (
    "verdict names the cause",
    "healthy runs with a warning or error",
    "faults seen before training",
    "curable faults that diagnose cures",
)
#: Groups shown with all rows; the others only with geometric means.
IN_FULL = ("step",)


def markdown(rows: list[list[str]]) -> str:
    """Return rows of text, headings first, as a Markdown table; all columns except the first are numbers."""
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "|---|" + "---:|" * (len(rows[0]) - 1), *body])


def section(found: list[results.Results]) -> str:
    """Return the text between the marks."""
    parts = []
    for result in found:
        threads = "one thread" if result.threads == 1 else f"{result.threads} threads"
        tables = {table.group: table for table in report.tables(result)}
        for group in IN_FULL:
            table = tables.pop(group)
            parts.append(f"Training steps, {threads}:\n\n" + markdown([table.headings, *table.rows]))
        titles = list(dict.fromkeys(title for table in tables.values() for title in table.headings[4:]))
        means = [["", "rows", *titles]]
        for table in tables.values():
            mean = dict(zip(table.headings[4:], table.rows[-1][4:], strict=True))
            means.append([table.group, str(len(table.rows) - 1), *(mean.get(title, "") for title in titles)])
        if tables:
            parts.append(f"Ops, {threads}, geometric means:\n\n" + markdown(means))
    parts.append(memory())
    setting = found[0].setting
    machine = f"Measured on {machine_of(found[0])} with Python {setting['python']}"
    names = ("numpy", "numba", "torch", "jax", "scikit-learn")
    versions = ", ".join(f"{name} {setting[name]}" for name in names if name in setting)
    spread = max(report.spread(result) for result in found)
    noise = (
        f"In a typical row, half of the rounds give a ratio within {spread:.0%} of the median shown. Between "
        "runs, which lay out memory anew, single rows vary more: rows of activations have varied by a third."
    )
    return "\n\n".join([*parts, f"{machine}, {versions}. {noise}"])


def speed_at_a_glance(found: list[results.Results]) -> str:
    """Return the README's table: how many times as fast a training step is, by number of threads, and the machine."""
    means: dict[str, dict[str, str]] = {}
    for result in found:
        table = next(table for table in report.tables(result) if table.group == "step")
        threads = "one thread" if result.threads == 1 else f"{result.threads} threads"
        means[threads] = dict(zip(table.headings[4:], table.rows[-1][4:], strict=True))
    titles = [title for title in next(iter(means.values())) if not title.startswith("own")]
    rows = [["training steps, times as fast as", *titles]]
    rows += [[threads, *(mean.get(title, "") for title in titles)] for threads, mean in means.items()]
    return markdown(rows) + f"\n\nGeometric means over the networks that a library ran, on {machine_of(found[0])}."


def machine_of(result: results.Results) -> str:
    """Return the processor's name and instruction set."""
    return f"{result.setting['processor']} ({result.setting['instruction_set']})"


def memory() -> str:
    """Return the table of peak memory per training step."""
    peaks = json.loads(MEMORY.read_text())["bytes"]
    names = list(dict.fromkeys(name for sizes in peaks.values() for name in sizes))
    rows = [["peak memory of a step, MB", *(CONTESTANTS[name].title for name in names)]]
    for workload, sizes in peaks.items():
        rows.append([workload, *(f"{sizes[name] / 1e6:.0f}" if name in sizes else "" for name in names)])
    return markdown(rows)


def corpus() -> str:
    """Return the monitor's figures on untuned runs, with 95% intervals, and when they were measured."""
    day = json.loads(CORPUS.read_text())["measured"]
    table = markdown([["", "value [95% interval] of count"], *map(list, diagnosis().items())])
    return f"{table}\n\nMeasured on {day}, with the rules of that day."


def diagnosis_at_a_glance() -> str:
    """Return the README's rows of the monitor's figures."""
    found = diagnosis()
    return markdown([["", "value [95% interval] of count"], *([title, found[title]] for title in AT_A_GLANCE)])


def diagnosis() -> dict[str, str]:
    """Return the monitor's figures by their titles."""
    summary: dict[str, str] = json.loads(CORPUS.read_text())["report"]
    cured = [run for run in json.loads(REMEDIES.read_text()) if run["curable"] and run["part"] == "report"]
    hits = sum(run["cured"] is not None and run["cured"] >= CURED * run["twin"] for run in cured)
    summary["curable faults that diagnose cures"] = str(share(hits, len(cured)))
    return summary


def watching() -> str:
    """Return the table of the monitor's overhead."""
    every, budget = (json.loads(path.read_text()) for path in (WATCHING, BUDGET))
    head = ["time of a watched step over that of an unwatched one", *every["workloads"]]
    rows = [
        [title, *(f"{row['ratio']:.2f}" for row in found["workloads"].values())]
        for title, found in (("every step", every), (f"`budget={budget['budget']:g}`", budget))
    ]
    long = json.loads(LONG.read_text())
    steps, rows_kept, memory, page = (long[name] for name in ("steps", "rows", "memory_mb", "report_mb"))
    kept = (
        f"In a run of {steps:,} steps the monitor keeps {rows_kept} rows and takes {memory:.0f} MB of memory; its HTML "
        f"report takes {page:.1f} MB."
    )
    return markdown([head, *rows]) + "\n\n" + kept


def searching() -> str:
    """Return the gain and overhead of searching."""
    found = json.loads(SEARCHING.read_text())
    coarse, grid, overhead, parallel, kill = (
        found[part] for part in ("coarse", "grid", "overhead", "parallel", "kill")
    )
    repetitions = (len(runs) for runs in coarse["runs"].values())
    early, both = "random, hopeless trials end early", "coarse to fine, hopeless trials end early"
    rows = [["to reach a validation accuracy of", f"{early}: time", f"{both}: steps", f"{both}: time"]]
    for problem, targets in coarse["summary"].items():
        for goal, by_strategy in targets.items():
            cells = by_strategy[early]["seconds"], by_strategy[both]["steps"], by_strategy[both]["seconds"]
            figures = [f"{cell['times less']:.1f} [{cell['low']:.1f}, {cell['high']:.1f}]" for cell in cells]
            rows.append([f"{float(goal):.1%} on {problem}", *figures])
    gain, error = (100 * grid[key]["test"] for key in ("gain", "standard error"))
    return (
        "The table shows how many times fewer steps or less time a search needs than plain random search with "
        f"{coarse['trials']} trials of {coarse['epochs']} epochs, with 95% intervals; the three problems have "
        f"{', '.join(map(str, repetitions))} repetitions:\n\n"
        f"{markdown(rows)}\n\n"
        f"Random and grid search were compared with {grid['trials']} trials each, on two parameters that matter and "
        "three that matter little. The network that random search finds is "
        f"{gain:.1f} ± {error:.1f} points more accurate on MNIST's test set (mean and standard error), and more "
        f"accurate in {grid['random better']['test']} of {grid['repetitions']} repetitions. The overhead of a trial is "
        f"{overhead['here']['ms']:.1f} ms. Two processes do {2 * parallel['efficiency']:.2f} times the work of one. "
        f"A search that was killed {kill['kills']} times lost {kill['finished trials lost']} finished trials and ran "
        f"{kill['run again after they finished']} twice; {kill['the same as in a search that was not killed']} of its "
        f"{kill['trials']} trials equal those of an uninterrupted search bit for bit."
    )


def between(text: str, marks: tuple[str, str], content: str) -> str:
    """Return the text with the part between the marks replaced."""
    begin, end = marks
    head, _, rest = text.partition(begin)
    _, _, tail = rest.partition(end)
    return f"{head}{begin}\n\n{content}\n\n{end}{tail}"


def main() -> int:
    """Rewrite both files, or compare."""
    found = [result for path in FIGURES for result in results.load(path)]
    parts = {
        BENCHMARKS: {
            SPEED_MARKS: section(found),
            CORPUS_MARKS: corpus() + "\n\n" + watching(),
            SEARCH_MARKS: searching(),
        },
        README: {SPEED_MARKS: speed_at_a_glance(found), CORPUS_MARKS: diagnosis_at_a_glance()},
    }
    stale = []
    for path, contents in parts.items():
        before = after = path.read_text(encoding="utf-8")
        for marks, content in contents.items():
            after = between(after, marks, content)
        if after != before:
            stale.append(path.name)
            if "--check" not in sys.argv[1:]:
                path.write_text(after, encoding="utf-8")
    if "--check" in sys.argv[1:]:
        print(f"out of date: {', '.join(stale)}" if stale else "up to date")
        return int(bool(stale))
    return 0


if __name__ == "__main__":
    sys.exit(main())
