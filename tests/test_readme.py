"""The README's Python examples run as they stand."""

import re
from pathlib import Path

import numpy as np
import pytest

import pynn.lecture
from pynn.babysit.findings import SYMPTOMS

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


#: The first makes the data and the trainer that others use.
TRAINING, WATCHING = 0, 1


def test_there_are_examples():
    assert len(BLOCKS) == 10


def test_the_readme_counts_the_symptoms():
    assert f"{len(SYMPTOMS)} symptoms" in README


@pytest.mark.parametrize("index", range(len(BLOCKS)))
def test_example_runs(index, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "readme"}
    if index == WATCHING or any(part in BLOCKS[index] for part in ("search.run", "onnx.export")):
        exec(BLOCKS[TRAINING], names)
    if "images.npy" in BLOCKS[index]:
        rng = np.random.default_rng(0)
        np.save("images.npy", rng.integers(0, 256, size=(96, 3, 32, 32), dtype=np.uint8))
        np.save("labels.npy", rng.integers(0, 10, size=96))
    exec("import pynn\n" + BLOCKS[index], names)
    if index == TRAINING:
        assert names["trainer"].evaluate(names["x_test"], names["y_test"])["accuracy"] > 0.95
        assert (tmp_path / "digits.safetensors").exists()
    elif "@experiment" in BLOCKS[index]:
        [result] = pynn.lecture.run([names["he_relu"]], seeds=2)
        assert result.outcome == "reproduced"
    elif "images.npy" in BLOCKS[index]:
        assert names["trainer"].steps == 4
    elif "search.run" in BLOCKS[index]:
        assert names["result"].best.score > 0.9
        assert (tmp_path / "search.html").exists()
    elif "onnx.export" in BLOCKS[index]:
        x = names["x_test"]
        np.testing.assert_allclose(names["again"].predict_proba(x), names["model"].predict_proba(x), atol=1e-6)
    elif index == WATCHING:
        assert "preflight:" in capsys.readouterr().out
        assert names["monitor"].verdict == []
        assert (tmp_path / "run.html").read_text(encoding="utf-8").startswith("<!")
