"""The README's Python examples run as they stand."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def test_there_are_examples():
    assert len(BLOCKS) == 3


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_example_runs(block, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "readme"}
    exec("import pynn\n" + block, names)
    if "trainer" in names:
        x_test, y_test = names["x_test"], names["y_test"]
        assert names["trainer"].evaluate(x_test, y_test)["accuracy"] > 0.95
        assert (tmp_path / "digits.safetensors").exists()
