"""Copies of plans: to submit again, to show, and of the work that is left; secrets are struck out."""

from datetime import UTC, datetime

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paas_plans.clone import clone, remaining
from paas_plans.ids import fresh_id
from paas_plans.plan import (
    Action,
    Attempt,
    Block,
    CheckKind,
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
from paas_plans.secret import HIDDEN, secret
from paas_plans.walk import at, items, walk

from tests.plans.generated_plans import ANYTHING, CHECKS, WORK, plans, written_plans
from tests.plans.played import FAILS_FOR_EVER, OK, play

START = datetime(2026, 1, 1, tzinfo=UTC)
NOT_STARTED, RUNNING, COMPLETED, FAILED, STOPPED = Status


@attrs.frozen
class LogIn:
    user: str
    password: str = secret()


PRIVATE = LogIn("ann", "tr0ub4dor")
PUBLIC = LogIn("ann", HIDDEN)
LOG_INS = dict.fromkeys((*WORK, *CHECKS), st.just(PRIVATE))


def small_plans():
    return plans(requests=dict.fromkeys((*WORK, *CHECKS), ANYTHING), most=2)


@given(st.data())
@settings(max_examples=15)
def test_a_clone_is_what_was_submitted(data):
    plan = data.draw(small_plans())
    written = data.draw(written_plans(st.just(plan)))
    assert clone(written) == plan
    for step in walk(written):
        assert clone(step.item) == at(plan, step.path)


@given(written_plans())
@settings(max_examples=15)
def test_a_clone_to_show_has_all_that_the_engine_wrote(written):
    assert clone(written, keep_state=True) == written


@given(written_plans(plans(requests=LOG_INS, most=2), responses=LOG_INS))
@settings(max_examples=15)
def test_secrets_are_struck_out_of_requests_and_responses_unless_they_are_asked_for(written):
    for copy in (clone(written), clone(written, keep_state=True), remaining(written, keep_state=True)):
        for action in items(copy, Action) if copy else ():
            assert action.request == PUBLIC
            assert all(attempt.response == PUBLIC for attempt in action.attempts)
    assert clone(written, keep_secrets=True, keep_state=True) == written
    for action in items(clone(written, keep_secrets=True), Action):
        assert action.request == PRIVATE


def test_a_clone_keeps_keys_group_and_meta():
    key, group = fresh_id(), fresh_id()
    action = Action(name="a", description="A", plugin="p", request={"n": 1}, retries=3, key=key)
    plan = attrs.evolve(plan_of(block(sequence(action))), group_id=group, meta=b"mine")
    run = attrs.evolve(plan, id=fresh_id(), reason=Reason.BLOCK, state=State(status=FAILED), submitted=START)
    assert clone(run) == plan


def action(status, name="a"):
    attempts = (Attempt(start=START, end=START),) if status.is_terminal else ()
    state = State(status=status)
    return Action(name=name, description="A", plugin="p", attempts=attempts, state=state, id=fresh_id())


def sequence(*actions, status=NOT_STARTED):
    return Sequence(name="s", description="S", actions=actions, state=State(status=status))


def block(*sequences, status=NOT_STARTED, **checks):
    return Block(name="b", description="B", sequences=sequences, state=State(status=status), **checks)


def plan_of(*blocks, **fields):
    return Plan(name="p", description="P", blocks=blocks, **fields)


def checks(status):
    return Checks(actions=(action(status, "check"),), state=State(status=status))


DONE = sequence(action(COMPLETED), status=COMPLETED)
WAITING = sequence(action(NOT_STARTED))


def names(part):
    return [action.name for action in items(part, Action)]


def test_of_a_cut_off_sequence_the_actions_that_did_not_complete_remain():
    for last in (FAILED, RUNNING, STOPPED, NOT_STARTED):
        cut = sequence(action(COMPLETED, "first"), action(last, "second"), action(NOT_STARTED, "third"))
        assert names(remaining(cut)) == ["second", "third"]
        assert remaining(cut) == clone(sequence(*cut.actions[1:]))


def test_completed_sequences_and_blocks_are_dropped_without_a_gap():
    failed = sequence(action(FAILED, "again"), status=FAILED)
    run = plan_of(
        block(DONE, DONE, status=COMPLETED), block(DONE, failed, DONE, WAITING, status=FAILED), block(WAITING)
    )
    assert remaining(run) == clone(plan_of(block(failed, WAITING), block(WAITING)))


def test_a_failure_that_was_tolerated_remains_of_a_completed_plan():
    tolerated = sequence(action(COMPLETED, "kept"), action(FAILED, "again"), status=FAILED)
    run = plan_of(block(DONE, tolerated, status=COMPLETED), state=State(status=COMPLETED))
    assert names(remaining(run)) == ["again"]


def test_nothing_remains_of_what_is_complete():
    done = block(DONE, status=COMPLETED, post_checks=checks(COMPLETED))
    for part in (action(COMPLETED), DONE, done, plan_of(done, state=State(status=COMPLETED))):
        assert remaining(part) is None
        assert remaining(part, keep_secrets=True, keep_state=True) is None


def test_nothing_remains_of_what_was_bypassed():
    bypassed = block(WAITING, status=COMPLETED, bypass_checks=checks(COMPLETED))
    assert remaining(bypassed) is None
    assert remaining(plan_of(block(WAITING), bypass_checks=checks(COMPLETED))) is None
    tried = block(WAITING, bypass_checks=checks(FAILED))
    assert remaining(plan_of(bypassed, tried)) == clone(plan_of(tried))


@pytest.mark.parametrize("kind", ["pre", "continuous", "post", "deferred"])
def test_a_block_whose_checks_refused_what_its_sequences_did_is_done_again(kind):
    refused = block(DONE, DONE, status=FAILED, **{f"{kind}_checks": checks(FAILED)})
    assert remaining(plan_of(refused, block(WAITING))) == clone(plan_of(refused, block(WAITING)))


def test_a_block_that_was_cut_off_before_its_post_checks_is_done_again():
    cut = block(DONE, status=RUNNING, post_checks=checks(NOT_STARTED))
    assert remaining(cut) == clone(cut)


def test_checks_and_deferred_actions_remain_whole_with_the_work_that_they_are_for():
    every = {kind.field: checks(COMPLETED) for kind in CheckKind if kind is not CheckKind.BYPASS}
    batch = DeferredBatch(name="d", description="D", when=When.ALWAYS, actions=(action(COMPLETED),))
    around = {"deferred_actions": DeferredActions(batches=(batch,))} | every
    run = plan_of(block(DONE, WAITING, **every), **around)
    assert remaining(run) == clone(plan_of(block(WAITING, **every), **around))


def test_no_work_remains_where_only_checks_or_deferred_actions_of_the_plan_failed():
    run = plan_of(block(DONE, status=COMPLETED), post_checks=checks(FAILED), state=State(status=FAILED))
    assert remaining(run) is None


@given(written_plans())
@settings(max_examples=15)
def test_what_remains_has_no_empty_places(written):
    left = remaining(written)
    if left is None:
        return
    assert left.blocks
    assert all(place.sequences for place in items(left, Block))
    assert all(place.actions for place in items(left, Sequence))


def work_in(part):
    return {one.name for place in items(part, Sequence) for one in place.actions}


@given(st.data())
@settings(max_examples=30)
def test_a_run_and_then_what_remained_of_it_do_all_the_work_and_none_of_it_twice(data):
    plan = data.draw(plans(delays=False))
    bypasses = {
        one.name
        for place in (plan, *plan.blocks)
        if place.bypass_checks
        for one in place.bypass_checks.actions
    }
    broken = data.draw(st.sets(st.sampled_from([one.name for one in items(plan, Action)]), max_size=3))
    history = play(plan, lambda one, number: FAILS_FOR_EVER if one.name in bypasses | broken else OK).history
    cut = data.draw(st.sampled_from(history))
    done = {one.name for one in items(cut, Action) if one.state.status is COMPLETED} & work_in(plan)
    left = remaining(cut)
    if left is None:
        assert done == work_in(plan)
        return
    repeated = work_in(left) & done
    assert done | work_in(left) == work_in(plan)
    assert all(work_in(block) <= done for block in plan.blocks if work_in(block) & repeated)
    again = play(left, lambda one, number: FAILS_FOR_EVER if one.name in bypasses else OK)
    assert again.plan.state.status is COMPLETED
    assert set(again.called) >= work_in(left)
