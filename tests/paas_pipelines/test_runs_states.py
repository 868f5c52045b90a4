"""The states of runs and tasks: §3 of the spec, table by table, and retention and restart of §8."""

from datetime import timedelta

import attrs
import pytest
from paas_pipelines.definitions.definition import Restart
from paas_pipelines.runs.run import Run, Task, TaskEnd, TaskStatus, failure_variables
from paas_pipelines.runs.stepping import canceled, started, submitted, task_ended
from paas_pipelines.runs.transitions import MAY_FOLLOW

from paas_runner.errors import IllegalTransitionError
from tests.paas_pipelines.worlds.engine_by_hand import BEGINNING, ByHand, defined, task

CHAIN = {"a": task(), "b": task("a"), "c": task("b")}
PAIR = {"a": task(), "b": task()}
RETRY = {"restart": Restart.RETRY}


def flags(run):
    """A row of the table of §3.1."""
    known = f"{'set' if run.start else '-'} {'set' if run.end else '-'}"
    return f"{known} {run.completed:d}{run.canceled:d}{run.errored:d} {run.last_error or '-'}"


def wait(by_hand):
    by_hand.schedule()
    return by_hand.schedule()


def replaced(by_hand):
    by_hand.reload(defined(strategy="replace"))
    run_id = wait(by_hand)
    by_hand.schedule()
    return run_id


def canceled_while_waiting(by_hand):
    run_id = wait(by_hand)
    by_hand.engine.cancel(run_id)
    return run_id


def canceled_while_running(by_hand):
    by_hand.schedule()
    by_hand.engine.cancel("r1")
    by_hand.stops("r1")
    return "r1"


def ended(code, **more):
    def ends(by_hand):
        by_hand.schedule()
        by_hand.ends("r1", code=code, **more)
        return "r1"

    return ends


def failed_halfway(by_hand):
    by_hand.reload(defined(tasks=PAIR))
    by_hand.schedule()
    by_hand.ends("r1", "b", code=3)
    return "r1"


@pytest.mark.parametrize(
    ("situation", "row"),
    [
        (wait, "- - 000 -"),
        (canceled_while_waiting, "- - 010 -"),
        (replaced, "- - 010 -"),
        (ByHand.schedule, "set - 000 -"),
        (failed_halfway, "set - 001 exit status 3"),
        (ended(0), "set set 100 -"),
        (ended(7), "set set 101 exit status 7"),
        (ended(0, error="no such variable"), "set set 101 no such variable"),
        (canceled_while_running, "set set 110 context canceled"),
    ],
)
def test_the_flags_of_a_run_are_those_of_the_table(situation, row):
    """§3.1; what is found at a restart has tests of its own below."""
    by_hand = ByHand(defined())
    assert flags(by_hand.run(situation(by_hand))) == row


def test_a_run_found_running_at_a_restart_is_canceled_and_not_completed():
    """§3.1, P111; errored as it was stored."""
    by_hand = ByHand(defined(tasks=CHAIN, continue_running_tasks_after_failure=True))
    by_hand.schedule()
    again = by_hand.again()
    assert flags(again.run("r1")) == "set - 010 -"
    assert again.statuses("r1") == dict.fromkeys("abc", "canceled")
    assert again.run("r1").task("a").end is not None
    assert again.asked_of_the_world() == (set(), set())
    by_hand = ByHand(defined(tasks=PAIR, continue_running_tasks_after_failure=True))
    by_hand.schedule()
    by_hand.ends("r1", "a", code=1)
    assert flags(by_hand.again().run("r1")) == "set - 011 exit status 1"


def test_a_run_found_waiting_at_a_restart_goes_on_waiting_and_so_does_its_delay():
    """§3.1: in our own store; prunner would cancel it."""
    by_hand = ByHand(defined(), defined("late", delay=10))
    by_hand.schedule()
    by_hand.schedule()
    by_hand.schedule("late")
    by_hand.now += timedelta(seconds=4)
    again = by_hand.again()
    assert again.active() == ["r2"]  # in the slot of the one that died
    assert again.waiting("late") == ["r3"]
    again.passes(6)
    assert again.active("late") == ["r3"]


def test_a_run_that_waits_for_a_definition_gone_at_the_restart_is_canceled():
    by_hand = ByHand(defined(), defined("late", delay=10))
    by_hand.schedule("late")
    assert by_hand.again(defined()).run("r1").canceled


def test_a_restart_without_anything_changes_nothing():
    by_hand = ByHand(defined(tasks={"a": task(), "b": task("a", runner="clever")}))
    by_hand.schedule()
    by_hand.schedule()
    by_hand.ends("r1", "a")
    again = by_hand.again()
    assert list(again.engine.book.runs()) == list(by_hand.engine.book.runs())


# --- tasks -------------------------------------------------------------------------------------------------


def ending_of(allow_failure, **end):
    by_hand = ByHand(defined(tasks={"t": task(allow_failure=allow_failure)}))
    by_hand.schedule()
    return by_hand.ends("r1", "t", **end).task("t")


@pytest.mark.parametrize(
    ("allow_failure", "end", "row"),
    [
        (False, {}, ("done", 0, False, "")),
        (False, {"code": 3}, ("error", 3, True, "exit status 3")),
        (False, {"error": "map has no entry"}, ("error", 0, True, "map has no entry")),
        (True, {"code": 3}, ("done", 3, False, "")),
        (True, {"error": "map has no entry"}, ("error", 0, True, "map has no entry")),
        (False, {"stopped": True}, ("error", 0, True, "stopped by somebody else")),
        (True, {"stopped": True}, ("error", 0, True, "stopped by somebody else")),
    ],
)
def test_a_task_ends_as_the_table_says(allow_failure, end, row):
    """§3.2, §4"""
    ended = ending_of(allow_failure, **end)
    assert (ended.status, ended.exit_code, ended.errored, ended.error) == row
    assert ended.end == BEGINNING


def test_a_task_has_the_exit_code_minus_one_while_it_runs_and_zero_before():
    """§3.2"""
    by_hand = ByHand(defined(tasks=CHAIN))
    by_hand.schedule()
    assert [task.exit_code for task in by_hand.run("r1").tasks] == [-1, 0, 0]
    assert by_hand.statuses("r1") == {"a": "running", "b": "waiting", "c": "waiting"}


def test_a_stopped_task_has_an_end_and_no_error():
    """§3.2, §11.7"""
    by_hand = ByHand(defined())
    by_hand.schedule()
    by_hand.engine.cancel("r1")
    assert by_hand.asked_of_the_world() == (set(), {("r1", "only")})
    by_hand.passes(2)
    stopped = by_hand.stops("r1").task("only")
    assert (stopped.status, stopped.end) == ("canceled", by_hand.now)
    assert (stopped.error, stopped.exit_code) == ("", -1)


@pytest.mark.parametrize(
    ("before", "follow"),
    [
        ("waiting", {"running", "done", "skipped", "canceled"}),
        ("running", {"running", "blocked", "skipped", "done", "error", "canceled"}),
        ("blocked", {"done", "skipped", "error", "canceled"}),
        ("done", set()),
        ("skipped", set()),
        ("error", set()),
        ("canceled", set()),
    ],
)
def test_the_table_of_task_statuses(before, follow):
    assert MAY_FOLLOW[TaskStatus(before)] == follow


def test_a_step_that_the_table_does_not_know_is_a_bug(monkeypatch):
    monkeypatch.setitem(MAY_FOLLOW, TaskStatus.RUNNING, frozenset())
    by_hand = ByHand(defined())
    by_hand.schedule()
    with pytest.raises(IllegalTransitionError, match="task only: done after running"):
        by_hand.ends("r1")


@pytest.mark.parametrize(
    ("dependencies", "order"),
    [
        ("zeta alpha", "alpha zeta"),
        ("a b:a,e c:d,b d:a e:a f:b,e g:c,f", "a d e b c f g"),
        ("b1:z a1:z z", "z a1 b1"),
        ("c b:d a:c d", "c a d b"),
        ("", ""),
    ],
)
def test_tasks_are_in_topological_order_by_name(dependencies, order):
    """P130, §3.2"""
    pairs = [word.partition(":") for word in dependencies.split()]
    tasks = {name: task(*filter(None, needs.split(","))) for name, _, needs in pairs}
    by_hand = ByHand(defined(tasks=tasks))
    by_hand.schedule()
    assert [one.name for one in by_hand.run("r1").tasks] == order.split()


def test_a_task_starts_when_all_that_it_depends_on_have_ended_well():
    by_hand = ByHand(defined(tasks={**PAIR, "c": task("a", "b"), "d": task("c", script="")}))
    by_hand.schedule()
    assert by_hand.asked_of_the_world()[0] == {("r1", "a"), ("r1", "b")}
    by_hand.ends("r1", "a")
    assert by_hand.asked_of_the_world()[0] == {("r1", "b")}
    by_hand.ends("r1", "b")
    assert by_hand.asked_of_the_world()[0] == {("r1", "c")}
    by_hand.ends("r1", "c")
    assert by_hand.run("r1").completed


# --- failure -----------------------------------------------------------------------------------------------


def test_the_first_failure_stops_all_others():
    """P044, §3.3.1"""
    by_hand = ByHand(defined(tasks={**PAIR, "c": task("a"), "d": task("b")}))
    by_hand.schedule()
    by_hand.ends("r1", "a", code=1)
    assert by_hand.statuses("r1") == {"a": "error", "b": "running", "c": "canceled", "d": "canceled"}
    assert by_hand.asked_of_the_world() == (set(), {("r1", "b")})
    by_hand.stops("r1", "b")
    run = by_hand.run("r1")
    assert flags(run) == "set set 101 exit status 1"  # §11.5: failed, not canceled
    assert by_hand.statuses("r1")["b"] == "canceled"


def test_without_fail_fast_independent_tasks_go_on():
    """P043, P074, P075, §3.3.2, §11.6: dependents of the failed one show that they will never run."""
    tasks = {**PAIR, "c": task("a"), "d": task("b"), "e": task("c", "d")}
    by_hand = ByHand(defined(tasks=tasks, continue_running_tasks_after_failure=True))
    by_hand.schedule()
    by_hand.ends("r1", "a", code=1)
    assert by_hand.asked_of_the_world() == ({("r1", "b")}, set())
    by_hand.ends("r1", "b")
    by_hand.ends("r1", "d", code=2)
    ended = {"a": "error", "b": "done", "c": "canceled", "d": "error", "e": "canceled"}
    assert by_hand.statuses("r1") == ended
    run = by_hand.run("r1")
    assert (run.first_failed, flags(run)) == ("a", "set set 101 exit status 1")


@pytest.mark.parametrize("end", [{"code": 1}, {"error": "a template"}])
def test_what_may_fail_keeps_nobody_from_running(end):
    """§3.2: after a plain failure, and after an error when the others go on."""
    tasks = {"a": task(allow_failure=True), "b": task("a")}
    by_hand = ByHand(defined(tasks=tasks, continue_running_tasks_after_failure=True))
    by_hand.schedule()
    by_hand.ends("r1", "a", **end)
    assert by_hand.statuses("r1")["b"] == "running"


def test_on_error_runs_once_when_all_tasks_have_ended():
    """P050, P051, P052, §3.3.3; completed only after it."""
    by_hand = ByHand(defined(tasks=PAIR, hook="tell"))
    by_hand.schedule()
    by_hand.ends("r1", "b", code=3)
    assert "on_error" not in by_hand.statuses("r1")
    by_hand.stops("r1", "a")
    assert list(by_hand.statuses("r1")) == ["a", "b", "on_error"]
    assert by_hand.asked_of_the_world() == ({("r1", "on_error")}, set())
    assert flags(by_hand.run("r1")) == "set - 001 exit status 3"
    assert failure_variables(by_hand.run("r1"), "out", "err") == {
        "failedTaskName": "b",
        "failedTaskExitCode": 3,
        "failedTaskError": "exit status 3",
        "failedTaskStdout": "out",
        "failedTaskStderr": "err",
    }
    by_hand.ends("r1", "on_error")
    assert flags(by_hand.run("r1")) == "set set 101 exit status 3"


def test_a_failing_on_error_is_its_own_business():
    """P053"""
    by_hand = ByHand(defined(hook="tell"))
    by_hand.schedule()
    by_hand.ends("r1", code=3)
    by_hand.ends("r1", "on_error", code=4)
    run = by_hand.run("r1")
    assert (run.first_failed, flags(run)) == ("only", "set set 101 exit status 3")
    assert (run.task("on_error").status, run.task("on_error").error) == ("error", "exit status 4")


def test_an_on_error_without_script_is_done_at_once():
    by_hand = ByHand(defined(hook=""))
    by_hand.schedule()
    by_hand.ends("r1", code=3)
    assert by_hand.statuses("r1") == {"only": "error", "on_error": "done"}
    assert by_hand.run("r1").completed


@pytest.mark.parametrize("code", [0, 1])
def test_an_explicit_cancel_runs_no_on_error(code):
    """§3.3.4, §11.4: neither when nothing has failed, nor after a failure."""
    by_hand = ByHand(defined(tasks=PAIR, hook="tell"))
    by_hand.schedule()
    by_hand.ends("r1", "b", code=code)
    by_hand.engine.cancel("r1")
    by_hand.stops("r1", "a")
    assert by_hand.run("r1").completed
    assert "on_error" not in by_hand.statuses("r1")


def test_a_run_that_is_canceled_while_on_error_runs_stops_it():
    by_hand = ByHand(defined(hook="tell"))
    by_hand.schedule()
    by_hand.ends("r1", code=3)
    by_hand.engine.cancel("r1")
    assert by_hand.asked_of_the_world() == (set(), {("r1", "on_error")})
    by_hand.stops("r1", "on_error")
    assert flags(by_hand.run("r1")) == "set set 111 exit status 3"


def test_a_task_may_be_named_on_error_where_there_is_none():
    by_hand = ByHand(defined(tasks={"on_error": task(), "b": task(), "c": task()}))
    by_hand.schedule()
    by_hand.ends("r1", "b", code=1)
    assert by_hand.asked_of_the_world()[1] == {("r1", "on_error"), ("r1", "c")}
    by_hand.schedule()
    by_hand.stops("r1", "c")
    by_hand.stops("r1", "on_error")
    by_hand.ends("r2", "on_error", code=5)
    assert by_hand.run("r2").last_error == "exit status 5"


# --- restart -----------------------------------------------------------------------------------------------


def test_tasks_that_may_be_repeated_run_again():
    by_hand = ByHand(defined(tasks={"a": task(**RETRY), "b": task(runner="clever"), "c": task("a")}))
    by_hand.schedule()
    again = by_hand.again().again()
    assert again.asked_of_the_world() == ({("r1", "a"), ("r1", "b")}, set())
    assert [one.attempt for one in again.run("r1").tasks] == [3, 1, 1]
    for name in "abc":
        again.ends("r1", name)
    assert flags(again.run("r1")) == "set set 100 -"


def test_jobs_elsewhere_are_followed_up():
    by_hand = ByHand(defined(tasks={"a": task(), "b": task(runner="clever")}))
    by_hand.schedule()
    by_hand.engine.submitted("r1", "b", 7)
    by_hand.ends("r1", "a")
    again = by_hand.again()
    assert again.asked_of_the_world() == ({("r1", "b")}, set())
    assert again.run("r1").task("b").job_id == 7


def test_jobs_elsewhere_of_a_run_that_is_lost_are_stopped_first():
    """No host goes on for a run that nobody follows up."""
    tasks = {"a": task(), "b": task(image="debian"), "c": task("b"), "d": task(**RETRY)}
    by_hand = ByHand(defined(tasks=tasks))
    by_hand.schedule()
    again = by_hand.again().again()  # it does not matter how often
    assert again.statuses("r1") == {"a": "canceled", "b": "running", "c": "canceled", "d": "canceled"}
    assert again.asked_of_the_world() == (set(), {("r1", "b")})
    assert again.active() == ["r1"]
    again.stops("r1", "b")
    assert (again.run("r1").canceled, again.active()) == (True, [])


def test_tasks_that_were_to_be_stopped_have_stopped_when_the_server_died():
    by_hand = ByHand(defined(concurrency=2, tasks=PAIR, hook="tell"))
    by_hand.schedule()
    by_hand.schedule()
    by_hand.engine.cancel("r1")
    by_hand.ends("r2", "a", code=1)
    again = by_hand.again()
    assert flags(again.run("r1")) == "set set 110 context canceled"
    assert flags(again.run("r2")) == "set - 001 exit status 1"
    assert again.asked_of_the_world() == ({("r2", "on_error")}, set())  # it has failed, and that is told


def test_a_run_whose_on_error_died_with_the_server_has_failed():
    """It is not repeated, and the run is what it was before (§3.3.3)."""
    by_hand = ByHand(defined(hook="tell"))
    by_hand.schedule()
    by_hand.ends("r1", code=1)
    again = by_hand.again()
    assert flags(again.run("r1")) == "set set 101 exit status 1"
    assert again.statuses("r1") == {"only": "error", "on_error": "canceled"}


def test_what_has_ended_stays_as_it_is():
    tasks = (Task(name="a", definition=task()),)
    run = started(Run(run_id="r", number=1, pipeline="p", created=BEGINNING, tasks=tasks), BEGINNING)
    ended = task_ended(run, "a", TaskEnd(), BEGINNING)
    assert task_ended(ended, "a", TaskEnd(exit_code=1), BEGINNING) is ended
    assert submitted(ended, "a", 1) is ended
    assert canceled(ended, BEGINNING) is ended


# --- retention ---------------------------------------------------------------------------------------------

DAY = 24 * 3600


def ten_ended(by_hand):
    """One a day."""
    for number in range(1, 11):
        run_id = by_hand.schedule()
        by_hand.ends(run_id, code=number % 2)
        by_hand.passes(DAY)


@pytest.mark.parametrize(
    ("keys", "kept"),
    [
        ({}, "1 2 3 4 5 6 7 8 9 10"),  # P047: by default everything
        ({"retention_count": 3}, "8 9 10"),  # P046
        ({"retention_period": timedelta(days=4)}, "7 8 9 10"),  # P045
        ({"retention_period": timedelta(days=4), "retention_count": 2}, "9 10"),
        ({"retention_period": timedelta(days=2), "retention_count": 8}, "9 10"),
    ],
)
def test_runs_are_forgotten_by_age_and_by_count(keys, kept):
    by_hand = ByHand(defined(**keys), defined("other"))
    other = by_hand.schedule("other")
    ten_ended(by_hand)
    gone = by_hand.engine.retain()
    expected = [f"r{int(number) + 1}" for number in kept.split()]
    assert sorted(by_hand.kept(), key=lambda run_id: int(run_id[1:])) == [other, *expected]
    assert {run.run_id for run in gone}.isdisjoint(by_hand.kept())
    assert len(gone) + len(by_hand.kept()) == 11
    assert [run_id for run_id, run in by_hand.written if run is None] == [run.run_id for run in gone]
    assert by_hand.engine.retain() == []


def test_unfinished_runs_are_kept_and_count():
    """P048"""
    by_hand = ByHand(defined(retention_count=1, retention_period=timedelta(days=1), concurrency=2))
    for _ in range(5):
        by_hand.schedule()
    by_hand.engine.cancel("r4")
    by_hand.ends("r2")
    by_hand.passes(2 * DAY)
    assert {run.run_id for run in by_hand.engine.retain()} == {"r2", "r4"}
    assert by_hand.kept() == ["r5", "r3", "r1"]


def test_runs_of_a_pipeline_without_definition_are_forgotten_once_they_have_ended():
    """P049"""
    by_hand = ByHand(defined(), defined("q"))
    by_hand.schedule()
    by_hand.ends("r1")
    by_hand.schedule()
    by_hand.schedule("q")
    by_hand.reload(defined("q"))
    by_hand.engine.retain()
    assert by_hand.kept() == ["r3", "r2"]
    by_hand.ends("r2")
    by_hand.engine.retain()
    assert by_hand.kept() == ["r3"]
    assert len(by_hand.engine.book) == 1


def test_a_task_that_is_never_to_run_has_neither_start_nor_end():
    by_hand = ByHand(defined(tasks=CHAIN))
    by_hand.schedule()
    by_hand.ends("r1", "a", code=1)
    assert [(one.start, one.end) for one in by_hand.run("r1").tasks[1:]] == [(None, None)] * 2


def test_records_are_values():
    run = Run(run_id="r", number=1, pipeline="p", created=BEGINNING)
    assert attrs.evolve(run) == run
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        run.user = "x"
    with pytest.raises(KeyError):
        run.task("a")
