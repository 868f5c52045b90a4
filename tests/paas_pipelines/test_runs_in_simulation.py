"""Servers that are killed everywhere lose, leak and repeat nothing; a fault in that is found."""

from collections import Counter

import pytest
from paas_pipelines.runs import stepping
from paas_pipelines.runs.run import TaskStatus
from paas_pipelines.tasks.conductor import Conductor

from tests.paas_pipelines.simulate import simulate
from tests.paas_pipelines.worlds import killed_servers
from tests.paas_pipelines.worlds.killed_servers import Mood

ONCE_FAILED = (20944, 51724)
SEEDS, AT_ONCE = 30, 15
LONG_RUNS, LONG_AT_ONCE = 125, 25


@pytest.mark.parametrize("first", range(1, SEEDS + 1, AT_ONCE))
def test_a_server_keeps_its_promises_in_a_world_of_faults(first):
    kept(range(first, first + AT_ONCE))


def test_seeds_that_failed_once_are_kept():
    kept(ONCE_FAILED)


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("first", range(2000, 2000 + LONG_RUNS, LONG_AT_ONCE))
def test_a_server_keeps_its_promises_in_many_worlds(first):
    totals = kept(range(first, first + LONG_AT_ONCE))
    wanted = {"killed at writes", "refused writes", "tasks elsewhere", "forgotten runs", "cancels", "reloads"}
    assert wanted <= set(totals)
    assert totals["crashes"] > LONG_AT_ONCE * 5


def kept(seeds):
    outcomes = [simulate(seed) for seed in seeds]
    broken = {outcome.seed: outcome.violations for outcome in outcomes if outcome.violations}
    assert not broken, f"make simulate-pipelines SEED={min(broken)}\n{broken[min(broken)]}"
    return sum((outcome.counts for outcome in outcomes), start=Counter())


@pytest.mark.parametrize(
    ("seed", "wishes"),
    [(17, 12), pytest.param(14, 20, marks=pytest.mark.long)],
)
def test_a_crash_at_every_write_loses_nothing(seed, wishes):
    """P070, P111: before and after each transaction of a whole story."""
    for point in range(10_000):
        calm = {"mood": Mood(trouble=0.2, latency=0.01, wishes=(0.2, 0.1)), "most_wishes": wishes}
        outcome = simulate(seed, kills_at=point, **calm)
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

    def hasty(run, now):
        run = recovered(run, now)
        for task in run.tasks if run.canceled else ():
            if task.status is TaskStatus.RUNNING:
                run = run.with_task(stepping._became(task, TaskStatus.CANCELED))
        return run

    monkeypatch.setattr(stepping, "recovered", hasty)
    assert found("but something of it runs")


def test_a_task_that_is_repeated_without_leave_is_found(monkeypatch):
    def repeats(run, now):
        for task in run.tasks:
            if task.status is TaskStatus.RUNNING and not task.definition.elsewhere:
                again = task.attempt + 1
                run = run.with_task(stepping._became(task, TaskStatus.RUNNING, attempt=again, start=now))
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
