"""No cell of the comparison goes without version, date and source."""

import re

import pytest

from tests.support.site_program import site_module

COMPARISON = site_module("comparison")
TEXT = COMPARISON.FILE.read_text()


def test_each_subject_has_a_cell_for_each_program():
    found = COMPARISON.comparison(TEXT)
    assert len(found.programs) >= 4
    assert all(list(row.cells) == list(found.programs) for row in found.rows)


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        (r', version = "19.4.0"', "", "without version"),
        (r', version = "19.4.0"', ', version = ""', "without version"),
        (r', version = "19.4.0"', ', version = "new"', "version"),
        (r", date = 2026-11-29", "", "without date"),
        (r", date = 2026-11-29", ', date = "lately"', "no date"),
        (r', source = "peer"', ', source = ""', "without source"),
        (r', source = "peer"', ', source = "hearsay"', "no source is called hearsay"),
        (r"^kubernetes = \{.*$", "", "a cell is wanted"),
    ],
)
def test_an_incomplete_cell_ends_the_build(before, after, why):
    broken = re.sub(before, after, TEXT, count=1, flags=re.MULTILINE)
    assert broken != TEXT
    with pytest.raises(ValueError, match=why):
        COMPARISON.comparison(broken)
