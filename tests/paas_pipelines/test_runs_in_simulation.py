"""Servers that are killed everywhere lose, leak and repeat nothing; a fault in that is found."""

from collections import Counter
from datetime import timedelta

import pytest
from paas_pipelines.runs import approving, stepping
from paas_pipelines.runs.engine import Engine
from paas_pipelines.runs.run import Task, TaskStatus
from paas_pipelines.runs.transitions import became
from paas_pipelines.tasks.conductor import Conductor

from tests.paas_pipelines.simulate import simulate
from tests.paas_pipelines.worlds import killed_servers
from tests.paas_pipelines.worlds.killed_servers import Mood
from tests.support.often import often

ONCE_FAILED = (335, 20944, 51724)
SEEDS, AT_ONCE = 30, 15
LONG_RUNS, LONG_AT_ONCE = often(125), 25


@pytest.mark.parametrize("first", range(1, SEEDS + 1, AT_ONCE))
def test_a_server_keeps_its_promises_in_a_world_of_faults(first):
    kept(range(first, first + AT_ONCE))


def test_seeds_that_failed_once_are_kept():
    kept(ONCE_FAILED)


@pytest.mark.soak
@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("first", range(2000, 2000 + LONG_RUNS, LONG_AT_ONCE))
def test_a_server_keeps_its_promises_in_many_worlds(first):
    totals = kept(range(first, first + LONG_AT_ONCE))
    wanted = {"killed at writes", "refused writes", "tasks elsewhere", "forgotten runs", "cancels", "reloads"}
    wanted |= {"decisions", "calls"}
    assert wanted <= set(totals)
    assert totals["crashes"] > LONG_AT_ONCE * 5


def kept(seeds):
    outcomes = [simulate(seed) for seed in seeds]
    broken = {outcome.seed: outcome.violations for outcome in outcomes if outcome.violations}
    assert not broken, f"make simulate-pipelines SEED={min(broken)}\n{broken[min(broken)]}"
    return sum((outcome.counts for outcome in outcomes), start=Counter())


@pytest.mark.parametrize(
    ("seed", "wishes", "automated"),
    [
        (17, 8, False),
        (95, 2, True),
        pytest.param(14, 16, False, marks=(pytest.mark.long, pytest.mark.soak)),
        pytest.param(85, 2, True, marks=(pytest.mark.long, pytest.mark.soak)),
        pytest.param(13, 2, True, marks=(pytest.mark.long, pytest.mark.soak)),
    ],
)
def test_a_crash_at_every_write_loses_nothing(seed, wishes, automated, monkeypatch):
    """P070, P111: before and after each transaction of a whole story; with decisions and calls, too."""
    monkeypatch.setattr(approving, "GRACE", timedelta(minutes=1))  # else each story has an hour more
    for point in range(10_000):
        calm = {"mood": Mood(trouble=0.2, latency=0.01, wishes=(0.2, 0.1)), "most_wishes": wishes}
        outcome = simulate(seed, kills_at=point, automated=automated, **calm)
        assert outcome.violations == (), f"seed {seed}, killed at {point}"
        if not outcome.counts["crashes"]:
            break  # the story has fewer writes
    assert point > 30


def test_a_seed_tells_the_same_story_each_time():
    assert simulate(7) == simulate(7)


# --- what is broken on purpose is found --------------------------------------------------------------------


def found(*words, **given):
    """Whether one of the first seeds complains in all of these words."""
    left = set(words)
    for seed in range(1, 41):
        told = " ".join(simulate(seed, **given).violations)
        left -= {word for word in left if word in told}
        if not left:
            return True
    return False


def test_an_answer_before_the_disk_is_found():
    words = "was answered before it was on the disk", "which was answered, is lost"
    assert found(*words, plant="answers early")


def test_a_start_before_the_disk_is_found():
    assert found("was started before that was on the disk", plant="acts early")


def test_a_job_that_nobody_stops_any_more_is_found(monkeypatch):
    """As if all tasks of a run that a restart cancels were simply said to be canceled."""
    recovered = stepping.recovered

    def hasty(run, now, never_began):
        run = recovered(run, now, never_began)
        for task in run.tasks if run.canceled else ():
            if task.status is TaskStatus.RUNNING:
                run = run.with_task(became(task, TaskStatus.CANCELED))
        return run

    monkeypatch.setattr(stepping, "recovered", hasty)
    assert found("but something of it runs")


def test_a_task_that_is_repeated_without_leave_is_found(monkeypatch):
    def repeats(run, now, _never_began):
        for task in run.tasks:
            if task.status is TaskStatus.RUNNING and not task.definition.elsewhere:
                again = task.attempt + 1
                run = run.with_task(became(task, TaskStatus.RUNNING, attempt=again, start=now))
        return run

    monkeypatch.setattr(stepping, "recovered", repeats)
    assert found("ran 2 times")


def test_a_task_that_nobody_brings_to_its_place_is_found(monkeypatch):
    """As if the conductor did not look."""

    def never(self, _group):
        self._engine.book.take_changed()

    monkeypatch.setattr(killed_servers, "PATIENCE_SECONDS", 1800)
    monkeypatch.setattr(Conductor, "_compare", never)
    assert found("runs do not end")


def test_a_call_that_is_begun_again_after_a_crash_is_found(monkeypatch):
    """As if the run that was called were not noted in its caller."""
    monkeypatch.setattr(Engine, "called", lambda *_: None)
    assert found("with one task")


def test_a_person_who_counts_twice_is_found(monkeypatch):
    monkeypatch.setattr(approving, "_is_repeated", lambda *_: False)
    assert found("times")


def test_a_task_that_does_not_wait_for_its_approval_is_found(monkeypatch):
    monkeypatch.setattr(Task, "satisfies", property(lambda task: task.ended or task.asked is not None))
    assert found("was started before ok was approved")
