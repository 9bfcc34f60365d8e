"""``pynn export``."""

from __future__ import annotations

from pathlib import Path

import click

from ..datasets.tables.schema import feature_names
from ..nn.loading import load
from ..utils import streams
from .outputs import FileName, check_apart, check_format


def _shape(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, ...] | None:
    """Return the sizes of a text such as 3,32,32."""
    if text is None:
        return None
    try:
        return tuple(int(size) for size in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r} is no list of whole numbers; expected one such as 3,32,32") from None


@click.command(short_help="Write a saved network as an ONNX file.")
@click.argument("model_path", metavar="MODEL", type=FileName())
@click.argument("path", metavar="FILE", type=FileName())
@click.option(
    "--output",
    type=click.Choice(["raw", "probabilities", "log_probabilities"]),
    default="raw",
    help="What the graph returns: the outputs of model.predict, or probabilities of the classes.",
)
@click.option("--opset", type=int, default=20, metavar="N", help="Version of ONNX's operators, 14 to 26.")
@click.option(
    "--input-shape", callback=_shape, metavar="SIZES", help="Shape of one example, such as 3,32,32: images need it."
)
def export(model_path: Path, path: Path, output: str, opset: int, input_shape: tuple[int, ...] | None) -> None:
    """Write a saved network as an ONNX file.

    MODEL is a file that "pynn train" or model.save() wrote. FILE takes raw numbers and any number of examples;
    its preprocessing is that of the model, and its metadata hold the names of the classes.
    Needs onnx: pip install "pynn-kernels[onnx]".

    \b
    Examples:
      pynn export pynn-model.safetensors model.onnx --output probabilities
      pynn export cnn.safetensors cnn.onnx --input-shape 3,32,32
    """  # noqa: D301 - click reads the backslash
    from ..onnx import export as write

    check_apart({"MODEL": model_path, "FILE": path})
    check_format(path, ".onnx")
    model = load(model_path)
    write(model, path, output=output, opset=opset, input_shape=input_shape)
    streams.say(f"{path}: opset {opset}, output {output!r}")
    if model.input_schema is not None:
        count = sum(len(feature_names(column)) for column in model.input_schema["columns"])
        streams.say(
            f"it takes the {count} numbers that the table's columns become, named in its metadata; reading the table "
            "(dates, gaps, categories) is not in it"
        )
