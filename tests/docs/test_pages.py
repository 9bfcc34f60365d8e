"""The code of the site's pages runs as it stands, page by page and top to bottom; its commands exist."""

import re
import shlex
from pathlib import Path

import click
import pytest

from pynn.cli import main

DOCS = Path(__file__).parents[2] / "docs"
FOLDERS = ("start", "guide", "course")
PAGES = [DOCS / "index.md", DOCS / "onnx.md", DOCS / "pytorch.md"]
PAGES += [page for folder in FOLDERS for page in sorted((DOCS / folder).glob("*.md"))]


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def commands(page):
    lines = [line for block in blocks(page, "console") for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line.removeprefix("$ "), comments=True) for line in lines if line.startswith("$ pynn ")]


def test_there_are_pages_with_code():
    assert sum(bool(blocks(page, "python")) for page in PAGES) > 10


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.stem)
def test_code_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "page"}
    for number, block in enumerate(blocks(page, "python"), 1):
        exec(compile(block, f"{page.name}, block {number}", "exec"), names)


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: page.stem)
def test_commands_and_options_exist(page):
    for _, name, *arguments in commands(page):
        command = main.get_command(click.Context(main), name)
        assert command is not None or name == "--version", name
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        given = {argument.partition("=")[0] for argument in arguments if argument.startswith("-")}
        assert given <= known | {"--help"}, (name, given - known)
