"""A run that is to end with success, and failures before, beside and after that (automation.md §1)."""

import pytest
from paas_pipelines.definitions.automation import End, Outcome, TaskType
from paas_pipelines.definitions.definition import TaskDefinition
from paas_pipelines.pages.site import state_of

from tests.paas_pipelines.worlds.engine_by_hand import ByHand, defined, task

SUCCEEDS = task(on_success=Outcome.SUCCEED)
ENDS = TaskDefinition(type=TaskType.END, end=End.SUCCESS)
GOES_ON = {"continue_running_tasks_after_failure": True}


@pytest.mark.parametrize("end", [SUCCEEDS, ENDS], ids=["on_success", "end"])
@pytest.mark.parametrize(
    ("a", "of_pipeline", "order", "state"),
    [
        (task(), GOES_ON, "a end", "error"),  # it has failed the run already: that stays
        (task(), GOES_ON, "end a", "done"),  # what only ends after that does not fail it
        (task(), {}, "end a", "done"),
        (task(), {}, "a end", "error"),  # and stops the other
        (task(on_failure=Outcome.CONTINUE), {}, "a end", "done"),
        (task(on_failure=Outcome.CONTINUE), {}, "end a", "done"),
        (task(on_failure=Outcome.SUCCEED), {}, "a end", "done"),
        (task(allow_failure=True), {}, "a end", "done"),
        (task(allow_failure=True), GOES_ON, "a end", "done"),
    ],
)
def test_a_failure_counts_if_it_came_first_and_nothing_has_excused_it(a, of_pipeline, order, state, end):
    by_hand = ByHand(defined(tasks={"a": a, "end": end, "then": task("end")}, **of_pipeline))
    by_hand.schedule()
    for name in order.split():
        by_hand.ends("r1", name, code=3 if name == "a" else 0)
    run = by_hand.run("r1")
    assert (run.completed, state_of(run), run.errored) == (True, state, state == "error")
    if state == "done":
        assert run.last_error == ""
        assert by_hand.statuses("r1")["then"] == "skipped"


def test_what_runs_after_the_success_ends_by_itself_and_its_failure_keeps_its_text():
    by_hand = ByHand(defined(tasks={"a": task(), "b": SUCCEEDS, "then": task("a")}))
    by_hand.schedule()
    by_hand.ends("r1", "b")
    assert by_hand.statuses("r1") == {"a": "running", "b": "done", "then": "skipped"}
    assert by_hand.asked_of_the_world() == ({("r1", "a")}, set())
    by_hand.ends("r1", "a", error="no such file")
    run = by_hand.run("r1")
    assert (run.task("a").status, run.task("a").error, state_of(run)) == ("done", "no such file", "done")


def test_one_that_had_failed_before_is_told_of_by_its_on_error_task():
    by_hand = ByHand(defined(tasks={"a": task(), "b": SUCCEEDS}, hook="tell", **GOES_ON))
    by_hand.schedule()
    by_hand.ends("r1", "a", code=3)
    by_hand.ends("r1", "b")
    assert by_hand.statuses("r1")["on_error"] == "running"
