"""How a plan goes on, by the machine alone."""

from datetime import timedelta

import attrs
import pytest
from paas_plans.machine.moves import Begun, StopAsked
from paas_plans.plan import Action, ActionError, DeferredActions, Reason, Status, When
from paas_plans.walk import walk

from tests.plans.played import BEGINNING, FAILS, FAILS_FOR_EVER, OK, PAUSE, Answer, Play, play, recovered
from tests.plans.small_plans import batch, block, checks, plan, sequence

COMPLETED = (Status.COMPLETED, Reason.UNKNOWN)


def failing(*names, answer=FAILS):
    return lambda action, number: answer if action.name in names else OK


def outcome(playing):
    return playing.plan.state.status, playing.plan.reason


def everything():
    return plan(
        block(
            sequence("a1", "a2"),
            sequence("b1", "b2"),
            bypass_checks=checks("block-bypass"),
            pre_checks=checks("block-pre"),
            continuous_checks=checks("block-during"),
            post_checks=checks("block-post"),
            deferred_checks=checks("block-deferred"),
        ),
        block(sequence("c1")),
        bypass_checks=checks("bypass"),
        pre_checks=checks("pre"),
        continuous_checks=checks("during"),
        post_checks=checks("post"),
        deferred_checks=checks("deferred"),
        batches=(
            batch(When.ON_SUCCESS, "celebrate"),
            batch(When.ON_FAILURE, "repair"),
            batch(When.ALWAYS, "tidy"),
        ),
    )


def test_all_is_run_in_order():
    playing = play(everything(), failing("bypass", "block-bypass"))
    assert outcome(playing) == COMPLETED
    assert playing.called == [
        *("bypass", "pre", "during", "block-bypass", "block-pre", "block-during", "a1", "a2", "b1", "b2"),
        *("block-post", "block-deferred", "c1", "post", "celebrate", "tidy", "deferred"),
    ]


def test_a_bypassed_plan_is_completed_and_nothing_of_it_runs():
    playing = play(everything())
    assert (outcome(playing), playing.called) == (COMPLETED, ["bypass"])


def test_a_bypassed_block_is_completed_and_the_next_one_runs():
    playing = play(
        plan(
            block(sequence("a"), bypass_checks=checks("bypass"), exit_delay=timedelta(hours=1)),
            block(sequence("b")),
        )
    )
    assert (outcome(playing), playing.called) == (COMPLETED, ["bypass", "b"])


@pytest.mark.parametrize(
    ("failed", "reason", "then"),
    [
        ("pre", Reason.PRE_CHECK, ["repair", "tidy", "deferred"]),
        ("during", Reason.CONTINUOUS_CHECK, ["repair", "tidy", "deferred"]),
        ("block-pre", Reason.BLOCK, ["block-deferred", "repair", "tidy", "deferred"]),
        ("block-during", Reason.BLOCK, ["block-deferred", "repair", "tidy", "deferred"]),
        ("a1", Reason.BLOCK, ["block-deferred", "repair", "tidy", "deferred"]),
        ("block-post", Reason.BLOCK, ["block-deferred", "repair", "tidy", "deferred"]),
        ("block-deferred", Reason.BLOCK, ["repair", "tidy", "deferred"]),
        ("post", Reason.POST_CHECK, ["repair", "tidy", "deferred"]),
        ("deferred", Reason.DEFERRED_CHECK, []),
    ],
)
def test_what_fails_gives_the_reason_and_what_is_deferred_is_done(failed, reason, then):
    playing = play(everything(), failing("bypass", "block-bypass", failed))
    assert outcome(playing) == (Status.FAILED, reason)
    after = playing.called[playing.called.index(failed) + 1 :]
    assert [name for name in after if name not in {"during", "block-during"}] == then


@pytest.mark.parametrize(
    ("tolerated", "failed", "calls", "status"),
    [
        (1, "ac", ["a", "b", "c"], Status.FAILED),
        (1, "ab", ["a", "b"], Status.FAILED),
        (1, "b", ["a", "b", "c"], Status.COMPLETED),
        (0, "a", ["a"], Status.FAILED),
        (-1, "abc", ["a", "b", "c"], Status.COMPLETED),
    ],
)
def test_a_block_fails_when_more_sequences_have_failed_than_are_tolerated(tolerated, failed, calls, status):
    playing = play(
        plan(block(*(sequence(name) for name in "abc"), tolerated_failures=tolerated)), failing(*failed)
    )
    assert (playing.called, playing.plan.state.status) == (calls, status)


def test_never_more_sequences_run_than_the_concurrency_of_their_block():
    playing = play(plan(block(*(sequence(f"{n}") for n in range(10)), concurrency=3)))
    assert (playing.most_at_once, len(playing.called)) == (3, 10)
    assert playing.now - BEGINNING == timedelta(seconds=4)


def test_retries_are_attempts_beyond_the_first_and_a_permanent_error_ends_them():
    retried = plan(block(sequence("a", retries=2)))
    assert play(retried, failing("a")).called == ["a"] * 3
    assert (
        play(retried, lambda action, number: FAILS if number < 3 else OK).plan.state.status
        is Status.COMPLETED
    )
    assert play(retried, failing("a", answer=FAILS_FOR_EVER)).called == ["a"]


def test_before_another_attempt_the_pause_is_waited_and_after_the_last_one_there_is_none():
    playing = play(plan(block(sequence("a", retries=2))), failing("a"))
    assert playing.now - BEGINNING == 3 * OK.takes + 2 * PAUSE
    assert any(stored.blocks[0].sequences[0].actions[0].state.until for stored in playing.history)


def test_continuous_checks_run_again_and_again_while_the_work_goes_on():
    long = plan(block(sequence(*"abcdef")), continuous_checks=checks("during", delay=timedelta(seconds=1.5)))
    assert play(long).called.count("during") == 3


def test_a_continuous_check_that_fails_is_noticed_before_the_next_launch():
    long = plan(
        block(sequence("a", "b"), sequence("c")),
        continuous_checks=checks("during", delay=timedelta(seconds=1)),
    )
    playing = play(long, failing("during"))
    assert (playing.called, outcome(playing)) == (
        ["during", "a", "b"],
        (Status.FAILED, Reason.CONTINUOUS_CHECK),
    )


def test_delays_are_waited_before_and_after_a_block():
    delayed = plan(
        block(sequence("a"), entrance_delay=timedelta(minutes=1), exit_delay=timedelta(minutes=2)),
        block(sequence("b")),
    )
    playing = play(delayed)
    assert (outcome(playing), playing.now - BEGINNING) == (COMPLETED, timedelta(minutes=3, seconds=2))


def test_a_plan_that_is_asked_to_stop_ends_its_running_actions_and_does_what_is_deferred():
    playing = Play(everything(), failing("bypass", "block-bypass"))
    playing.at(BEGINNING + timedelta(seconds=4, milliseconds=500), StopAsked())
    playing.tell(Begun())
    playing.go_on()
    assert outcome(playing) == (Status.STOPPED, Reason.STOPPED)
    assert playing.called[-5:] == ["a1", "block-deferred", "repair", "tidy", "deferred"]


@pytest.mark.parametrize("wait", ["entrance_delay", "exit_delay"])
def test_a_delay_is_cut_short_by_a_stop(wait):
    playing = Play(plan(block(sequence("a"), **{wait: timedelta(hours=1)})), failing())
    playing.at(BEGINNING + timedelta(minutes=1), StopAsked())
    playing.tell(Begun())
    playing.go_on()
    assert (outcome(playing), playing.now - BEGINNING) == (
        (Status.STOPPED, Reason.STOPPED),
        timedelta(minutes=1),
    )


def test_an_action_that_waits_for_another_attempt_is_stopped():
    playing = Play(plan(block(sequence("a", retries=1000))), failing("a"))
    playing.at(BEGINNING + timedelta(seconds=1.5), StopAsked())
    playing.tell(Begun())
    assert playing.go_on().blocks[0].sequences[0].actions[0].state.status is Status.STOPPED


@pytest.mark.parametrize(("counts", "status"), [(True, Status.FAILED), (False, Status.COMPLETED)])
def test_a_deferred_batch_that_fails_fails_the_plan_only_where_it_is_to(counts, status):
    deferring = plan(
        block(sequence("a")),
        batches=(batch(When.ALWAYS, "x", "y", fail_plan=counts), batch(When.ON_SUCCESS, "z")),
    )
    playing = play(deferring, failing("x"))
    assert (playing.plan.state.status, playing.called) == (status, ["a", "x", "z"])


def test_checks_must_all_succeed_and_all_of_them_run():
    playing = play(plan(block(sequence("a")), pre_checks=checks("x", "y", "z")), failing("x"))
    assert (playing.called, outcome(playing)) == (["x", "y", "z"], (Status.FAILED, Reason.PRE_CHECK))


def test_a_plan_that_is_asked_to_stop_during_its_last_action_is_stopped_though_all_was_done():
    playing = play(everything(), failing("bypass", "block-bypass"), stopped_after=10.5)
    assert playing.plan.blocks[1].state.status is Status.COMPLETED
    assert outcome(playing) == (Status.STOPPED, Reason.STOPPED)
    assert playing.called[-4:] == ["c1", "repair", "tidy", "deferred"]


@pytest.mark.parametrize("seconds", [12.5, 13.5])
def test_it_is_too_late_to_stop_what_is_deferred(seconds):
    playing = play(everything(), failing("bypass", "block-bypass"), stopped_after=seconds)
    assert (outcome(playing), playing.called[-1]) == (COMPLETED, "deferred")
    assert playing.plan.stop_requested is None


def test_nothing_of_a_block_is_run_whose_delay_ends_as_the_stop_comes():
    delayed = block(sequence("a"), entrance_delay=timedelta(seconds=5), deferred_checks=checks("d"))
    playing = play(plan(delayed), stopped_after=5)
    assert (playing.called, outcome(playing)) == ([], (Status.STOPPED, Reason.STOPPED))


def test_an_action_that_was_cut_off_while_its_plan_was_stopped_is_not_tried_again():
    answer = failing("a")
    playing = play(plan(block(sequence("a", retries=5))), answer, stopped_after=2.5)
    stopping = next(stored for stored in playing.history if stored.stop_requested)
    again = recovered(stopping, answer, playing.now)
    assert (again.called, outcome(again)) == ([], (Status.STOPPED, Reason.STOPPED))


@pytest.mark.parametrize(
    ("whole", "reason"),
    [
        (plan(block(sequence("a")), continuous_checks=checks("during")), Reason.CONTINUOUS_CHECK),
        (plan(block(sequence("a"), continuous_checks=checks("during"))), Reason.BLOCK),
    ],
)
def test_a_run_of_continuous_checks_that_was_cut_off_after_the_work_is_made_up_for(whole, reason):
    late = attrs.evolve(FAILS, takes=timedelta(hours=1))
    playing = play(whole, lambda action, number: late if action.name == "during" else OK)
    waits_for_it = playing.history[-2]
    again = recovered(waits_for_it, failing("during"), playing.now)
    assert (again.called, outcome(again)) == (["during"], (Status.FAILED, reason))


def test_any_negative_number_of_tolerated_failures_is_unlimited():
    assert outcome(play(plan(block(sequence("a"), tolerated_failures=-2)), failing("a"))) == COMPLETED


def test_the_plan_is_asked_before_the_block_whether_a_continuous_check_has_failed():
    both = plan(
        block(sequence("a", "b"), sequence("c"), continuous_checks=checks("block-during")),
        continuous_checks=checks("during"),
    )
    playing = play(both, failing("during", "block-during"))
    assert outcome(playing) == (Status.FAILED, Reason.CONTINUOUS_CHECK)
    assert "c" not in playing.called


def test_a_plan_that_was_asked_to_stop_while_nobody_ran_it_launches_nothing_when_it_goes_on():
    whole = play(everything(), failing("bypass", "block-bypass"))
    in_work = [each for each in whole.history if each.blocks[0].sequences[0].state.status is Status.RUNNING]
    for stored in in_work:
        again = recovered(stored, failing(), whole.now, stop_asked=True)
        assert outcome(again) == (Status.STOPPED, Reason.STOPPED)
        assert again.called == ["block-deferred", "repair", "tidy", "deferred"]


# --- what the original's tests hold, too ------------------------------------------------------------------


def test_a_bypassed_block_leaves_its_continuous_checks_alone_and_ends_in_one_step():
    bypassed = block(
        sequence("a"),
        bypass_checks=checks("bypass"),
        continuous_checks=checks("during"),
        deferred_checks=checks("deferred"),
    )
    playing = play(plan(bypassed))
    assert playing.called == ["bypass"]
    assert playing.plan.blocks[0].continuous_checks == bypassed.continuous_checks
    assert [stored.blocks[0].state.status for stored in playing.history] == [Status.RUNNING, Status.COMPLETED]


def test_pre_checks_and_a_run_of_continuous_checks_are_side_by_side_and_both_are_waited_for():
    playing = Play(everything(), failing("bypass", "pre"))
    playing.tell(Begun())
    assert playing.in_flight == {("bypass_checks", "actions", 0)}
    playing.go_on()
    beside = next(stored for stored in playing.history if stored.pre_checks.state.status is Status.RUNNING)
    assert beside.continuous_checks.state.status is Status.RUNNING
    assert playing.plan.continuous_checks.state.status is Status.COMPLETED


def test_post_checks_wait_for_the_run_of_continuous_checks_that_is_in_progress():
    late = Answer(takes=timedelta(hours=1))
    whole = plan(block(sequence("a")), continuous_checks=checks("during"), post_checks=checks("post"))
    playing = play(whole, lambda action, number: late if action.name == "during" else OK)
    assert (playing.called, playing.now - BEGINNING) == (
        ["during", "a", "post"],
        timedelta(hours=1, seconds=1),
    )


def test_a_run_of_checks_marks_all_its_actions_first_and_forgets_the_attempts_of_earlier_runs():
    retried = checks("x", "y", delay=timedelta(seconds=1))
    playing = play(plan(block(sequence(*"abcde")), continuous_checks=retried))
    for stored in playing.history:
        of_run = stored.continuous_checks
        if of_run.state.status is Status.RUNNING:
            assert not any(action.state.status is Status.NOT_STARTED for action in of_run.actions)
        assert all(len(action.attempts) <= 1 for action in of_run.actions)
    assert playing.called.count("x") == playing.called.count("y") == 3


@pytest.mark.parametrize(
    ("failed", "reason"),
    [
        (["pre", "repair", "deferred"], Reason.DEFERRED_ACTION),
        (["pre", "during", "deferred"], Reason.PRE_CHECK),
        (["during", "deferred"], Reason.CONTINUOUS_CHECK),
        (["post", "deferred"], Reason.POST_CHECK),
        (["a1", "deferred"], Reason.DEFERRED_CHECK),
        (["a1", "block-deferred"], Reason.BLOCK),
    ],
)
def test_of_several_reasons_the_one_that_counts_most_is_told(failed, reason):
    batches = (batch(When.ON_FAILURE, "repair", fail_plan=True),)
    whole = attrs.evolve(everything(), deferred_actions=DeferredActions(batches=batches))
    assert outcome(play(whole, failing("bypass", "block-bypass", *failed))) == (Status.FAILED, reason)


def test_batches_are_side_by_side_and_all_of_them_are_attempted():
    whole = plan(block(sequence("a")), batches=tuple(batch(When.ALWAYS, f"{n}1", f"{n}2") for n in "xyz"))
    playing = play(whole, failing("x1", "y2"))
    assert playing.called == ["a", "x1", "y1", "z1", "y2", "z2"]
    assert [each.state.status for each in playing.plan.deferred_actions.batches] == [
        *(Status.FAILED, Status.FAILED, Status.COMPLETED),
    ]
    assert outcome(playing) == COMPLETED


# --- where the original would fail ------------------------------------------------------------------------


def test_a_block_whose_pre_checks_fail_beside_continuous_checks_does_not_wait_for_ever():
    playing = play(
        plan(block(sequence("a"), pre_checks=checks("pre"), continuous_checks=checks("during"))),
        failing("pre"),
    )
    assert (playing.called, outcome(playing)) == (["pre", "during"], (Status.FAILED, Reason.BLOCK))


def test_deferred_checks_wait_for_the_sequences_that_still_run():
    two = block(sequence("a"), sequence("b", "c"), concurrency=2, deferred_checks=checks("deferred"))
    playing = play(plan(two), failing("a"))
    assert (playing.called, playing.plan.state.status) == (["a", "b", "c", "deferred"], Status.FAILED)


def test_pre_checks_that_failed_right_before_a_crash_fail_the_plan():
    whole = play(everything(), failing("bypass", "pre"))
    for stored in whole.history[:-1]:
        again = recovered(stored, failing("bypass", "pre"), whole.now)
        assert outcome(again) == (Status.FAILED, Reason.PRE_CHECK)
        assert not {"a1", "c1"}.intersection(again.called)


def test_a_failed_plan_cleans_up_after_a_crash():
    whole = play(everything(), failing("bypass", "block-bypass", "a1"))
    had_failed = next(
        stored for stored in whole.history if stored.blocks[0].sequences[0].state.status is Status.FAILED
    )
    again = recovered(had_failed, failing(), whole.now)
    assert again.called == ["block-deferred", "repair", "tidy", "deferred"]


def test_a_failed_block_is_the_reason_though_there_are_post_checks():
    playing = play(plan(block(sequence("a")), post_checks=checks("post")), failing("a"))
    assert (playing.called, outcome(playing)) == (["a"], (Status.FAILED, Reason.BLOCK))


def test_continuous_checks_have_ended_before_what_is_deferred_begins():
    playing = play(
        plan(
            block(sequence("a")),
            continuous_checks=checks("during"),
            deferred_checks=checks("deferred"),
            batches=(batch(When.ALWAYS, "tidy"),),
        ),
        lambda action, number: Answer(takes=timedelta(minutes=5)) if action.name == "during" else OK,
    )
    assert outcome(playing) == COMPLETED
    for stored in playing.history:
        if stored.deferred_actions.state.status is not Status.NOT_STARTED:
            assert stored.continuous_checks.state.status is Status.COMPLETED


def test_retries_that_are_left_are_not_lost_by_a_crash_between_attempts():
    retried = plan(block(sequence("a", retries=2)))
    whole = play(retried, failing("a"))
    for made, stored in [
        (1, s) for s in whole.history if len(s.blocks[0].sequences[0].actions[0].attempts) == 1
    ]:
        again = recovered(stored, failing("a"), whole.now)
        assert len(again.called) == 3 - made
        assert len(again.plan.blocks[0].sequences[0].actions[0].attempts) == 3


def test_sequences_are_resumed_within_the_concurrency_of_their_block():
    many = plan(block(*(sequence(f"{n}a", f"{n}b") for n in range(6)), concurrency=2))
    whole = play(many)
    for stored in whole.history[:-1]:
        assert recovered(stored, failing(), whole.now).most_at_once <= 2


def test_an_action_is_given_up_right_after_its_last_attempt_with_the_error_of_that():
    def answer(action, number):
        return Answer(error=ActionError(message=f"attempt {number}"))

    playing = play(plan(block(sequence("a", retries=1))), answer)
    failed = playing.plan.blocks[0].sequences[0].actions[0]
    assert failed.final_attempt.error.message == "attempt 2"
    assert failed.state.end == failed.final_attempt.end


@pytest.mark.parametrize("delay", [None, timedelta(0)])
def test_continuous_checks_without_a_delay_are_half_a_minute_apart(delay):
    long = plan(block(sequence("a")), continuous_checks=checks("during", delay=delay))
    playing = play(
        long, lambda action, number: Answer(takes=timedelta(seconds=100)) if action.name == "a" else OK
    )
    assert playing.called == ["during", "a", "during", "during", "during"]


# --- crashes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failed", ["", "a2", "b1", "pre", "during", "block-during", "post", "tidy"])
def test_a_plan_that_is_cut_off_after_any_step_ends_as_if_it_had_not_been(failed):
    answer = failing("bypass", "block-bypass", *([failed] if failed else []))
    whole = play(everything(), answer)
    for number, stored in enumerate(whole.history[:-1]):
        before = {path: item for path, item in actions_of(stored) if item.state.status.is_terminal}
        again = recovered(stored, answer, whole.now)
        assert outcome(again) == outcome(whole), number
        assert {
            path: item for path, item in actions_of(again.plan) if path in before and path[0] == "blocks"
        } == {path: item for path, item in before.items() if path[0] == "blocks"}


def actions_of(of):
    for step in walk(of):
        if isinstance(step.item, Action) and "continuous_checks" not in step.path:
            yield step.path, step.item
