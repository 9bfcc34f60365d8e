"""The scores that the terminal shows."""

import numpy as np
import pytest
from cases import case

from pynn.cli.scores import ScoredPart, Scores

NAMES = {
    "short": ["no", "yes"],
    "long": ["the customer did not renew " * 4, "the customer renewed " * 4],
    "wide": ["\u5ba2\u6237" * 30, "no"],
    "lines": ["no\nanswer", "yes\r\nof course"],
    "brackets": ["[red]no", "[bold]yes" * 20],
}


def scores(names):
    y = np.arange(40) % 2
    output = np.stack([np.zeros(40), (y - 0.5) * 2], axis=1)
    return Scores([ScoredPart("validation", y, output, 0.3)], names)


@pytest.mark.parametrize("columns", [30, 60, 80, 200])
def test_numbers_are_whole_whatever_the_names_of_the_classes(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    for kind, names in NAMES.items():
        with case(kind):
            found = scores(names)
            found.show()
            lines = capsys.readouterr().out.splitlines()
            _, rows = found.by_class()
            shown = [line.split() for line in lines if line.strip()]
            for row, cells in zip(rows, shown[-len(rows) :], strict=True):
                assert cells[-4:] == row[1:5]
            if columns == 80:
                assert max(map(len, lines)) <= 80
                assert any("\u2026" in line for line in lines) == any(len(name) > 50 for name in names)


def test_lines_of_a_name_are_joined(capsys):
    scores(NAMES["lines"]).show()
    shown = capsys.readouterr().out
    assert "no answer " in shown
    assert "yes of course " in shown
