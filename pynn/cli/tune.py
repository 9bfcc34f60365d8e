"""``pynn tune``."""

from __future__ import annotations

import math
import statistics

import click

from .. import backend, tuning
from ..bench.cases import Case
from ..bench.contestants import own
from ..bench.timing import seconds_per_call

_LENGTHS = ((256,), (1 << 14,), (1 << 20,))
_BATCHES = ((32, 8), (64, 256), (4096, 1024))


def _ladder(group: str, ops: tuple[str, ...], shapes: tuple[tuple[int, ...], ...]) -> list[list[Case]]:
    return [[Case(group, op, shape) for op in ops] for shape in shapes]


#: What is measured for each kernel function: cases of the same size together, sizes ascending.
LADDERS = {
    "matmul.matmul": _ladder("matmul", ("matmul",), tuple((size,) * 3 for size in (8, 32, 128, 512, 1024))),
    "activations.activate": _ladder("activation", ("relu", "sigmoid", "gelu"), _LENGTHS),
    "activations.activate_backward": _ladder(
        "activation", ("relu_backward", "sigmoid_backward", "gelu_backward"), _LENGTHS
    ),
    "batchnorm.batchnorm_forward": _ladder("batchnorm", ("batchnorm",), _BATCHES),
    "batchnorm.batchnorm_backward": _ladder("batchnorm", ("batchnorm_backward",), _BATCHES),
    "losses.softmax_cross_entropy": _ladder("loss", ("softmax_cross_entropy",), ((32, 2), (64, 10), (512, 1000))),
    "optim.sgd": _ladder("optimizer", ("sgd",), _LENGTHS),
    "optim.adam": _ladder("optimizer", ("adam",), _LENGTHS),
}
#: A backend must be this many times faster than Cython to be chosen: less is noise, and would change from run to run.
LEAST_GAIN = 1.05
_ROUNDS, _BLOCK_SECONDS = 7, 0.01


@click.command(short_help="Measure which backend is fastest for which op here, for later runs.")
@click.option("--reset", is_flag=True, help="Forget what was measured; use the shipped choice again.")
def tune(reset: bool) -> None:
    """Measure which backend is fastest for which op and size on this machine, and store it for later runs.

    The "auto" backend, which is the default, then takes it. Takes about half a minute. Other work on the machine at the
    same time makes for a bad choice.
    """
    if reset:
        tuning.target().unlink(missing_ok=True)
        click.echo(f"{tuning.path()} is gone; the shipped choice is in use")
        return
    reason = backend.why_missing("cython")
    if reason is not None:
        raise click.ClickException(f"nothing to choose from: {reason}")
    others = [name for name in backend.available_backends() if name != "cython"]
    tuning.target()  # complains before half a minute has gone
    table: tuning.Table = {}
    with backend.use_backend("cython"):
        instruction_set = backend.instruction_set()
        for function, ladder in LADDERS.items():
            choices = [fastest(cases, others) for cases in ladder]
            ranges = steps(choices)
            if ranges:
                table[function] = ranges
            click.echo(f"{function:32}{', '.join(name for _, name in choices)}")
    click.echo(f"stored in {tuning.save(table, instruction_set)}")


def fastest(cases: list[Case], others: list[str]) -> tuple[float, str]:
    """Return the size of the cases, and the backend that is the fastest in all of them by a clear margin, or Cython."""
    measured = [_gains(case, others) for case in cases]
    gains = {"cython": LEAST_GAIN} | {name: min(gain[name] for gain in measured) for name in measured[0]}
    return float(math.prod(cases[0].shape)), max(gains, key=gains.__getitem__)


def steps(choices: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """Return from which sizes on which backend serves: changes lie halfway, by ratio, between the sizes measured."""
    ranges: list[tuple[float, str]] = []
    before, held = 0.0, "cython"
    for size, name in choices:
        if name != held:
            ranges.append(((before * size) ** 0.5, name))
            held = name
        before = size
    return ranges


def _gains(case: Case, others: list[str]) -> dict[str, float]:
    """Return how many times faster than Cython each backend does a case: the lower quartile over rounds in turn."""
    runs = {name: own.prepare(case, name) for name in ("cython", *others)}
    calls = {}
    for name, run in runs.items():
        backend.use_backend(name)
        run()  # Numba compiles
        calls[name] = max(1, round(_BLOCK_SECONDS / seconds_per_call(run, 3)))
    ratios: dict[str, list[float]] = {name: [] for name in others}
    for _ in range(_ROUNDS):
        seconds = {}
        for name, run in runs.items():
            backend.use_backend(name)
            seconds[name] = seconds_per_call(run, calls[name])
        for name in others:
            ratios[name].append(seconds["cython"] / seconds[name])
    return {name: statistics.quantiles(values, n=4)[0] for name, values in ratios.items()}
