"""docs/logs.md, the table of sentences and the code name the same events."""

import io
import json
import logging
import re
from collections import defaultdict

import pytest
import structlog

from paas_runner import logs
from paas_runner.logs.events import SENTENCES
from tests.support.logged_events import ROOT, logged_events

ROWS = {
    cells[0].strip("`"): cells
    for cells in (
        row.split(" | ")
        for row in re.findall(r"^\| (`\w+` \| .*) \|$", (ROOT / "docs/logs.md").read_text(), re.MULTILINE)
    )
}


@pytest.fixture(scope="module")
def logged():
    found = defaultdict(list)
    for each in logged_events():
        found[each.event].append(each)
    return found


def test_every_event_has_a_sentence_and_none_is_left_over(logged):
    assert logged.keys() == SENTENCES.keys()


def test_every_event_is_documented_with_its_sentence(logged):
    assert ROWS.keys() == SENTENCES.keys()
    assert {name: row[2] for name, row in ROWS.items()} == dict(SENTENCES)


def test_every_event_is_documented_with_its_levels_and_facts(logged):
    for name, calls in logged.items():
        levels, facts = ROWS[name][1], set(re.findall(r"\w+", ROWS[name][3]))
        assert set(levels.split(", ")) == {call.level for call in calls}, name
        assert set().union(*(call.facts for call in calls)) - {"exc_info"} <= facts, name


def test_names_are_short_and_never_sentences():
    assert [name for name in SENTENCES if not re.fullmatch(r"[a-z]+(_[a-z]+){0,3}", name)] == []


@pytest.fixture
def written():
    """What is in the log of an event, in a form of `log_format`."""
    before = logging.getLogger().handlers[:], logging.getLogger().level

    def write(form, event):
        stream = io.StringIO()
        logs.configure(level="info", form=form, stream=stream)
        structlog.stdlib.get_logger("test").info(event, jobs=3)
        return stream.getvalue()

    yield write
    logging.getLogger().handlers[:], logging.getLogger().level = before[0], before[1]


def test_people_read_the_sentence_and_programs_the_name(written):
    assert "stopping: no new jobs; calls in flight are finished" in written("text", "stopping")
    line = json.loads(written("json", "stopping"))
    assert (line["event"], line["jobs"]) == ("stopping", 3)


def test_an_event_of_another_distributions_executor_stands_as_it_is(written):
    assert "a shelf is full" in written("text", "a shelf is full")
