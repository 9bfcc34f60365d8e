"""Every statement of the lecture names the experiments that look into it, or says why there is none."""

import re
from pathlib import Path

import pytest

from pynn.lecture import experiments
from pynn.lecture.catalogue import SECTIONS

ALL = experiments()
NOTES = (Path(__file__).parents[2] / "docs" / "lecture" / "notes.md").read_text(encoding="utf-8")

REASON = re.compile(r"(no claim|not tried): \w")


def sections(notes):
    """Return the text of each section by its heading; what stands before the first heading is no statement."""
    return dict(part.split("\n", 1) for part in notes.split("\n## ")[1:])


def statements(text):
    """Split a section into sentences and parts of them that end with a semicolon, less what is in parentheses."""
    while text != (shorter := re.sub(r"\([^()]*\)", "", text)):
        text = shorter
    # Ends: a list item, a paragraph, or punctuation that is not inside a mark.
    parts = re.split(r"\n\s*(?=- )|\n\n|[.;?!](?=\W*\s|$)(?![^\[]*\])", text)
    return [" ".join(part.split()) for part in parts if re.search(r"\w", part)]


def undecided(notes):
    """Return the statements that do not end with a mark."""
    return [item for text in sections(notes).values() for item in statements(text) if not item.endswith("]")]


def marks(text):
    """Return the names and reasons in brackets."""
    for mark in re.findall(r"\[([^\]]*)\]", text):
        yield from [mark] if REASON.match(mark) else mark.split() or [mark]


def wrong(notes):
    """Return the marks that are neither a reason nor an experiment of the section they stand in."""
    return [
        mark
        for heading, text in sections(notes).items()
        for mark in marks(text)
        if not REASON.match(mark) and not (mark in ALL and heading.startswith(SECTIONS[ALL[mark].section]))
    ]


def unnamed(notes):
    """Return the experiments that no statement names."""
    return ALL.keys() - {mark for text in sections(notes).values() for mark in marks(text)}


def test_every_statement_ends_with_a_mark():
    assert undecided(NOTES) == []


def test_every_mark_is_a_reason_or_an_experiment_of_this_section():
    assert wrong(NOTES) == []


def test_every_experiment_looks_into_a_statement():
    assert unnamed(NOTES) == set()


@pytest.mark.parametrize(
    "new", ["It helps.", "it helps (by 1%; often);", "**It helps.**", "\n- It helps.", "\n\nIt helps."]
)
def test_a_statement_without_a_mark_is_noticed_wherever_it_stands(new):
    ends = [match.end() for match in re.finditer(r"\][.;]", NOTES)]
    assert len(ends) >= 60
    for end in ends:
        assert len(undecided(f"{NOTES[:end]} {new}{NOTES[end:]}")) == 1, NOTES[end - 60 : end]
    assert len(undecided(f"{NOTES}{new.rstrip('.')}")) == 1


@pytest.mark.parametrize("mark", ["he-rely", "he-relu, lsuv", "", "not tried", "not tried: ", "centre"])
def test_a_mark_that_names_nothing_or_an_experiment_of_another_section_is_noticed(mark):
    assert wrong(NOTES.replace("[lsuv]", f"[{mark}]"))


def test_an_experiment_that_no_statement_names_is_noticed():
    assert unnamed(NOTES.replace("[lsuv]", "[he-relu]")) == {"lsuv"}
