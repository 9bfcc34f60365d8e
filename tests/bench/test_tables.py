"""The corpus of small tables: its split is the fixed rule's; ranks and intervals of its report."""

import numpy as np
import pytest

from bench.tables.corpus import ALWAYS_REPORTED, SOURCES, part
from bench.tables.report import interval, summary
from bench.tables.run import CONTESTANTS


def test_no_table_is_in_both_parts():
    names = [{source.name for source in part(name)} for name in ("tune", "report")]
    assert not names[0] & names[1]
    assert names[0] | names[1] == {source.name for source in SOURCES}
    assert set(ALWAYS_REPORTED) <= names[1]
    for name in ("tune", "report"):
        tasks = [source.task for source in part(name)]
        assert min(tasks.count("regression"), tasks.count("classification")) >= 12


def test_tables_that_others_are_examined_on_are_kept_off():
    kept_off = {"ISLR", "MASS", "AER", "carData", "DAAG", "Ecdat", "datasets"}
    assert not kept_off & {source.name.split("/")[0] for source in SOURCES}


def test_ranks_share_ties():
    split = {"rows": 9, "columns": 2, "scores": dict(zip(CONTESTANTS, [0.9, 0.9, 0.1, 0.5, 0.3], strict=True))}
    split["seconds"] = dict.fromkeys(CONTESTANTS, 1.0)
    lines = summary({"a/b": {"task": "regression", "splits": {"0": split}}}).splitlines()
    ranks = [line.split("|")[2].split()[0] for line in lines[-5:]]
    assert ranks == ["1.500", "1.500", "5.000", "3.000", "4.000"]


def test_intervals_are_those_of_the_mean():
    values = np.random.default_rng(0).normal(2, 1, 400)
    mean, low, high = (float(text.strip("[],")) for text in interval(values).split())
    assert mean == pytest.approx(values.mean(), abs=1e-3)
    assert (high - low) / 2 == pytest.approx(1.96 * values.std() / 20, rel=0.05)
