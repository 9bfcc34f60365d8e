"""``pynn search``."""

from __future__ import annotations

import contextlib
import shlex
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from .. import search
from ..backends.processors import usable_processors
from ..report.text import amount, counted, metric_words
from ..search.samplers import SAMPLERS
from ..search.space import Parameter, Params
from ..search.text import ends, figure, metric_title
from ..search.trial import ENDED
from ..training import metrics
from ..training.named import ACTIVATIONS, OPTIMIZERS
from ..training.trainer import Trainer
from ..utils.interrupt import interrupted_by
from ..utils.streams import say
from .data import LoadedData, load_data
from .networks import DEFAULTS
from .options import Count, backend_option, build, chosen_backend, loss_option
from .outputs import MODEL, FileName, check_results, save_option, unused, write
from .scores import errors
from .sections import SectionedCommand
from .tables import DataOptions, data_options


class Sought(click.ParamType):
    """A fixed value, or a range to search: "0.01", "1e-5:0.1"."""

    name = "RANGE"

    def __init__(self, kind: Callable[[Any, Any], Parameter], number: type, minimum: float, maximum: float) -> None:
        self.kind, self.number, self.minimum, self.maximum = kind, number, minimum, maximum

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            ends = [self.number(end) for end in value.split(":")]
        except ValueError:
            ends = []
        if not 1 <= len(ends) <= 2:
            self.fail(f"{value!r} is neither a number nor a range such as 1:10", param, ctx)
        if not all(self.minimum <= end <= self.maximum for end in ends):
            self.fail(f"{value!r} is out of range; expected {self.minimum:g} to {self.maximum:g}", param, ctx)
        if len(ends) == 1:
            return ends[0]
        parameter = self.kind(*ends)
        try:
            parameter.check(param.opts[0] if param else "the range")
        except ValueError as error:  # it names the option
            raise click.UsageError(str(error), ctx) from error
        return parameter


class Names(click.ParamType):
    """A name, or several to choose from: "relu", "relu,tanh"."""

    name = "NAMES"

    def __init__(self, known: Any) -> None:
        self.known = tuple(known)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        names = value.split(",")
        for name in names:
            if name not in self.known:
                self.fail(f"{name!r} is not one of {', '.join(self.known)}", param, ctx)
        return search.Choice(*names) if len(names) > 1 else names[0]


_POSITIVE = 1e-30, 1e30
METRICS = ("loss", "accuracy", *metrics.OF_CLASSES, *metrics.OF_AMOUNTS)
#: Seconds to wait for a scheduler.
CONNECT = 10


def _whole(low: int, high: int) -> Parameter:
    return search.Integer(low, high, log=True)


# Defaults of the options.
_USUAL: dict[str, dict[str, int]] = {
    "dense": {"layers": 2, "width": 128, "batch_size": DEFAULTS["dense"]["batch_size"]},
    "cnn": {"layers": 3, "width": 32, "batch_size": DEFAULTS["cnn"]["batch_size"]},
}


def _usual(name: str) -> str:
    return f"{_USUAL['dense'][name]}; {_USUAL['cnn'][name]} for a cnn"


@dataclass(frozen=True)
class Recipe:
    """Builds the trainer of a trial in any process; each process reads the data once."""

    # Not compared: the search compares the data themselves, so another path to the same file resumes it.
    chosen: DataOptions = field(compare=False)
    fixed: tuple[tuple[str, Any], ...]

    def options(self, params: Params) -> dict[str, Any]:
        """Return the options of `pynn train` for a trial's parameters."""
        options = dict(self.fixed) | params
        width, count = options["width"], options["layers"]
        # Each stage of a cnn has a quarter of the pixels of the previous one, and twice its channels.
        hidden = [width << stage if options["model"] == "cnn" else width for stage in range(count)]
        return options | {"hidden": tuple(hidden)}

    def __call__(self, params: Params) -> Trainer:
        return build(self.data(), self.options(params))

    def data(self) -> LoadedData:
        """Return the data; they are read once."""
        key = self.chosen, dict(self.fixed)["model"] == "cnn"
        if key not in _loaded:
            _loaded[key] = load_data(*key)
        return _loaded[key]


_loaded: dict[tuple[DataOptions, bool], LoadedData] = {}


@click.command("search", cls=SectionedCommand, short_help="Search for good hyperparameters, and save the best network.")
@data_options
@click.option("--lr", type=Sought(search.LogUniform, float, *_POSITIVE), default="1e-4:0.3", help="Learning rate.")
@click.option(
    "--weight-decay", type=Sought(search.LogUniform, float, 0, 1e30), default="1e-6:0.1", help="Weight decay."
)
@click.option(
    "--model", type=click.Choice(list(DEFAULTS)), default="dense", help="Fully connected, or convolutional for images."
)
@click.option(
    "--layers",
    type=Sought(search.Integer, int, 1, 100),
    help=f"Hidden layers, or a cnn's stages.  [default: {_usual('layers')}]",
)
@click.option(
    "--width",
    type=Sought(_whole, int, 1, 100_000),
    help=f"Units of each hidden layer, or channels of a cnn's first stage.  [default: {_usual('width')}]",
)
@click.option("--dropout", type=Sought(search.Uniform, float, 0, 0.99), default="0", help="Share of units dropped.")
@click.option(
    "--batch-size",
    type=Sought(_whole, int, 1, 1_000_000),
    help=f"Examples per step.  [default: {_usual('batch_size')}]",
)
@click.option("--activation", type=Names(ACTIVATIONS), default="relu", help="Activation.")
@loss_option
@click.option("--optimizer", type=Names(OPTIMIZERS), default="adamw", help="Optimizer.")
@click.option("--batchnorm/--no-batchnorm", default=True, help="Batch normalisation after each hidden layer.")
@click.option(
    "--metric",
    type=click.Choice(METRICS),
    metavar="NAME",
    help=f"What to optimise on the validation part: {', '.join(METRICS)}.  [default: accuracy; loss in regression]",
)
@click.option("--trials", type=Count(1), metavar="N", default=40, help="Trials of the first stage.")
@click.option("--epochs", type=Count(1), metavar="N", default=18, help="Epochs of the longest trials.")
@click.option(
    "--stages",
    type=Count(1),
    metavar="N",
    help="Stages, from coarse to fine.  [default: as few as possible, each with at most three times the epochs of the "
    "previous one]",
)
@click.option(
    "--sampler",
    type=click.Choice(SAMPLERS),
    default="random",
    help="How trials are chosen.",
)
@click.option("--processes", type=Count(1), metavar="N", help="Trials at a time.  [default: all processors]")
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Run trials on the Dask cluster of this scheduler, such as tcp://host:8786.  [default: processes here]",
)
@click.option("--folder", type=FileName(file_okay=False), help="Keep the trials here; the same command resumes.")
@save_option
@click.option("--report", type=FileName(), metavar="FILE", help="A page with pictures and all trials.")
@click.option("--plot", type=FileName(), metavar="FILE", help="A picture: .png, .svg or .pdf.")
@backend_option
@click.option("--seed", type=Count(0), metavar="N", default=0, help="Seed of all random numbers.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress, only the result.")
@click.pass_context
def search_command(
    context: click.Context,
    chosen: DataOptions,
    trials: int,
    epochs: int,
    metric: str | None,
    stages: int | None,
    sampler: Any,
    processes: int | None,
    scheduler: str | None,
    folder: Path | None,
    save: Path | None,
    report: Path | None,
    plot: Path | None,
    backend_name: str | None,
    seed: int,
    quiet: bool,
    **given: Any,
) -> int:
    """Search for good hyperparameters, and save the best network.

    Options given as a range, LOW:HIGH, or as several names are searched; a single value is fixed. Learning rate and
    weight decay are searched by default. They, widths and batch sizes use a logarithmic scale. Many short trials come
    first, then fewer and longer ones in ranges narrowed around the best; hopeless ones end early. The validation part
    selects the network, the test part measures it once at the end. Ctrl-C stops early and keeps the trials so far;
    with --folder, the same command resumes.

    \b
    Examples:
      pynn search
      pynn search --lr 1e-5:1 --width 16:512 --optimizer sgd,adam
      pynn search --layers 1:3 --report search.html
      pynn search --data mnist --folder mnist-search --processes 2
      pynn search --data /shared/table.csv --scheduler tcp://host:8786
    """  # noqa: D301 - click reads the backslash
    save = save or unused(MODEL)[0]
    check_results(chosen.files(), save=save, report=report, plot=plot)
    given |= {name: value for name, value in _USUAL[given["model"]].items() if given[name] is None}
    space = {name: value for name, value in given.items() if isinstance(value, Parameter)}
    if not space:
        raise click.UsageError("nothing to search: give a range, such as --lr 1e-4:0.1, or several names")
    fixed = {name: value for name, value in given.items() if name not in space}
    fixed |= {"input_dropout": 0.0, "schedule": "none", "epochs": epochs, "seed": seed}
    with chosen_backend(backend_name), warnings.catch_warnings(), _cluster(scheduler) as (executor, usual):
        warnings.simplefilter("ignore", search.SearchWarning)  # _print_result shows them
        data = load_data(chosen, fixed["model"] == "cnn")
        data.say_notes(quiet)
        recipe = Recipe(data.chosen or chosen, tuple(fixed.items()))
        _loaded[recipe.chosen, fixed["model"] == "cnn"] = data
        # Bad options fail early.
        trainer = build(data, recipe.options({name: value.at(0.5) for name, value in space.items()}))
        _check_metric(metric, trainer)
        result = search.run(
            recipe,
            space,
            data.train,
            data.validation,
            stages=search.coarse_to_fine(trials, epochs, stages),
            sampler=sampler,
            batch_size=_USUAL[fixed["model"]]["batch_size"] if "batch_size" in space else fixed["batch_size"],
            seed=seed,
            workers=processes or usual,
            executor=executor,
            metric=None if metric is None else f"val_{metric}",
            folder=folder,
            progress=not quiet,
        )
        _require_ranked(context, result)
        model = result.best_model
        write(save, lambda: model.save(save))
        _print_result(result, data, recipe, save)
    _write_views(result, report, plot)
    context.exit(128 + interrupted_by() if result.interrupted else 0)


@contextlib.contextmanager
def _cluster(address: str | None) -> Iterator[tuple[Any, int]]:
    """Yield the executor and the threads of a Dask cluster; without an address, None and this machine's processors."""
    if address is None:
        yield None, usable_processors()
        return
    try:
        import distributed
    except ImportError as error:
        raise click.ClickException("--scheduler needs Dask: pip install 'pynn-kernels[dask]'") from error
    try:
        client = distributed.Client(address, timeout=CONNECT)
    except (OSError, ValueError) as error:
        raise click.ClickException(f"--scheduler {address}: no Dask scheduler answers there ({error})") from error
    with client:
        threads = sum(client.nthreads().values())
        if not threads:
            raise click.ClickException(f"--scheduler {address}: the cluster has no workers")
        yield client.get_executor(pure=False), threads


def _check_metric(metric: str | None, trainer: Trainer) -> None:
    if metric in (None, "loss") or (metric == "accuracy" and trainer.loss.output_kind != "values"):
        return
    try:
        metrics.named([metric], trainer.loss)
    except (ValueError, ImportError) as error:
        raise click.BadOptionUsage("--metric", f"--metric: {error}") from error


def _require_ranked(context: click.Context, result: search.SearchResult) -> None:
    """End the command with a reason unless some trial has a score."""
    if result.ranked:
        return
    if result.interrupted:
        say("pynn: interrupted before a trial finished")
        context.exit(128 + interrupted_by())
    reasons = [trial.reason for trial in result.trials if trial.reason]
    first = reasons[0] if reasons else "unknown"
    raise click.ClickException(f"none of {len(result.trials)} trials finished; the first ended with: {first}")


def _write_views(result: search.SearchResult, report: Path | None, plot: Path | None) -> None:
    """Write the page and the picture that were asked for, and print their paths."""
    if report is not None:
        write(report, lambda: result.to_html(report))
        click.echo(f"report  {report}")
    if plot is not None:
        write(plot, lambda: result.plot(plot))
        click.echo(f"plot    {plot}")


def _print_result(result: search.SearchResult, data: LoadedData, recipe: Recipe, save: Path) -> None:
    best, options = result.best, recipe.options(result.best_params)
    click.echo(f"trials  {', '.join(f'{count} {ENDED[kind]}' for kind, count in ends(result.trials).items())}")
    score = figure(best.score, result.metric)
    click.echo(f"best    {metric_title(result.metric)} {score} after {counted(best.epochs, 'epoch')}")
    if data.class_names is not None:
        name = result.metric.removeprefix("val_")
        figures = result.best_trainer().evaluate(*data.test, metrics=[name] if name in metrics.OF_CLASSES else [])
        own = f", {metric_words(name)} {figures[name]:.4f}" if name in metrics.OF_CLASSES else ""
        click.echo(f"test    accuracy {figures['accuracy']:.2%}{own}")
    else:
        x, y = data.test
        scores = errors(result.best_model.predict(x)[:, 0], y)
        click.echo(f"test    RMSE {amount(scores['rmse'])}, R2 {scores['r2']:.4f}")
    for name, value in best.params.items():
        shown = f"{value:.4g}" if isinstance(value, float) else value
        click.echo(f"        {name.replace('_', '-')} {shown}")
    for edge in result.edges:
        click.echo(f"try     {edge.name.replace('_', '-')} {edge.try_low:g}:{edge.try_high:g}: {edge}")
    if result.interrupted:
        click.echo("        interrupted: these are the results so far")
    click.echo(f"model   {save}")
    click.echo(f"again   {_train_command(recipe, options, best.epochs)}")


def _train_command(recipe: Recipe, options: dict[str, Any], epochs: int) -> str:
    """Return the `pynn train` command that trains the best network as its trial did."""
    words = ["pynn", "train", *recipe.chosen.words()]
    for name, usual in (("model", "dense"), ("activation", "relu"), ("loss", None), ("optimizer", "adamw")):
        if options[name] != usual:
            words += [f"--{name}", options[name]]
    words += ["--hidden", ",".join(map(str, options["hidden"])), "--lr", f"{options['lr']:.4g}"]
    words += ["--weight-decay", f"{options['weight_decay']:.4g}", "--dropout", f"{options['dropout']:.4g}"]
    words += ["--input-dropout", "0", "--batch-size", str(options["batch_size"]), "--epochs", str(epochs)]
    words += ["--schedule", "none", "--seed", str(options["seed"])]
    if recipe.chosen.is_table():
        words += ["--folds", "0", "--no-early-stopping"]
    if recipe.chosen.source == "cifar10" and options["model"] == "cnn":
        words += ["--augment", "none"]
    if not options["batchnorm"]:
        words.append("--no-batchnorm")
    return shlex.join(words)
