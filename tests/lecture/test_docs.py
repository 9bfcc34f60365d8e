"""The pages in docs/lecture hold every experiment, as measured, and are those that their script writes."""

import re
import subprocess
import sys
from pathlib import Path

from pynn.lecture import experiments, load
from pynn.lecture.data import LOADERS

PROJECT = Path(__file__).parents[2]
FOLDER = PROJECT / "docs" / "lecture"


def test_the_pages_are_those_that_the_script_writes():
    command = [sys.executable, "docs/lecture/pages.py", "--check"]
    found = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr


def test_every_experiment_was_measured_with_five_seeds():
    results = {result.experiment.name: result for result in load(FOLDER / "lecture.json")}
    # What needs images may wait for somebody who has them, and the time.
    assert {name for name, item in experiments().items() if item.needs not in LOADERS} <= results.keys()
    for name, result in results.items():
        assert result.failure == "", name
        assert len(result.trials) >= 5, name
        assert result.settings.keys() <= {"minutes"}


def test_what_is_not_reproduced_has_a_remark():
    for result in load(FOLDER / "lecture.json"):
        if result.outcome != "reproduced":
            assert result.experiment.remark, result.experiment.name


def test_every_picture_exists_and_all_together_are_small():
    pictures = list((FOLDER / "pictures").iterdir())
    assert {path.stem for path in pictures} == {result.experiment.name for result in load(FOLDER / "lecture.json")}
    assert sum(path.stat().st_size for path in FOLDER.rglob("*.*")) < 1_500_000
    for page in FOLDER.glob("*.md"):
        for link in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            assert (FOLDER / link).exists(), link
