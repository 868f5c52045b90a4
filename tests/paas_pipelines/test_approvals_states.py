"""What an approval demands, what counts, and what becomes of its run: table by table (automation.md §6)."""

from datetime import timedelta

import attrs
import pytest
from paas_pipelines.definitions.automation import Approval, OnDeadline, Outcome, Slot, TaskType
from paas_pipelines.definitions.definition import TaskDefinition
from paas_pipelines.definitions.parameter import Parameter, ParameterKind
from paas_pipelines.runs.approving import CHANGED, DecisionRefusedError
from paas_pipelines.runs.run import Origin
from paas_pipelines.store.codec import records, to_text

from tests.paas_pipelines.worlds.engine_by_hand import ByHand, defined, task


def approval(*needs, on_failure=Outcome.FAIL, when=None, **keys):
    return TaskDefinition(
        type=TaskType.APPROVAL,
        depends_on=needs,
        approval=Approval(**keys),
        on_failure=on_failure,
        when=when,
    )


def story(**keys):
    """A plan, somebody's approval, and what comes after it."""
    return {"plan": task(), "ok": approval("plan", **keys), "apply": task("ok")}


def asking(*, user="starter", origin=Origin(), definition=None, **keys):  # noqa: B008 - frozen
    """A world in which the run r1 asks."""
    by_hand = ByHand(definition or defined(tasks=story(**keys)))
    by_hand.schedule(user=user, origin=origin)
    by_hand.ends("r1", "plan")
    by_hand.engine.ask("r1", "ok", "is that right?")
    return by_hand


def says(by_hand, user="ann", approved=True, run_id="r1", name="ok", **more):
    asked = by_hand.run(run_id).task(name).asked
    more = {"digest": asked.digest if asked else "", **more}
    return by_hand.engine.decide(run_id, name, user=user, approved=approved, **more)


def refused(by_hand, *args, **more):
    with pytest.raises(DecisionRefusedError) as error:
        says(by_hand, *args, **more)
    return error.value.status, str(error.value)


def reread(by_hand):
    """After a restart, with records that went through their text."""
    texts = {run.run_id: to_text(run) for run in by_hand.engine.book.runs()}
    stored = sorted(records(texts, type(by_hand.run("r1")), "run"), key=lambda run: run.number)
    again = ByHand(*by_hand.engine.definitions.values(), stored=stored)
    again.now = by_hand.now
    again.engine.recover()
    return again


def test_nothing_after_an_approval_begins_before_it_and_then_all_does():
    by_hand = asking()
    assert by_hand.statuses("r1") == {"plan": "done", "ok": "blocked", "apply": "waiting"}
    assert by_hand.asked_of_the_world() == (set(), set())
    assert [(run.run_id, one.name) for run, one in by_hand.engine.blocked()] == [("r1", "ok")]
    assert by_hand.run("r1").task("ok").asked.text == "is that right?"
    says(by_hand)
    assert by_hand.statuses("r1") == {"plan": "done", "ok": "done", "apply": "running"}
    assert by_hand.engine.blocked() == []


def test_one_rejection_rejects_whoever_has_approved_before():
    by_hand = asking(count=3)
    says(by_hand, "ann")
    run = says(by_hand, "bob", approved=False, reason="not on a Friday")
    assert run.last_error == "rejected by bob: not on a Friday"
    assert by_hand.statuses("r1") == {"plan": "done", "ok": "error", "apply": "canceled"}
    assert run.completed
    assert run.errored


def test_as_many_different_people_as_are_wanted():
    by_hand = asking(count=2)
    says(by_hand, "ann")
    says(by_hand, "ann")
    assert by_hand.statuses("r1")["ok"] == "blocked"
    says(by_hand, "bob")
    assert by_hand.statuses("r1")["ok"] == "done"
    assert [each.user for each in by_hand.run("r1").task("ok").asked.decisions] == ["ann", "bob"]
    says(by_hand, "ann")  # again: fine, and nothing comes of it
    assert len(by_hand.run("r1").task("ok").asked.decisions) == 2


@pytest.mark.parametrize("approved", [True, False])
def test_who_comes_too_late_is_told_what_has_been_decided(approved):
    by_hand = asking()
    says(by_hand, "ann", approved)
    status, text = refused(by_hand, "bob", True)
    assert status == 409
    assert text == ("it has been approved already" if approved else "it has been rejected by ann")
    by_hand = asking()
    by_hand.engine.cancel("r1")
    assert refused(by_hand, "bob") == (409, "its run has ended, or is about to")


def test_what_does_not_ask_takes_no_decision():
    by_hand = ByHand(defined(tasks=story()))
    by_hand.schedule()
    assert refused(by_hand) == (409, 'task "ok" does not ask for an approval')
    assert refused(by_hand, name="plan") == (409, 'task "plan" is no approval')
    with pytest.raises(KeyError):
        by_hand.engine.decide("r1", "nothing", user="ann", approved=True, digest="")


@pytest.mark.parametrize(
    ("keys", "decision", "expected"),
    [
        ({}, {"digest": "0" * 64}, (409, CHANGED)),
        ({}, {"digest": ""}, (409, CHANGED)),
        ({"reason_required": True}, {}, (400, "a reason is required")),
        ({"reason_required": True}, {"reason": " "}, (400, "a reason is required")),
        ({}, {"reason": "x" * 4001}, (400, "the reason has more than 4000 letters")),
        ({"approvers": ("bob", "group:ops")}, {}, (403, "ann is none of bob, group:ops")),
        ({"approvers": ("group:ops",)}, {"groups": ("dev",)}, (403, "ann is none of group:ops")),
        ({"approvers": ("group:ops",)}, {"user": "group:ops"}, (403, "group:ops is none of group:ops")),
        (
            {"four_eyes": True},
            {"user": "starter"},
            (403, "starter has started it: somebody else has to decide (four_eyes)"),
        ),
        ({"four_eyes": True}, {"user": ""}, (403, "four_eyes needs to know who decides")),
    ],
)
def test_a_decision_that_does_not_count_is_refused_with_its_reason(keys, decision, expected):
    by_hand = asking(**keys)
    before = by_hand.run("r1")
    assert refused(by_hand, **decision) == expected
    assert by_hand.run("r1") == before


@pytest.mark.parametrize(
    ("keys", "decision"),
    [
        ({"reason_required": True}, {"reason": "since"}),
        ({"approvers": ("ann", "group:ops")}, {}),
        ({"approvers": ("bob", "group:ops")}, {"groups": ("dev", "ops")}),
        ({"four_eyes": True}, {}),
        ({}, {"user": ""}),
        ({}, {"user": "starter"}),
    ],
)
def test_a_decision_that_fulfills_what_is_demanded_counts(keys, decision):
    by_hand = asking(**keys)
    says(by_hand, **decision)
    assert by_hand.statuses("r1")["ok"] == "done"


@pytest.mark.parametrize("user", ["", "trigger/p/push"])
def test_four_eyes_need_to_know_who_started_it(user):
    by_hand = asking(user=user, four_eyes=True)
    assert refused(by_hand) == (403, "four_eyes needs to know who starts it")
    says(asking(user=user, origin=Origin(root_user="root"), four_eyes=True))


def test_whoever_started_the_caller_is_not_the_second_person():
    by_hand = asking(user="trigger/p/after", origin=Origin(root_user="ann"), four_eyes=True)
    assert refused(by_hand)[0] == 403


# --- deadlines ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("on_deadline", OnDeadline)
def test_when_the_deadline_is_over_its_rule_counts(on_deadline):
    by_hand = asking(deadline=timedelta(hours=2), on_deadline=on_deadline, count=2)
    says(by_hand)
    assert by_hand.engine.next_moment() == by_hand.now + timedelta(hours=2)
    by_hand.passes(2 * 3600 - 1)
    assert by_hand.statuses("r1")["ok"] == "blocked"
    by_hand.passes(1)
    one = by_hand.run("r1").task("ok")
    if on_deadline is OnDeadline.APPROVE:
        assert by_hand.statuses("r1")["apply"] == "running"
    else:
        assert one.error == "rejected: too few have decided until 2026-01-01T02:00:00+00:00"
    assert by_hand.engine.next_moment() is None
    assert refused(by_hand, "bob")[0] == 409
    assert refused(by_hand, "ann")[0] == 409


def test_a_decision_after_the_deadline_is_too_late_although_nobody_has_looked_yet():
    by_hand = asking(deadline=timedelta(hours=2))
    by_hand.now += timedelta(hours=2)
    assert refused(by_hand)[0] == 409
    assert by_hand.statuses("r1")["ok"] == "error"


def test_a_deadline_that_passed_while_no_server_ran_leaves_an_hour():
    by_hand = asking(deadline=timedelta(hours=2))
    by_hand.now += timedelta(hours=5)
    again = reread(by_hand)
    assert again.statuses("r1")["ok"] == "blocked"
    again.passes(3599)
    assert again.statuses("r1")["ok"] == "blocked"
    again = reread(again)
    again.passes(1)
    assert again.statuses("r1")["ok"] == "error"


def test_servers_that_are_down_again_and_again_do_not_keep_an_approval_open():
    by_hand = asking(deadline=timedelta(hours=2))
    by_hand.now += timedelta(hours=5)
    deadline = by_hand.now + timedelta(hours=1)
    for minutes in (0, 30, 29):
        by_hand.now += timedelta(minutes=minutes)
        by_hand = reread(by_hand)
        assert by_hand.run("r1").task("ok").asked.deadline == deadline
        assert by_hand.statuses("r1")["ok"] == "blocked"
    by_hand.now += timedelta(hours=9)
    by_hand = reread(by_hand)
    assert by_hand.statuses("r1")["ok"] == "error"
    assert refused(by_hand)[0] == 409


def test_a_server_that_was_down_before_the_deadline_leaves_the_hour_for_later():
    by_hand = asking(deadline=timedelta(hours=2))
    by_hand.now += timedelta(hours=1)
    by_hand = reread(by_hand)
    by_hand.now += timedelta(hours=1)
    by_hand = reread(by_hand)
    by_hand.passes(3599)
    assert by_hand.statuses("r1")["ok"] == "blocked"


FORM = (
    Parameter(name="size", kind=ParameterKind.NUMBER, default=2, most=9),
    Parameter(name="why"),
)


def test_what_is_put_into_the_form_are_the_outputs_of_the_task():
    by_hand = asking(params=FORM)
    assert refused(by_hand, values={"size": 10}) == (400, 'param "size": must be at most 9')
    assert refused(by_hand, values={"sice": 1}) == (400, 'param "sice": is unknown')
    says(by_hand, values={"why": "so"})
    assert dict(by_hand.run("r1").task("ok").outputs) == {"size": 2, "why": "so"}


@pytest.mark.parametrize(("required", "status"), [(False, "done"), (True, "error")])
def test_a_deadline_approves_with_the_defaults_of_the_form_where_it_has_some(required, status):
    form = (FORM[0], attrs.evolve(FORM[1], required=required))
    by_hand = asking(params=form, deadline=timedelta(seconds=9), on_deadline=OnDeadline.APPROVE)
    by_hand.passes(9)
    one = by_hand.run("r1").task("ok")
    assert (one.status, dict(one.outputs)) == (status, {} if required else {"size": 2})


# --- restarts, and what runs again -------------------------------------------------------------------------


def test_a_restart_keeps_what_was_said_and_what_is_asked():
    by_hand = asking(count=2)
    says(by_hand, "ann", reason="fine")
    again = reread(reread(by_hand))
    assert again.run("r1") == by_hand.run("r1")
    says(again, "bob", digest=by_hand.run("r1").task("ok").asked.digest)
    assert again.statuses("r1")["apply"] == "running"


def test_a_rerun_asks_anew_with_the_same_params():
    by_hand = ByHand(defined(tasks=story(), concurrency=2))
    first = by_hand.engine.schedule("p", variables={"x": 1}, user="ann", partition="b")
    by_hand.ends("r1", "plan")
    by_hand.engine.ask("r1", "ok", "")
    says(by_hand)
    second = by_hand.engine.rerun("r1", "bob")
    assert (second.variables, second.partition, second.user) == (first.variables, "b", "bob")
    by_hand.ends("r2", "plan")
    assert by_hand.run("r2").task("ok").asked is None


def test_the_digest_is_of_what_was_seen_and_of_what_is_to_come():
    def digest(outputs=(("changed", True),), definition=None, **variables):
        by_hand = ByHand(definition or defined(tasks=story()))
        by_hand.engine.schedule("p", variables=variables)
        by_hand.ends("r1", "plan", outputs=dict(outputs))
        by_hand.engine.ask("r1", "ok", "")
        return by_hand.run("r1").task("ok").asked.digest

    assert digest() == digest()
    assert len(digest()) == 64
    other = defined(tasks={**story(), "apply": task("ok", script="rm -rf /")})
    assert len({digest(), digest(outputs=()), digest(x=1), digest(definition=other)}) == 4
    assert digest(x=1.0) == digest(x=1)


# --- slots -------------------------------------------------------------------------------------------------


def test_a_blocked_run_holds_its_slot_and_that_is_said():
    by_hand = asking()
    by_hand.schedule()
    assert by_hand.waiting() == ["r2"]
    holder = by_hand.engine.holder("p")
    assert (holder.run_id, holder.blocked_since.isoformat()) == ("r1", "2026-01-01T00:00:00+00:00")
    says(by_hand)
    assert by_hand.engine.holder("p") is None


def test_a_run_that_releases_its_slot_goes_on_when_there_is_one_again():
    by_hand = asking(slot=Slot.RELEASE)
    by_hand.schedule()
    by_hand.schedule()
    assert by_hand.waiting() == ["r3"]
    assert by_hand.engine.holder("p") is None
    says(by_hand)
    assert by_hand.statuses("r1")["apply"] == "waiting"
    assert by_hand.engine.blocked() == []
    assert refused(by_hand, "bob") == (409, "it has been approved already")
    by_hand = reread(by_hand)  # its r2 is canceled, as prunner does
    assert by_hand.statuses("r1")["apply"] == "running"  # before those that wait
    assert by_hand.waiting() == ["r3"]


def test_a_rejection_of_a_run_without_slot_ends_it_at_once():
    by_hand = asking(slot=Slot.RELEASE)
    by_hand.schedule()
    says(by_hand, approved=False)
    assert by_hand.run("r1").completed


def test_a_released_run_whose_deadline_is_over_waits_for_a_slot_without_being_asked_again():
    by_hand = asking(slot=Slot.RELEASE, on_deadline=OnDeadline.APPROVE, deadline=timedelta(hours=1))
    by_hand.schedule()
    by_hand.passes(3600)
    assert by_hand.statuses("r1")["ok"] == "blocked"
    assert by_hand.engine.next_moment() is None
    by_hand.ends("r2", "plan")
    by_hand.engine.ask("r2", "ok", "")  # which releases it
    assert by_hand.statuses("r1")["apply"] == "running"


def test_a_newer_run_of_the_partition_takes_the_place_of_one_that_yields():
    by_hand = asking(slot=Slot.YIELD)
    assert by_hand.schedule(partition="other") == "r2"
    assert by_hand.waiting() == ["r2"]
    by_hand.schedule()
    assert (by_hand.run("r1").canceled, by_hand.run("r1").last_error) == (True, "superseded by r3")
    assert by_hand.active() == ["r2"]


def test_one_that_yields_gives_way_to_a_newer_run_that_waits_already():
    by_hand = ByHand(defined(tasks=story(slot=Slot.YIELD)))
    by_hand.schedule()
    by_hand.schedule()
    by_hand.ends("r1", "plan")
    by_hand.engine.ask("r1", "ok", "")
    assert by_hand.run("r1").last_error == "superseded by r2"
    assert by_hand.active() == ["r2"]


def test_an_orderly_end_waits_for_no_people_and_a_forced_one_cancels_nothing_that_waits_for_them():
    by_hand = asking()
    assert by_hand.engine.idle
    by_hand.engine.close(forced=True)
    assert by_hand.statuses("r1")["ok"] == "blocked"


# --- runs that are not trusted -----------------------------------------------------------------------------


def test_a_run_that_is_held_begins_when_somebody_has_approved():
    by_hand = ByHand(defined(tasks={"a": task(), "b": task(), "c": task("a")}, hook="tell"))
    by_hand.schedule(origin=Origin(held=True))
    assert by_hand.asked_of_the_world()[0] == {("r1", "_untrusted")}
    by_hand.engine.ask("r1", "_untrusted", "")
    again = by_hand.engine.rerun("r1", "ann")
    assert again.origin.held
    says(by_hand, name="_untrusted")
    assert by_hand.asked_of_the_world()[0] == {("r1", "a"), ("r1", "b")}


def test_of_a_held_run_that_is_rejected_nothing_begins_not_even_on_error():
    by_hand = ByHand(defined(hook="tell"))
    by_hand.schedule(origin=Origin(held=True))
    by_hand.engine.ask("r1", "_untrusted", "")
    says(by_hand, name="_untrusted", approved=False)
    assert by_hand.statuses("r1") == {"_untrusted": "error", "only": "canceled"}
    assert by_hand.run("r1").completed


def test_approvals_are_values():
    by_hand = asking()
    asked = by_hand.run("r1").task("ok").asked
    assert attrs.evolve(asked) == asked
