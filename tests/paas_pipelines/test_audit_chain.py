"""The audit: what was noted stays as it was noted, or it is found out (§9)."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from paas_pipelines.store.audit import HEAD, Audit

from tests.support.memory_journal import MemoryJournal

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Days:
    now = START

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Days()


@pytest.fixture
def journal():
    return MemoryJournal()


async def noted(journal, clock, days=3, each=2):
    audit = await Audit.open(journal, clock)
    for day in range(days):
        for number in range(each):
            audit.note("ann", "start", "pipeline=build", run=f"{day}-{number}")
        clock.now += timedelta(days=1)
    return audit


def lines(journal):
    return sorted(key for key in journal.texts if key[0].startswith("audit ") and key[0] != HEAD)


async def test_lines_are_told_newest_first_and_go_on_after_a_restart(journal, clock):
    await noted(journal, clock)
    audit = await Audit.open(journal, clock)
    audit.note("bob", "approve", "task=deploy/ok", "refused")
    newest = await audit.newest(3)
    assert [line.number for line in newest] == [7, 6, 5]
    assert newest[0].outcome == "refused"
    assert [line.number for line in await audit.newest(9, before=3)] == [2, 1]
    assert [line.number for line in await audit.newest(9, wanted=lambda line: line.who == "bob")] == [7]
    assert await audit.broken() == ""


@pytest.mark.parametrize("which", range(6))
@pytest.mark.parametrize("how", ["changed", "removed"])
async def test_a_line_that_is_changed_or_removed_is_found(journal, clock, which, how):
    audit = await noted(journal, clock)
    key = lines(journal)[which]
    if how == "removed":
        del journal.texts[key]
    else:
        journal.texts[key] = journal.texts[key].replace("ann", "eve")
    assert "line" in await audit.broken()


async def test_lines_that_change_places_are_found(journal, clock):
    audit = await noted(journal, clock)
    one, other, *_ = lines(journal)
    journal.texts[one], journal.texts[other] = journal.texts[other], journal.texts[one]
    assert "line 2" in await audit.broken()
    for key, number in ((one, 1), (other, 2)):
        journal.texts[key] = json.dumps(json.loads(journal.texts[key]) | {"number": number})
    assert "line 1" in await audit.broken()


async def test_what_is_older_than_400_days_goes_and_the_rest_is_whole(journal, clock):
    audit = await noted(journal, clock)
    clock.now = START + timedelta(days=402)
    assert await audit.forget_old() == 4
    assert [key for _, key in lines(journal)] == ["000000000005", "000000000006"]
    assert await audit.broken() == ""
    assert await (await Audit.open(journal, clock)).broken() == ""


async def test_a_clock_that_is_set_back_does_not_disturb_the_order(journal, clock):
    audit = await noted(journal, clock)
    clock.now = START
    audit.note("ann", "cancel", "pipeline=build")
    assert [line.number for line in await audit.newest(2)] == [7, 6]
    assert await audit.broken() == ""
