"""Runs the example of each symptom's page, sick and healthy; draws the pictures and renews the findings printed there.

python docs/symptoms/pictures.py [symptom ...]     from the project folder; all take some 30 seconds

An example has one line that ends in ``# healthy: expression``. The sick run is the code as it stands, the healthy one
has that expression on the right of the equals sign.
"""

# ruff: noqa: D401 - the docstring of a panel says what is drawn.

from __future__ import annotations

import contextlib
import io
import re
import sys
import textwrap
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pynn import TrainingWarning
from pynn.babysit.findings import SYMPTOMS
from pynn.babysit.views import maps

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FOLDER = Path(__file__).parent
SWITCH = re.compile(r"^(?P<name>[\w, ]+) = (?P<sick>.*?)  # healthy: (?P<healthy>.*)$", re.MULTILINE)
EXAMPLE = re.compile(r"(## Try it\n\n```python\n)(?P<code>.*?)(```\n\n```text\n)(?P<printed>.*?)```", re.DOTALL)
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
SICK, HEALTHY, MUTED = "#B23A00", "#00734F", "#666666"
Names = dict[str, Any]
Panel = Callable[["Axes", Names], None]


def page_of(symptom: str) -> Path:
    """Return the page of a symptom."""
    return FOLDER / f"{symptom}.md"


def example_of(symptom: str, healthy: bool = False) -> str:
    """Return the code of a page's example."""
    found = EXAMPLE.search(page_of(symptom).read_text(encoding="utf-8"))
    if found is None or len(SWITCH.findall(found["code"])) != 1:
        raise ValueError(f"{symptom}.md has no example with one line that says what is healthy")
    return SWITCH.sub(r"\g<name> = \g<healthy>", found["code"]) if healthy else found["code"]


def run(code: str) -> tuple[Names, str]:
    """Run an example; return its names and what it printed."""
    names: Names = {}
    printed = io.StringIO()
    # What is shown is what the babysitter says; a fit may warn of the same fault in other words.
    with contextlib.redirect_stdout(printed), warnings.catch_warnings():
        warnings.simplefilter("default", TrainingWarning)
        exec(code, names)
    return names, printed.getvalue()


def wrapped(printed: str) -> str:
    """Return printed findings as they stand on a page: a hanging indent for each."""
    lines = [textwrap.fill(line, 110, subsequent_indent="    ") for line in printed.strip().splitlines()]
    return "\n".join(lines) + "\n"


# Panels: each draws one figure of a run


def loss(axes: Axes, names: Names) -> None:
    """The training loss over the steps."""
    stats = names["monitor"].stats
    axes.plot(stats.steps, stats["loss"], color=COLOURS[0], linewidth=1.3)
    _label(axes, "training loss", "step")


def log_loss(axes: Axes, names: Names) -> None:
    """The training loss over the steps, on a log scale."""
    loss(axes, names)
    axes.set_yscale("log")


def first_loss(axes: Axes, names: Names) -> None:
    """The first steps' loss beside that of a network that knows nothing."""
    stats = names["monitor"].stats
    axes.plot(stats.steps[:40], stats["loss"][:40], color=COLOURS[0], linewidth=1.6)
    _line(axes, np.log(10), "ln 10")
    axes.set_ylim(bottom=0)
    _label(axes, "training loss", "step")


def loss_and_reference(axes: Axes, names: Names) -> None:
    """The loss beside that of a network that ignores its inputs."""
    loss(axes, names)
    _line(axes, np.log(10), "ignoring the inputs")
    axes.set_ylim(bottom=0)


def loss_to_the_end(axes: Axes, names: Names) -> None:
    """The loss, and a line where it stops being a number."""
    log_loss(axes, names)
    axes.set_xlim(0, 60)
    broken = [finding for finding in names["monitor"].findings if finding.symptom == "non_finite"]
    if broken:
        axes.axvline(broken[0].step, color=SICK, linewidth=2)
        axes.text(broken[0].step, 1e-2, f"  NaN at step {broken[0].step}", color=SICK, fontsize=11)


def ratios(axes: Axes, names: Names) -> None:
    """The update-to-weight ratio of each weight matrix, and the guide of 1e-3."""
    _over_steps(axes, names, "update_ratio")
    axes.set_yscale("log")
    axes.axhspan(1e-4, 1e-2, color=COLOURS[2], alpha=0.12, linewidth=0)
    _line(axes, 1e-3, "usual: 0.001")
    axes.set_ylim(max(axes.get_ylim()[0], 1e-7), min(axes.get_ylim()[1], 1e2))
    _label(axes, "update / weight", "step")


def rate(axes: Axes, names: Names) -> None:
    """The learning rate."""
    stats = names["monitor"].stats
    axes.plot(stats.steps, stats["lr"], color=COLOURS[3], linewidth=1.8)
    axes.set_yscale("log")
    axes.set_ylim(bottom=max(axes.get_ylim()[0], 1e-8))
    _label(axes, "learning rate", "step")


def norms(axes: Axes, names: Names) -> None:
    """The norm of each weight matrix over that at the start."""
    _over_steps(axes, names, "weight_norm", relative=True)
    axes.set_ylim(bottom=0)
    _label(axes, "weights / weights at the start", "step")


def dead(axes: Axes, names: Names) -> None:
    """The share of dead units over the steps."""
    _over_steps(axes, names, "dead_fraction")
    axes.set_ylim(-0.03, 1.03)
    _label(axes, "share of dead units", "step")


def activity(axes: Axes, names: Names) -> None:
    """How often each unit was active at the end, sorted."""
    active = names["monitor"].snapshots[-1].active
    for index, (layer, shares) in enumerate(active.items()):
        axes.plot(np.sort(shares)[::-1], color=COLOURS[index], linewidth=1.8, label=layer)
    axes.set_ylim(-0.03, 1.03)
    axes.legend(frameon=False, fontsize=9)
    _label(axes, "active for so many examples", "units, sorted")


def spread_by_depth(axes: Axes, names: Names) -> None:
    """The spread of each hidden layer's outputs in the first step."""
    _by_depth(axes, names, "std")
    _label(axes, "spread of the outputs, step 1", "hidden layer")


def gradient_by_depth(axes: Axes, names: Names) -> None:
    """The gradient with respect to each hidden layer's outputs in the first step."""
    _by_depth(axes, names, "gradient_rms")
    _label(axes, "gradient of the outputs, step 1", "hidden layer")


def outputs(axes: Axes, names: Names) -> None:
    """What the first hidden layer puts out at the end."""
    snapshot = names["monitor"].snapshots[-1]
    histogram = snapshot.activations["1.Tanh"]
    edges = np.linspace(histogram.low, histogram.high, len(histogram.counts) + 1)
    middles, shares = (edges[1:] + edges[:-1]) / 2, histogram.counts / histogram.counts.sum()
    axes.hist(middles, 20, range=(-1, 1), weights=shares, color=COLOURS[0])
    axes.set_xlim(-1.05, 1.05)
    _label(axes, "share of the outputs", "output of 1.Tanh")


def inputs(axes: Axes, names: Names) -> None:
    """The values that go into the network."""
    x = names["x"]
    axes.hist(x.ravel(), 40, weights=np.full(x.size, 1 / x.size), color=COLOURS[0])
    axes.text(0.97, 0.88, f"rms {np.sqrt(np.mean(np.square(x))):.3g}", transform=axes.transAxes, ha="right", size=13)
    _label(axes, "share of the inputs", "input")


def first_weights(axes: Axes, names: Names) -> None:
    """The weights of the first layer, unit by unit, as images."""
    picture = maps.weight_tiles(names["monitor"].first_weights, (1, 8, 8))
    axes.imshow(picture.image if picture.palette is None else picture.palette[picture.image], interpolation="nearest")
    axes.set_axis_off()


def gradient_signs(axes: Axes, names: Names) -> None:
    """The signs of the last gradient of a weight matrix: inputs downwards, units across."""
    signs = np.sign(names["model"][4].weight.grad)
    image = np.where(signs[..., None] > 0, [0.0, 0.45, 0.70], [0.9, 0.6, 0.35])
    axes.imshow(image, interpolation="nearest", aspect="auto")
    axes.grid(visible=False)
    _label(axes, "weights into a unit", "units of 4.Linear")


def epochs(axes: Axes, names: Names) -> None:
    """The loss of training and validation, epoch by epoch."""
    history = names["trainer"].history
    axes.plot(history.epoch, history["loss"], color=COLOURS[0], linewidth=1.8, label="training")
    axes.plot(history.epoch, history["val_loss"], color=COLOURS[1], linewidth=1.8, label="validation")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=10)
    _label(axes, "loss", "epoch")


def recall(axes: Axes, names: Names) -> None:
    """The share of each class that is recognised."""
    truth = names["yv"][:, 0] > 0.5
    said = names["model"].infer(names["xv"])[:, 0] > 0
    shares = [np.mean(said[truth == answer] == answer) for answer in (False, True)]
    bars = axes.bar(["common class", "rare class"], shares, color=COLOURS[:2], width=0.6)
    axes.bar_label(bars, [f"{share:.0%}" for share in shares], fontsize=12)
    axes.set_ylim(0, 1.15)
    _label(axes, "share recognised", "")


def regions(axes: Axes, names: Names) -> None:
    """Points of the plane, and what the network makes of it."""
    x, y, ends = names["x"], names["y"], np.linspace(-2.6, 2.6, 200)
    grid = np.stack(np.meshgrid(ends, ends), axis=-1).reshape(-1, 2).astype(np.float32)
    palette = np.array([[0.0, 0.45, 0.70], [0.84, 0.37, 0.0], [0.0, 0.62, 0.45]])
    named = names["model"].infer(grid).argmax(axis=1).reshape(200, 200)
    axes.imshow(1 - 0.3 * (1 - palette[named]), extent=(-2.6, 2.6, -2.6, 2.6), origin="lower", aspect="auto")
    axes.scatter(x[::3, 0], x[::3, 1], c=palette[y[::3]], s=7, linewidths=0)
    axes.set_axis_off()


PANELS: dict[str, Sequence[Panel]] = {
    "input_not_normalised": (inputs, log_loss),
    "symmetric_units": (first_weights,),
    "bad_initialisation": (spread_by_depth,),
    "saturated_units": (outputs,),
    "bad_initial_loss": (first_loss,),
    "regularisation_too_strong": (norms, loss),
    "lr_too_high": (log_loss, ratios),
    "vanishing_gradient": (gradient_by_depth,),
    "exploding_gradient": (gradient_by_depth,),
    "dead_units": (dead, activity),
    "diverging": (loss,),
    "non_finite": (loss_to_the_end,),
    "batchnorm_mismatch": (epochs,),
    "lr_too_low": (loss, ratios),
    "not_learning": (loss_and_reference,),
    "class_imbalance": (recall,),
    "oscillating": (loss,),
    "plateau": (loss, rate),
    "overfitting": (epochs,),
    "underfitting": (regions,),
    "zigzag": (gradient_signs,),
}
#: Panels whose two runs are drawn to scales of their own.
OWN_SCALE = (inputs, outputs, first_weights, gradient_signs, regions)


def _label(axes: Axes, y: str, x: str) -> None:
    axes.set_xlabel(x, color=MUTED)
    axes.set_ylabel(y, color=MUTED)


def _line(axes: Axes, value: float, text: str) -> None:
    axes.axhline(value, color=MUTED, linewidth=1.3, linestyle=(0, (5, 3)), label=text)
    axes.legend(frameon=False, fontsize=9)


def _over_steps(axes: Axes, names: Names, figure: str, relative: bool = False) -> None:
    stats = names["monitor"].stats
    known = [layer for layer in stats.layers if figure in stats[layer] and np.isfinite(stats[layer][figure]).any()]
    for index, layer in enumerate(known):
        values = stats[layer][figure]
        values = values / values[0] if relative else np.where(values >= 0, values, np.nan)
        axes.plot(stats.steps, values, color=COLOURS[index % len(COLOURS)], linewidth=1.4, label=layer)
    axes.legend(frameon=False, fontsize=9)


def _by_depth(axes: Axes, names: Names, figure: str) -> None:
    stats = names["monitor"].stats
    hidden = [layer for layer in stats.layers if not layer.endswith("Linear")]
    values = [stats[layer][figure][0] for layer in hidden]
    axes.plot(range(1, len(values) + 1), values, color=COLOURS[0], linewidth=1.8, marker="o")
    axes.set_yscale("log")


def draw(symptom: str, sick: Names, healthy: Names, switch: re.Match[str]) -> bytes:
    """Return the picture of two runs, the sick one on the left, as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    panels = PANELS[symptom]
    figure = Figure(figsize=(9.6, 0.5 + 2.9 * len(panels)), dpi=100, facecolor="white", layout="constrained")
    canvas = FigureCanvasAgg(figure)
    grid = figure.subplots(len(panels), 2, squeeze=False)
    for row, panel in zip(grid, panels, strict=True):
        for axes, names in zip(row, (sick, healthy), strict=True):
            _plain(axes)
            panel(axes, names)
        if panel not in OWN_SCALE:
            _to_one_scale(row)
    for axes, word, colour in zip(grid[0], ("sick", "healthy"), (SICK, HEALTHY), strict=True):
        code = textwrap.shorten(f"{word}:  {switch['name']} = {switch[word]}", 58, placeholder=" ...")
        size = 11 if len(code) < 45 else 9
        axes.set_title(code, loc="left", color=colour, fontweight="bold", fontsize=size, parse_math=False)
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").quantize(200)
    content = io.BytesIO()
    image.save(content, "png", optimize=True)
    return content.getvalue()


def _to_one_scale(row: Sequence[Axes]) -> None:
    """Give two panels the same y axis, with some air around."""
    ends = np.array([axes.get_ylim() for axes in row])
    low, high = ends[:, 0].min(), ends[:, 1].max()
    logarithmic = row[0].get_yscale() == "log"
    air = (high / low) ** 0.05 if logarithmic else 0.05 * (high - low)
    for axes in row:
        axes.set_ylim(*((low / air, high * air) if logarithmic else (low, high + air)))


def _plain(axes: Axes) -> None:
    axes.grid(color="#E3E3E3", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED, length=0, which="both", labelsize=9)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def renew(symptom: str) -> None:
    """Draw the picture of a page, and put what its example prints onto it."""
    code = example_of(symptom)
    switch = SWITCH.search(code)
    assert switch is not None
    sick, printed = run(code)
    healthy, _ = run(example_of(symptom, healthy=True))
    (FOLDER / "pictures").mkdir(exist_ok=True)
    (FOLDER / "pictures" / f"{symptom}.png").write_bytes(draw(symptom, sick, healthy, switch))
    page = page_of(symptom)
    text = page.read_text(encoding="utf-8")
    text = EXAMPLE.sub(lambda found: found[1] + found["code"] + found[3] + wrapped(printed) + "```", text)
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:] or SYMPTOMS:
        renew(name)
