"""What is remembered of how long things took: little, of the last ones, and by kinds."""

from datetime import timedelta

from paas_runner.dispatch.habits import Habits, kind_of
from tests.support.records import payload

SECOND = timedelta(seconds=1)


def named(name, project=7):
    return kind_of(payload(1, job_info={"name": name, "project_id": project}))


def test_the_usual_time_is_the_middle_one_of_the_last_five():
    habits = Habits()
    assert habits.usual("build") is None
    for seconds in (100, 100, 100, 1, 2, 3, 4, 500):
        habits.note("build", seconds * SECOND)
    assert habits.usual("build") == 3 * SECOND
    assert habits.usual("test") is None


def test_only_the_kinds_that_were_seen_last_are_remembered():
    habits = Habits()
    for number in range(3000):
        habits.note(f"kind {number}", SECOND)
        habits.note("often", SECOND)
    assert habits.usual("often") == SECOND
    assert habits.usual("kind 2999") == SECOND
    assert habits.usual("kind 1") is None


def test_jobs_are_of_a_kind_by_their_project_and_their_name_without_numbers():
    assert named("test 1/4") == named("test 2/4")
    assert named("test") != named("build")
    assert named("test", project=7) != named("test", project=8)
