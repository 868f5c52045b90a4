"""docs/plans/semantics.md: its numbers, and what it says of kills that no other test has in these words."""

import re
from datetime import timedelta
from pathlib import Path

import attrs
import pytest
from paas_plans.plan import Reason, Status, When
from paas_plans.walk import at

from tests.plans.played import BEGINNING, FAILS_FOR_EVER, OK, Answer, play, recovered
from tests.plans.small_plans import batch, block, checks, plan, sequence

PAGE = (Path(__file__).parents[2] / "docs" / "plans" / "semantics.md").read_text()
MINUTE = timedelta(minutes=1)


def killed(whole, answer, *, when):
    """The plan as it was stored at the first step after which that is so."""
    return next(stored for stored in play(whole, answer).history if when(stored))


def status(stored, *path):
    return at(stored, path).state.status


def test_states_have_the_numbers_of_the_page():
    told = dict(re.findall(r"^\| ([a-z ]+) \((\d+)\) \|", PAGE, re.MULTILINE))
    assert told == {each.words: str(int(each)) for each in Status}


def test_reasons_have_the_numbers_of_the_page():
    _, _, table = PAGE.partition("| Reason of a plan |")
    rows = re.findall(r"^\| ([a-z, ]+) \| ([\d, ]+) \|", table.partition("\n\n")[0], re.MULTILINE)
    told = {name: n for names, ns in rows for name, n in zip(names.split(", "), ns.split(", "), strict=True)}
    assert told == {each.words: str(int(each)) for each in Reason}


@pytest.mark.parametrize("field", ["entrance_delay", "exit_delay"])
def test_what_is_left_of_a_delay_is_waited_for(field):
    stored = killed(
        plan(block(sequence("a"), **{field: MINUTE})),
        lambda action, number: OK,
        when=lambda plan: plan.blocks[0].state.until,
    )
    until = stored.blocks[0].state.until
    resumed = recovered(stored, lambda action, number: OK, until - timedelta(seconds=10))
    assert until <= resumed.plan.state.end <= until + timedelta(seconds=1)


def test_checks_of_which_one_has_failed_are_not_run_again_after_a_kill():
    def answer(action, number):
        return FAILS_FOR_EVER if action.name == "bad" else Answer(takes=MINUTE)

    stored = killed(
        plan(block(sequence("a")), pre_checks=checks("bad", "slow")),
        answer,
        when=lambda plan: status(plan, "pre_checks", "actions", 0) is Status.FAILED,
    )
    resumed = recovered(stored, answer, BEGINNING + MINUTE)
    assert resumed.called == []
    assert resumed.plan.reason is Reason.PRE_CHECK
    assert status(resumed.plan, "pre_checks") is Status.FAILED
    assert status(resumed.plan, "pre_checks", "actions", 1) is Status.NOT_STARTED


def test_continuous_checks_that_waited_keep_their_time():
    whole = plan(block(sequence("slow")), continuous_checks=checks("look", delay=MINUTE))

    def answer(action, number):
        return Answer(takes=3 * MINUTE) if action.name == "slow" else OK

    stored = killed(whole, answer, when=lambda plan: plan.continuous_checks.state.until)
    resumed = recovered(stored, answer, BEGINNING + timedelta(seconds=20))
    looks = [each.continuous_checks.actions[0].attempts for each in resumed.history]
    starts = sorted({attempt[0].start for attempt in looks if attempt})
    assert starts[1] == stored.continuous_checks.state.until


def test_a_first_action_that_was_in_flight_is_not_called_again_where_nothing_may_be_launched():
    def answer(action, number):
        return FAILS_FOR_EVER if action.name == "bad" else Answer(takes=MINUTE)

    stored = killed(
        plan(block(sequence("bad"), sequence("slow"), concurrency=2), batches=(batch(When.ALWAYS, "tidy"),)),
        answer,
        when=lambda plan: status(plan, "blocks", 0, "sequences", 0) is Status.FAILED,
    )
    assert status(stored, "blocks", 0, "sequences", 1, "actions", 0) is Status.RUNNING
    resumed = recovered(stored, answer, BEGINNING + MINUTE)
    assert resumed.called == ["tidy"]
    assert status(resumed.plan, "blocks", 0, "sequences", 1, "actions", 0) is Status.NOT_STARTED
    assert resumed.plan.reason is Reason.BLOCK


def test_one_behind_an_action_that_completed_is_called_again_nevertheless():
    def answer(action, number):
        return {"bad": attrs.evolve(FAILS_FOR_EVER, takes=MINUTE), "slow": Answer(takes=2 * MINUTE)}.get(
            action.name, OK
        )

    stored = killed(
        plan(block(sequence("bad"), sequence("quick", "slow"), concurrency=2)),
        answer,
        when=lambda plan: status(plan, "blocks", 0, "sequences", 0) is Status.FAILED,
    )
    assert recovered(stored, answer, BEGINNING + MINUTE).called == ["slow"]


def test_no_call_is_made_again_of_a_plan_that_is_being_stopped():
    whole = plan(block(sequence("a", "b")), batches=(batch(When.ALWAYS, "tidy"),))
    stopped = play(whole, stopped_after=1.5)
    stored = next(each for each in stopped.history if each.stop_requested)
    assert status(stored, "blocks", 0, "sequences", 0, "actions", 1) is Status.RUNNING
    resumed = recovered(stored, lambda action, number: OK, BEGINNING + MINUTE)
    assert resumed.called == ["tidy"]
    assert resumed.plan.state.status is Status.STOPPED


def test_a_block_that_begins_after_the_plans_continuous_checks_failed_launches_nothing_and_fails():
    def answer(action, number):
        if action.name == "a":
            return Answer(takes=MINUTE)
        return FAILS_FOR_EVER if (action.name, number) == ("look", 2) else OK

    whole = plan(
        block(sequence("a")),
        block(sequence("b"), pre_checks=checks("first")),
        continuous_checks=checks("look", delay=timedelta(seconds=1)),
    )
    playing = play(whole, answer)
    assert sorted(playing.called) == ["a", "first", "look", "look"]
    assert status(playing.plan, "blocks", 0) is Status.COMPLETED
    assert status(playing.plan, "blocks", 1) is Status.FAILED
    assert playing.plan.reason is Reason.CONTINUOUS_CHECK
