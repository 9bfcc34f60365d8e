"""The README's Python examples run as they stand, its links lead somewhere, and its figures are those of the code."""

import re
import tomllib
from pathlib import Path

import pytest

from pynn.babysit.findings import SYMPTOMS
from pynn.cli import COMMANDS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
#: The first makes the data and the trainer that the other uses.
TRAINING, WATCHING = 0, 1


def test_it_is_short():
    assert len(README.splitlines()) <= 150


def test_the_readme_counts_the_symptoms():
    assert f"each of {len(SYMPTOMS)} symptoms" in README


def test_commands_exist():
    named = set(re.findall(r"`pynn (\w+)", README))
    assert {"train", "diagnose"} <= named <= COMMANDS.keys()


@pytest.mark.skipif(not (ROOT / "docs").exists(), reason="away from the source tree")
def test_links_lead_to_files():
    links = [link for link in re.findall(r"\]\(([^)#]+)", README) if "://" not in link]
    assert len(links) > 30
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.skipif(not (ROOT / "docs").exists(), reason="away from the source tree")
def test_it_names_every_page_of_start_and_guide():
    pages = [path for folder in ("start", "guide") for path in (ROOT / "docs" / folder).glob("*.md")]
    missing = {path.name for path in pages if path.relative_to(ROOT).as_posix() not in README}
    assert missing == {"index.md", "machines.md"}


def test_extras_exist():
    extras = re.search(r"Extras:(.*?)\.\n", README, re.DOTALL)[1]
    with (ROOT / "pyproject.toml").open("rb") as file:
        known = tomllib.load(file)["project"]["optional-dependencies"]
    assert set(re.findall(r"`(\w+)`", extras)) == known.keys() - {"test"}


@pytest.mark.parametrize("index", range(len(BLOCKS)))
def test_example_runs(index, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "readme"}
    if index == WATCHING:
        exec(BLOCKS[TRAINING], names)
    exec("import pynn\n" + BLOCKS[index], names)
    if index == TRAINING:
        assert names["trainer"].evaluate(names["x_test"], names["y_test"])["accuracy"] > 0.95
        assert (tmp_path / "digits.safetensors").exists()
    elif index == WATCHING:
        assert "preflight:" in capsys.readouterr().out
        assert names["monitor"].verdict == []
        assert (tmp_path / "run.html").read_text(encoding="utf-8").startswith("<!")
