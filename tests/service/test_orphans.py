"""The search for orphans, in virtual hours: what it removes, and above all what it never does."""

import asyncio
from datetime import timedelta

import attrs
import pytest

from executors.clever.applications import OWNER_VARIABLE
from paas_runner.job import orphans
from paas_runner.job.orphans import GRACE, LONGEST_JOB
from paas_runner.sandbox.cloud import CloudOptions
from paas_runner.sandbox.cloud.application import AppState
from paas_runner.sandbox.faults import Answer, Delay, DropAfter, DropBefore, Garbage, Hang, Truncated
from paas_runner.server.waiting import settled
from tests.support.logged_events import events_in

EVERY = timedelta(seconds=300)
LISTING = {"method": "GET", "path": "/v2/organisations/*/applications"}
SLOW = CloudOptions(
    repository_delay=timedelta(seconds=3),
    boot_delay=timedelta(seconds=20),
    deployment_delay=timedelta(seconds=2),
)


async def host_of_a_job(world, *script):
    """A job and its host while both are there."""
    job = world.submit(*(script or ("sleep 60",)))
    while not world.cloud.applications(world.organisation):
        await asyncio.sleep(1)
    [application] = world.cloud.applications(world.organisation)
    return job, application


def another_like(world, application, *, age=timedelta(), name=None, **env):
    """What a creation leaves behind that nobody heard the answer of."""
    definition = attrs.evolve(application.definition, name=name or application.definition.name)
    if OWNER_VARIABLE in env:
        fields = {**definition.fields, "description": f"of {env[OWNER_VARIABLE]}"}
        definition = attrs.evolve(definition, fields=fields)
    twin = world.cloud.create(world.organisation, definition, application.env | env)
    twin.created_at -= age
    return twin


def exists(world, application):
    return application.id in {entry.app_id for entry in world.alive}


async def gone(world, application):
    while exists(world, application):
        await asyncio.sleep(1)


def test_a_host_whose_creation_came_late_is_removed_soon_after_its_time_of_grace(play, logs):
    async def story(world):
        async with world.service():
            job, application = await host_of_a_job(world)
            await world.settled(job)
            late, since = another_like(world, application), world.seconds()
            await gone(world, late)
            assert GRACE <= timedelta(seconds=world.seconds() - since) <= GRACE + 2 * EVERY

    play(story)
    [found] = events_in(logs, "orphan_found")
    assert found["log_level"] == "warning"
    assert found["name"].startswith("hpd-job-")
    assert found["age_seconds"] >= GRACE.total_seconds()
    assert found["reason"] == "its job is over"
    assert events_in(logs, "stopped")[0]["orphans_found"] == 1


def test_a_start_finds_what_an_earlier_process_left_within_two_looks(play):
    async def story(world):
        async with world.service():
            job, application = await host_of_a_job(world)
            await world.settled(job)
        late = another_like(world, application, age=GRACE)
        async with world.service():
            await asyncio.wait_for(gone(world, late), EVERY.total_seconds() + 30)

    play(story)


@pytest.mark.parametrize("env_in_lists", [True, False])
def test_nothing_is_touched_that_does_not_carry_our_name_and_our_mark(play, env_in_lists):
    async def story(world):
        async with world.service():
            job, application = await host_of_a_job(world)
            old = {"age": 10 * LONGEST_JOB}
            foreign = [
                another_like(world, application, name="website", **old),
                another_like(world, application, name=f"hpd-job-{world.key}-77-copy", **old),
                another_like(world, application, name="hpd-job-otherone1-1", **old),
                another_like(world, application, **{OWNER_VARIABLE: "another installation"}, **old),
            ]
            unmarked = another_like(world, application, **{OWNER_VARIABLE: ""}, **old)
            del unmarked.env[OWNER_VARIABLE]
            await asyncio.sleep(6 * 3600)
            assert job.status == "success"
            assert {entry.app_id for entry in world.alive} == {app.id for app in [*foreign, unmarked]}
            for application in [*foreign, unmarked]:
                await world.cloud.delete(world.organisation, application.id)

    play(story, cloud=CloudOptions(env_in_lists=env_in_lists))


@pytest.mark.parametrize("fault", [Delay(7), Delay(45), DropAfter(), Garbage(), Truncated(), Hang()])
def test_hosts_that_come_and_go_during_a_look_are_never_taken_for_orphans(play, logs, monkeypatch, fault):
    """Without any time of grace, at every second, while answers are late or lost on the way."""
    for span in ("GRACE", "IDLE_GRACE", "LONGEST_JOB"):
        monkeypatch.setattr(orphans, span, timedelta())

    async def story(world):
        for method, times in {"POST": 8, "GET": 20, "DELETE": 8}.items():
            world.cloud_faults.add(fault, method=method, times=times)
        async with world.service():
            jobs = [world.submit("sleep 20", name=f"job {number}") for number in range(25)]
            await world.settled(*jobs)
        assert {job.status for job in jobs} == {"success"}
        assert set(world.launches.values()) <= {0, 1}

    play(story, cloud=SLOW, more="paas_orphan_sweep_interval = 1")
    assert events_in(logs, "stopped")[0]["orphans_found"] == 0


@pytest.mark.parametrize("fault", [Answer(500), Answer(401), Garbage(), Truncated(), Hang(), DropBefore()])
def test_a_provider_that_cannot_be_asked_harms_nothing_and_is_asked_again(play, fault):
    async def story(world):
        async with world.service():
            job, application = await host_of_a_job(world, "sleep 3000")
            world.cloud_faults.add(fault, **LISTING)
            await asyncio.sleep(1200)
            world.cloud_faults.clear()
            await world.settled(job)
            assert job.status == "success"
            await gone(world, another_like(world, application, age=GRACE))

    play(story)


def test_a_provider_that_hangs_delays_no_stop(play):
    async def story(world):
        async with world.service():
            world.cloud_faults.add(Hang(), **LISTING)
            await asyncio.sleep(20)
            stopped_at = world.seconds()
        assert world.seconds() - stopped_at < 1

    play(story, coordinator={"long_poll_seconds": 0.5})


def test_a_removal_that_fails_is_tried_again_and_counted_once(play, logs):
    async def story(world):
        async with world.service():
            job, application = await host_of_a_job(world)
            await world.settled(job)
            world.cloud_faults.add(Answer(500), method="DELETE")
            late = another_like(world, application, age=GRACE)
            await asyncio.sleep(1800)
            world.cloud_faults.clear()
            await gone(world, late)

    play(story)
    assert len(events_in(logs, "orphan_not_removed")) >= 3
    assert events_in(logs, "stopped")[0]["orphans_found"] == 1


def test_a_second_host_of_a_running_job_goes_and_the_job_goes_on(play):
    async def story(world):
        async with world.service():
            job, application = await host_of_a_job(world, "sleep 3000")
            await asyncio.sleep(60)
            await gone(world, another_like(world, application, age=GRACE))
            assert exists(world, application)
            await world.settled(job)
        assert job.status == "success"

    play(story)


def test_a_busy_host_of_whose_job_nothing_is_known_is_told_and_left_alone_for_a_day(play, logs):
    async def story(world):
        async with world.service():
            job, application = await host_of_a_job(world)
            await world.settled(job)
            name = f"hpd-job-{world.key}-4711"
            unknown = another_like(world, application, name=name, age=LONGEST_JOB - timedelta(hours=2))
            unknown.state = AppState.SHOULD_BE_UP
            since = world.seconds()
            await gone(world, unknown)
            assert world.seconds() - since >= 2 * 3600

    play(story)
    [warned] = events_in(logs, "unknown_host_busy")
    assert warned["drift"] == 1


@pytest.mark.parametrize(
    "setting", ["paas_finished_jobs_keep_resources = true", "paas_decommission_launch_failures = false"]
)
def test_hosts_that_the_configuration_keeps_are_kept(play, logs, setting):
    async def story(world):
        async with world.service():
            job, application = await host_of_a_job(world)
            await settled(world.gitlab, [job.job_id])
            kept = another_like(world, application, age=10 * LONGEST_JOB)
            await asyncio.sleep(6 * 3600)
            assert exists(world, kept)
            assert exists(world, application) == setting.endswith("= true")

    play(story, more=setting)
    assert events_in(logs, "stopped")[0]["orphans_found"] == 0


def test_no_search_is_made_when_it_is_switched_off(play):
    async def story(world):
        async with world.service():
            await asyncio.sleep(3600)
        assert not world.cloud.ledger.requests

    play(story, more="paas_orphan_sweep_interval = 0")


def test_a_host_that_disappears_is_counted(play, logs):
    async def story(world):
        async with world.service():
            _job, application = await host_of_a_job(world, "sleep 3000")
            await asyncio.sleep(31)
            await world.cloud.delete(world.organisation, application.id)
            await asyncio.sleep(5)

    play(story, more="paas_orphan_sweep_interval = 2")
    assert [line["host"] for line in events_in(logs, "host_disappeared")]
    assert events_in(logs, "stopped")[0]["drift"] == 1


def test_a_second_host_that_was_not_created_is_counted(play, logs):
    async def story(world):
        world.cloud_faults.add(DropAfter(), method="POST", times=1)
        async with world.service():
            job = world.submit("true")
            await world.settled(job)

    play(story)
    assert events_in(logs, "stopped")[0] == events_in(logs, "stopped")[0] | {
        "duplicates_prevented": 1,
        "orphans_found": 0,
        "drift": 0,
    }


def test_a_start_says_in_one_line_what_it_recovered(play, logs):
    async def story(world):
        async with world.service():
            jobs = [world.submit("sleep 300", name=f"job {number}") for number in range(3)]
            await asyncio.sleep(100)
        async with world.service():
            await world.settled(*jobs)

    play(story)
    first, second = events_in(logs, "started")
    assert (first["jobs_recovered"], second["jobs_recovered"]) == (0, 3)
    assert second["jobs_recovered_running"] == 3
