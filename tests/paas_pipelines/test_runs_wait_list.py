"""Who starts, who waits, who gives way: §2 of the spec and its rows, one test for each."""

import random

import pytest
from paas_pipelines.runs.book import UnknownRunError
from paas_pipelines.runs.engine import AlreadyCompletedError, ScheduleRefusedError, ShuttingDownError

from tests.paas_pipelines.worlds.engine_by_hand import ByHand, defined, task
from tests.support.effort import calls

DISABLED = "concurrency exceeded and queueing disabled for pipeline"
FULL = "concurrency exceeded and queue limit reached for pipeline"
PARTITIONED = {"strategy": "partitioned_replace"}


@pytest.mark.parametrize(
    ("keys", "last"),
    [
        ({"queue_limit": 0}, DISABLED),  # P027
        ({}, "r1 | r2 r3 r4 r5"),  # P026, P029: absent is unbounded
        ({"queue_limit": 3}, FULL),
        ({"queue_limit": 4}, "r1 | r2 r3 r4 r5"),
        ({"strategy": "replace", "queue_limit": 0}, DISABLED),
        ({"strategy": "replace"}, "r1 | r5"),  # §11.2: absent is one
        ({"strategy": "replace", "queue_limit": 1}, "r1 | r5"),  # P030
        ({"strategy": "replace", "queue_limit": 2}, "r1 | r2 r5"),  # P031
        ({"strategy": "replace", "queue_limit": 4}, "r1 | r2 r3 r4 r5"),
        ({**PARTITIONED, "queue_partition_limit": 1}, "r1 | r5"),  # P032, P033
        ({**PARTITIONED, "queue_partition_limit": 3}, "r1 | r2 r3 r5"),
        ({"concurrency": 2, "queue_limit": 2, "strategy": "replace"}, "r1 r2 | r3 r5"),  # P024
        ({"concurrency": 5, "queue_limit": 0}, "r1 r2 r3 r4 r5 | "),
    ],
)
def test_the_fifth_of_five_runs_is_admitted_by_the_table(keys, last):
    by_hand = ByHand(defined(**keys))
    told = []
    for _ in range(5):
        schedulable = by_hand.engine.pipeline("p").schedulable
        try:
            by_hand.schedule()
            told.append("")
        except ScheduleRefusedError as error:
            told.append(str(error))
        assert schedulable == (not told[-1])  # what the list of pipelines says beforehand is true
    shown = f"{' '.join(by_hand.active())} | {' '.join(by_hand.waiting())}"
    assert (told[-1] or shown) == last
    assert by_hand.engine.pipeline("p").running


def test_an_idle_pipeline_that_queues_nothing_runs_all_the_same():
    """§11.1: the slots are looked at before the list."""
    by_hand = ByHand(defined(queue_limit=0))
    by_hand.schedule()
    by_hand.ends("r1")
    assert by_hand.run("r1").completed
    by_hand.schedule()
    assert by_hand.active() == ["r2"]


def test_each_partition_has_places_of_its_own_in_one_common_list():
    """P032: the newest of the same partition is dropped, and the new one goes to the end."""
    by_hand = ByHand(defined(**PARTITIONED, queue_partition_limit=2))
    for partition in ["", "a", "b", "a", "", "a", "b", "", "", "b"]:
        by_hand.schedule(partition=partition)
    assert by_hand.waiting() == ["r2", "r3", "r5", "r6", "r9", "r10"]
    assert [by_hand.run(run_id).partition for run_id in by_hand.waiting()] == ["a", "b", "", "a", "", "b"]
    assert [run_id for run_id in by_hand.kept() if by_hand.run(run_id).canceled] == ["r8", "r7", "r4"]


def test_a_replaced_run_is_canceled_and_never_starts():
    by_hand = ByHand(defined(strategy="replace", delay=10))
    by_hand.schedule()
    by_hand.schedule()
    by_hand.passes(10)
    assert (by_hand.run("r1").canceled, by_hand.run("r1").start) == (True, None)
    assert by_hand.active() == ["r2"]


def test_of_a_burst_only_the_last_one_starts():
    """P039, debounce; and P040: while it goes on, faster than the delay, nothing starts."""
    by_hand = ByHand(defined(strategy="replace", queue_limit=1, delay=10))
    for _ in range(50):
        by_hand.schedule()
        by_hand.passes(5)
    assert by_hand.active() == []
    by_hand.passes(5)
    assert by_hand.active() == ["r50"]


def test_with_two_places_a_burst_starts_its_first_one_in_time():
    """P040: two slots or more avoid the starvation."""
    by_hand = ByHand(defined(strategy="replace", queue_limit=2, delay=10))
    for _ in range(4):
        by_hand.schedule()
        by_hand.passes(5)
    assert by_hand.active() == ["r1"]


def test_a_delayed_run_starts_when_its_delay_is_over_and_not_before():
    """P036"""
    by_hand = ByHand(defined(delay=10))
    by_hand.schedule()
    assert by_hand.engine.next_moment() == by_hand.run("r1").not_before
    by_hand.passes(9.999)
    assert by_hand.waiting() == ["r1"]
    by_hand.passes(0.001)
    assert by_hand.active() == ["r1"]
    assert by_hand.engine.next_moment() is None


def test_a_delay_that_has_passed_unnoticed_is_not_forgotten():
    by_hand = ByHand(defined(delay=10), defined("other"))
    by_hand.schedule()
    by_hand.passes(5)
    by_hand.now += (by_hand.run("r1").not_before - by_hand.now) * 2
    assert by_hand.engine.next_moment() < by_hand.now


def test_after_its_delay_a_run_waits_for_a_slot_and_is_asked_for_no_more():
    """P041"""
    by_hand = ByHand(defined(delay=10))
    by_hand.schedule()
    by_hand.schedule()
    by_hand.passes(10)
    assert (by_hand.active(), by_hand.waiting()) == (["r1"], ["r2"])
    assert by_hand.engine.next_moment() is None
    by_hand.ends("r1")
    assert by_hand.active() == ["r2"]


def test_a_delayed_run_does_not_block_those_behind_it():
    """P042: after a reload without delay, which those that wait do not notice (P103)."""
    by_hand = ByHand(defined(delay=10))
    by_hand.schedule()
    by_hand.reload(defined())
    by_hand.schedule()
    by_hand.schedule()
    assert (by_hand.active(), by_hand.waiting()) == (["r2"], ["r1", "r3"])
    by_hand.ends("r2")
    assert (by_hand.active(), by_hand.waiting()) == (["r3"], ["r1"])
    by_hand.passes(10)
    by_hand.ends("r3")
    assert by_hand.active() == ["r1"]


def test_as_many_start_as_there_are_slots_in_the_order_of_the_list():
    """P054, P055"""
    by_hand = ByHand(defined(concurrency=2))
    for _ in range(5):
        by_hand.schedule()
    by_hand.ends("r2")
    assert (by_hand.active(), by_hand.waiting()) == (["r1", "r3"], ["r4", "r5"])


def test_a_canceled_run_leaves_the_list_and_frees_its_place():
    """§2, §11.3"""
    by_hand = ByHand(defined(queue_limit=1))
    by_hand.schedule()
    by_hand.schedule()
    by_hand.engine.cancel("r2")
    assert by_hand.waiting() == []
    by_hand.schedule()
    assert by_hand.waiting() == ["r3"]


def test_a_canceled_run_has_its_slot_until_its_tasks_have_ended():
    by_hand = ByHand(defined())
    by_hand.schedule()
    by_hand.schedule()
    by_hand.engine.cancel("r1")
    assert (by_hand.active(), by_hand.waiting()) == (["r1"], ["r2"])
    by_hand.stops("r1")
    assert by_hand.active() == ["r2"]


def test_runs_without_scripts_end_at_once_and_hold_up_nobody():
    by_hand = ByHand(defined(tasks={}), defined("q", tasks={"a": task(script=""), "b": task("a", script="")}))
    for pipeline in "ppqq":
        by_hand.schedule(pipeline)
    assert all(by_hand.run(run_id).completed for run_id in by_hand.kept())
    assert by_hand.statuses("r4") == {"a": "done", "b": "done"}
    by_hand.reload(defined(delay=1, tasks={}))
    late = [by_hand.schedule() for _ in range(3)]
    by_hand.passes(1)
    assert all(by_hand.run(run_id).completed for run_id in late)


def test_a_reload_that_raises_concurrency_starts_who_waits_and_one_that_lowers_it_stops_nobody():
    by_hand = ByHand(defined())
    for _ in range(5):
        by_hand.schedule()
    assert by_hand.reload(defined(concurrency=3))
    assert by_hand.active() == ["r1", "r2", "r3"]
    by_hand.reload(defined(concurrency=2))
    by_hand.ends("r1")
    assert by_hand.active() == ["r2", "r3"]
    by_hand.ends("r2")
    assert by_hand.active() == ["r3", "r4"]


def test_a_definition_that_disappears_takes_along_who_waits_but_not_who_runs():
    by_hand = ByHand(defined())
    by_hand.schedule()
    by_hand.schedule()
    by_hand.reload(defined("other"))
    assert by_hand.run("r2").canceled
    assert [run.run_id for run in by_hand.engine.retain()] == ["r2"]
    assert by_hand.kept() == ["r1"]
    by_hand.reload(defined())
    by_hand.schedule()
    assert (by_hand.active(), by_hand.waiting()) == (["r1"], ["r3"])
    by_hand.ends("r1")
    assert by_hand.active() == ["r3"]


def test_the_same_definitions_again_change_nothing():
    by_hand = ByHand(defined())
    noticed = []
    by_hand.engine.changes.subscribe(lambda: noticed.append(1))
    assert not by_hand.reload(defined())
    assert noticed == []
    assert by_hand.reload(defined(hook="tell"))  # P104: ours notices these changes, too
    assert noticed == [1]


def test_runs_keep_the_tasks_of_the_definition_they_were_scheduled_with():
    """P103, P104: also whether they go on after a failure, and what they do then."""
    two = {"a": task(script="old"), "b": task()}
    by_hand = ByHand(defined(tasks=two, env={"X": "old"}, hook="old"))
    by_hand.schedule()
    by_hand.schedule()
    by_hand.reload(defined(env={"X": "new"}, hook="new", continue_running_tasks_after_failure=True))
    by_hand.ends("r1", "a", code=1)
    by_hand.stops("r1", "b")
    by_hand.ends("r1", "on_error")
    run = by_hand.run("r2")
    assert (run.task("a").definition.script, run.env, run.on_error.script) == (
        ("old",),
        {"X": "old"},
        ("old",),
    )
    assert not run.goes_on_after_failure
    assert run.start is not None


def test_what_cannot_be_scheduled_is_told_in_the_words_of_the_api():
    """P061, P134"""
    by_hand = ByHand(defined())
    with pytest.raises(ScheduleRefusedError, match=r'^pipeline "x" is not defined$'):
        by_hand.schedule("x")
    with pytest.raises(ScheduleRefusedError, match="__jobID"):
        by_hand.engine.schedule("p", variables={"__jobID": 1})
    by_hand.engine.close()
    with pytest.raises(ShuttingDownError, match=r"^Server is shutting down$"):
        by_hand.schedule()
    assert by_hand.kept() == []


def test_what_cannot_be_canceled_is_told_apart():
    by_hand = ByHand(defined())
    by_hand.schedule()
    by_hand.ends("r1")
    before = by_hand.run("r1")
    with pytest.raises(AlreadyCompletedError):
        by_hand.engine.cancel("r1")
    with pytest.raises(UnknownRunError):
        by_hand.engine.cancel("r2")
    assert by_hand.run("r1") is before


def test_whoever_is_canceled_twice_is_canceled_once():
    by_hand = ByHand(defined())
    by_hand.schedule()
    by_hand.schedule()
    for run_id in ("r1", "r2"):
        assert by_hand.engine.cancel(run_id).canceled
        writes = len(by_hand.written)
        assert by_hand.engine.cancel(run_id).canceled
        assert len(by_hand.written) == writes


@pytest.mark.parametrize("forced", [False, True])
def test_the_end_of_the_server_cancels_who_waits_and_if_forced_who_runs(forced):
    """§9, P098, P099, P102; a second signal turns the wait into cancellation."""
    by_hand = ByHand(defined(), defined("late", delay=10))
    by_hand.schedule()
    by_hand.schedule()
    by_hand.schedule("late")
    by_hand.engine.close()
    if forced:
        by_hand.engine.close(forced=True)
    assert [by_hand.run(run_id).canceled for run_id in ("r1", "r2", "r3")] == [forced, True, True]
    assert by_hand.engine.next_moment() is None
    assert not by_hand.engine.idle
    assert not by_hand.engine.pipeline("p").schedulable
    by_hand.ends("r1", stopped=forced)
    assert by_hand.engine.idle
    assert by_hand.run("r1").completed


def test_the_list_of_pipelines_is_by_name():
    """P113"""
    by_hand = ByHand(defined("b"), defined("a"))
    by_hand.schedule("b")
    assert [(one.definition.name, one.running, one.active) for one in by_hand.engine.pipelines()] == [
        ("a", False, 0),
        ("b", True, 1),
    ]


def test_one_who_comes_while_others_are_delayed_overtakes_them():
    by_hand = ByHand(defined(delay=5, concurrency=2))
    by_hand.schedule()
    by_hand.reload(defined(concurrency=2))
    by_hand.schedule()
    by_hand.passes(5)
    assert by_hand.active() == ["r2", "r1"]


def test_many_that_replace_each_other_leave_nothing_behind():
    by_hand = ByHand(defined(strategy="replace", delay=3600))
    for _ in range(2000):
        by_hand.schedule()
    waiting = by_hand.engine.book.waiting("p")
    assert len(waiting._delayed) < 100


def test_numbers_go_on_after_a_restart():
    rng = random.Random(1)
    by_hand = ByHand(defined())
    for _ in range(5):
        by_hand.schedule()
    stored = [*by_hand.engine.book.runs()]
    rng.shuffle(stored)
    again = ByHand(defined(), stored=stored)
    again.engine.recover()
    assert (again.active(), again.waiting()) == (["r2"], ["r3", "r4", "r5"])
    assert again.run(again.schedule()).number == 6


def test_no_verb_costs_more_for_many_runs():
    """Neither for those that have ended, nor for those that wait, delayed or not: counted exactly."""

    def effort(many):
        by_hand = ByHand(
            defined(tasks={}),
            defined("busy", retention_count=10**6),
            defined("late", delay=10, strategy="replace", queue_limit=many),
            defined("parts", strategy="partitioned_replace", queue_partition_limit=1),
        )
        for number in range(many):
            for name in ("p", "busy", "late"):
                by_hand.schedule(name)
            by_hand.schedule("parts", partition=str(number))
        first, *_, last = by_hand.waiting("busy")

        def verbs():
            for name in ("p", "busy", "late", "parts"):
                by_hand.schedule(name)
            by_hand.engine.cancel(last)
            by_hand.ends(by_hand.active("busy")[0])
            by_hand.engine.advance()
            by_hand.engine.next_moment()
            by_hand.engine.pipelines()
            by_hand.engine.retain()
            assert by_hand.active("busy") == [first]

        return calls(verbs)

    assert effort(2000) == pytest.approx(effort(50), rel=0.05)
