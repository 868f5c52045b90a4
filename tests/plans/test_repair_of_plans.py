"""What a crash leaves behind, and what is made of it before the plan goes on."""

from datetime import UTC, datetime, timedelta

import attrs
import pytest
from paas_plans.machine import closed_as_too_old, repaired
from paas_plans.plan import (
    Action,
    ActionError,
    Attempt,
    Block,
    Checks,
    DeferredActions,
    DeferredBatch,
    Plan,
    Reason,
    Sequence,
    State,
    Status,
    When,
)
from paas_plans.walk import walk

from tests.plans.played import OK, recovered
from tests.plans.small_plans import action, plan, sequence
from tests.plans.small_plans import block as block_of

START = datetime(2026, 1, 1, tzinfo=UTC)
MIDDLE, NOW = START + timedelta(seconds=10), START + timedelta(minutes=1)
FRESH, RUNS, DONE, FAILED, STOPPED = Status
WELL = Attempt(start=START, end=MIDDLE)
BADLY = Attempt(start=START, end=MIDDLE, error=ActionError(message="it failed"))
FOR_EVER = Attempt(start=START, end=MIDDLE, error=ActionError(message="it cannot work", permanent=True))
CUT_OFF = Attempt(start=MIDDLE)

ATTEMPTS = {DONE: (WELL,), FAILED: (BADLY,), STOPPED: (BADLY,)}


def state(status: Status) -> State:
    times = {"start": None if status is FRESH else START, "end": MIDDLE if status.is_terminal else None}
    return State(status=status, **times)


def actions(statuses: list[Status]) -> tuple[Action, ...]:
    return tuple(
        action(f"action {number}", attempts=ATTEMPTS.get(status, ()), state=state(status))
        for number, status in enumerate(statuses)
    )


def in_sequence(one: Sequence) -> Sequence:
    """The same once its plan has been repaired."""
    block = attrs.evolve(block_of(one), state=state(RUNS))
    return repaired(attrs.evolve(plan(block), state=state(RUNS)), NOW).blocks[0].sequences[0]


def statuses_of(item) -> tuple[Status, list[Status]]:
    return item.state.status, [action.state.status for action in item.actions]


# --- actions -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attempts", "retries", "status", "kept"),
    [
        ((), 0, FRESH, 0),
        ((CUT_OFF,), 0, FRESH, 0),
        ((WELL,), 0, DONE, 1),
        ((BADLY, WELL), 1, DONE, 2),
        ((BADLY,), 0, FAILED, 1),
        ((FOR_EVER,), 5, FAILED, 1),
        ((BADLY, BADLY), 1, FAILED, 2),
        ((BADLY,), 1, RUNS, 1),
        ((BADLY, CUT_OFF), 1, RUNS, 1),
    ],
)
def test_an_action_that_ran_is_what_its_attempts_that_ended_say(attempts, retries, status, kept):
    running = action("a", attempts=attempts, retries=retries, state=state(RUNS))
    [after] = in_sequence(Sequence(name="s", description="-", actions=(running,), state=state(RUNS))).actions
    assert (after.state.status, after.attempts) == (status, attempts[:kept])
    assert after.state.end == {DONE: MIDDLE, FAILED: NOW}.get(status)
    assert (after.state.start is None) == (status is FRESH)


# --- actions in a row ----------------------------------------------------------------------------------

ROWS = [
    ([DONE, RUNS, FRESH], RUNS, [DONE, FRESH, FRESH]),
    ([DONE, FRESH, FRESH], RUNS, [DONE, FRESH, FRESH]),
    ([RUNS, FRESH], FRESH, [FRESH, FRESH]),
    ([FRESH, FRESH], FRESH, [FRESH, FRESH]),
    ([DONE, FAILED, FRESH], FAILED, [DONE, FAILED, FRESH]),
    ([DONE, STOPPED, FRESH], STOPPED, [DONE, STOPPED, FRESH]),
    ([DONE, DONE], DONE, [DONE, DONE]),
]


@pytest.mark.parametrize(("found", "status", "left"), ROWS)
def test_a_sequence_goes_on_with_its_first_action_that_is_not_completed(found, status, left):
    row = Sequence(name="s", description="-", actions=actions(found), state=state(RUNS))
    assert statuses_of(in_sequence(row)) == (status, left)


@pytest.mark.parametrize(("found", "status", "left"), ROWS)
def test_a_deferred_batch_goes_on_like_a_sequence(found, status, left):
    row = DeferredBatch(
        name="b", description="-", when=When.ALWAYS, actions=actions(found), state=state(RUNS)
    )
    deferred = DeferredActions(batches=(row,), state=state(RUNS))
    whole = attrs.evolve(plan(block_of(sequence("a"))), state=state(RUNS), deferred_actions=deferred)
    after = repaired(whole, NOW).deferred_actions
    assert statuses_of(after.batches[0]) == (status, left)
    assert after.state == deferred.state


# --- checks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bypass_checks", "pre_checks", "continuous_checks", "post_checks"])
@pytest.mark.parametrize("on_plan", [True, False])
@pytest.mark.parametrize(
    ("found", "status", "left"),
    [
        ([DONE, RUNS], FRESH, [FRESH, FRESH]),
        ([RUNS, RUNS], FRESH, [FRESH, FRESH]),
        ([FAILED, RUNS], FAILED, [FAILED, FRESH]),
        ([FAILED, DONE], FAILED, [FAILED, DONE]),
        ([STOPPED, RUNS], STOPPED, [STOPPED, FRESH]),
        ([DONE, DONE], DONE, [DONE, DONE]),
    ],
)
def test_checks_that_ran_are_judged_or_run_anew(kind, on_plan, found, status, left):
    checks = Checks(actions=actions(found), state=state(RUNS))
    block = attrs.evolve(block_of(sequence("a")), state=state(RUNS), **({} if on_plan else {kind: checks}))
    whole = attrs.evolve(plan(block), state=state(RUNS), **({kind: checks} if on_plan else {}))
    after = repaired(whole, NOW)
    mended = getattr(after if on_plan else after.blocks[0], kind)
    assert statuses_of(mended) == (status, left)
    if status is FRESH:
        assert all(action.attempts == () and action.state == State() for action in mended.actions)


def test_an_action_that_could_be_tried_again_is_stopped_with_checks_that_failed_beside_it():
    waits = action("waits", attempts=(BADLY,), retries=3, state=attrs.evolve(state(RUNS), until=NOW))
    checks = Checks(actions=(*actions([FAILED]), waits), state=state(RUNS))
    after = repaired(attrs.evolve(plan(block_of(sequence("a"))), state=state(RUNS), pre_checks=checks), NOW)
    assert statuses_of(after.pre_checks) == (FAILED, [FAILED, STOPPED])
    assert after.pre_checks.actions[1].state.until is None


# --- what follows for blocks, deferred actions and the plan --------------------------------------------


def block_with(found: list[Status], **others) -> Block:
    sequences = tuple(
        Sequence(name=f"s{number}", description="-", actions=actions([status]), state=state(status))
        for number, status in enumerate(found)
    )
    return Block(name="b", description="-", sequences=sequences, state=state(RUNS), **others)


def ended_checks(status: Status) -> Checks:
    return Checks(actions=actions([status]), state=state(status))


@pytest.mark.parametrize(
    ("block", "status", "called"),
    [
        (block_with([FRESH], bypass_checks=ended_checks(DONE)), DONE, 0),
        (block_with([FRESH], pre_checks=ended_checks(FAILED)), FAILED, 0),
        (block_with([DONE], continuous_checks=ended_checks(FAILED)), FAILED, 0),
        (block_with([DONE], post_checks=ended_checks(FAILED)), FAILED, 0),
        (block_with([FAILED, FRESH]), FAILED, 0),
        (block_with([FAILED, FRESH], tolerated_failures=1), DONE, 1),
        (block_with([RUNS, FRESH]), DONE, 2),
        (block_with([DONE, FRESH]), DONE, 1),
        (block_with([DONE, DONE]), DONE, 0),
    ],
)
def test_a_block_ends_as_its_parts_say(block, status, called):
    whole = attrs.evolve(plan(block), state=state(RUNS))
    after = recovered(whole, lambda action, number: OK, NOW)
    assert (after.plan.blocks[0].state.status, len(after.called)) == (status, called)


def test_a_block_of_which_a_sequence_was_stopped_is_stopped():
    whole = attrs.evolve(plan(block_with([STOPPED, RUNS])), state=state(RUNS), stop_requested=START)
    after = recovered(whole, lambda action, number: OK, NOW)
    assert [after.plan.state.status, after.plan.blocks[0].state.status, after.called] == [
        STOPPED,
        STOPPED,
        [],
    ]


@pytest.mark.parametrize(
    ("found", "status", "called"),
    [([DONE, FAILED], FAILED, 0), ([DONE, DONE], DONE, 0), ([RUNS, DONE], DONE, 1), ([FRESH, DONE], DONE, 1)],
)
def test_deferred_actions_finish_what_is_left_of_them(found, status, called):
    batches = tuple(
        DeferredBatch(
            name=f"d{number}",
            description="-",
            when=When.ALWAYS,
            fail_plan=True,
            actions=actions([each]),
            state=state(each),
        )
        for number, each in enumerate(found)
    )
    deferred = DeferredActions(batches=batches, state=state(RUNS))
    ended_block = attrs.evolve(block_with([DONE]), state=state(DONE))
    whole = attrs.evolve(plan(ended_block), state=state(RUNS), deferred_actions=deferred)
    after = recovered(whole, lambda action, number: OK, NOW)
    assert (after.plan.deferred_actions.state.status, len(after.called)) == (status, called)
    assert after.plan.state.status is status


@pytest.mark.parametrize(
    ("parts", "ending"),
    [
        ({"bypass_checks": ended_checks(DONE)}, (DONE, Reason.UNKNOWN)),
        ({"pre_checks": ended_checks(FAILED)}, (FAILED, Reason.PRE_CHECK)),
        ({"continuous_checks": ended_checks(FAILED)}, (FAILED, Reason.CONTINUOUS_CHECK)),
        ({"post_checks": ended_checks(FAILED), "blocks": (DONE,)}, (FAILED, Reason.POST_CHECK)),
        ({"blocks": (FAILED,)}, (FAILED, Reason.BLOCK)),
        ({"blocks": (DONE,), "deferred_checks": ended_checks(DONE)}, (DONE, Reason.UNKNOWN)),
    ],
)
def test_a_plan_ends_as_its_parts_say_and_cleans_up_even_if_it_had_failed_before(parts, ending):
    [status] = parts.pop("blocks", (FRESH,))
    only = attrs.evolve(block_with([status]), state=state(status))
    tidies = DeferredBatch(name="t", description="-", when=When.ALWAYS, actions=(action("tidy"),))
    whole = attrs.evolve(
        plan(only), state=state(RUNS), deferred_actions=DeferredActions(batches=(tidies,)), **parts
    )
    after = recovered(whole, lambda action, number: OK, NOW)
    assert (after.plan.state.status, after.plan.reason) == ending
    is_bypassed = "bypass_checks" in parts
    assert after.called.count("tidy") == (0 if is_bypassed else 1)


# --- only what runs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [FRESH, DONE, FAILED, STOPPED])
def test_what_does_not_run_is_left_as_it_is(status):
    row = Sequence(name="s", description="-", actions=actions([status]), state=state(status))
    assert in_sequence(row) == row
    ended = attrs.evolve(plan(block_with([RUNS])), state=state(status))
    assert repaired(ended, NOW) == ended


def test_a_plan_that_is_too_old_fails_with_all_that_ran_in_it():
    waits = attrs.evolve(ended_checks(DONE), state=State(status=DONE, start=START, end=MIDDLE, until=NOW))
    delayed = attrs.evolve(block_of(sequence("later")), state=State(until=NOW))
    whole = attrs.evolve(plan(block_with([DONE, RUNS, FRESH]), delayed), state=state(RUNS))
    after = closed_as_too_old(attrs.evolve(whole, continuous_checks=waits), NOW)
    assert (after.state, after.reason) == (
        State(status=FAILED, start=START, end=NOW),
        Reason.EXCEEDED_RECOVERY,
    )
    assert [each.state.status for each in after.blocks[0].sequences] == [DONE, FAILED, FRESH]
    assert [each.state.end for each in after.blocks[0].sequences] == [MIDDLE, NOW, None]
    assert not any(step.item.state.status is RUNS or step.item.state.until for step in walk(after))


def test_a_plan_is_repaired_once_whatever_is_repeated():
    whole: Plan = attrs.evolve(plan(block_with([RUNS, DONE, FAILED])), state=state(RUNS))
    once = repaired(whole, NOW)
    assert repaired(once, NOW + timedelta(hours=1)) == once
