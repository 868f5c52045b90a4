"""What a service in virtual time exposes while it runs jobs, fails some, and cannot reach anybody."""

import asyncio

import pytest

from paas_runner.sandbox.faults import Answer
from paas_runner.store import StoreError
from tests.metrics.conftest import OPENMETRICS


def test_a_finished_job_is_seen_in_every_number_that_it_concerns(play):
    async def story(world):
        async with world.service():
            await asyncio.sleep(5)
            job = world.submit("sleep 100")
            await asyncio.sleep(60)
            during = await world.scrape()
            assert during.value("gitlab_runner_jobs", state="running", executor_stage="running") == 1
            assert during.value("paas_runner_jobs", phase="running") == 1
            assert during.value("paas_runner_jobs") == 1
            assert during.value("paas_runner_hosts", flavor="M") == 1
            assert during.value("gitlab_runner_concurrent") == 10
            assert during.value("paas_runner_headroom_jobs") == 9
            assert during.value("paas_runner_oldest_job_seconds") == pytest.approx(58, abs=5)
            await world.settled(job)
            await asyncio.sleep(5)
            after = await world.scrape()
        assert after.value("gitlab_runner_jobs_total", runner=world.key, runner_name="virtual") == 1
        assert after.value("gitlab_runner_job_duration_seconds_count") == 1
        assert after.value("gitlab_runner_job_duration_seconds_sum") == pytest.approx(105, abs=15)
        assert after.value("gitlab_runner_job_queue_duration_seconds_count") == 1
        assert after.value("paas_runner_phase_seconds_count", phase="running") == 1
        assert after.value("paas_runner_jobs") == 0
        assert after.value("paas_runner_host_seconds_total", flavor="M") > 100
        assert (
            after.value("gitlab_runner_api_request_statuses_total", endpoint="request_job", status="201") == 1
        )
        assert (
            after.value("gitlab_runner_api_request_statuses_total", endpoint="update_job", runner=world.key)
            >= 1
        )
        assert after.value("paas_runner_calls_total", service="Clever Cloud", status_class="2xx") > 3
        assert after.value("paas_runner_call_seconds_count", service="git") >= 1
        assert after.value("paas_runner_store_writes_total", result="written") > 5
        assert after.value("paas_runner_store_writes_total", result="refused") == 0
        assert after.value("paas_runner_broken_promises_total") == 0
        assert after.value("paas_runner_event_loop_lag_seconds_count") > 100
        assert after.value("paas_runner_service_state", service="Clever Cloud", state="reached") == 1

    play(story)


def test_why_no_job_is_asked_for_is_one_of_a_closed_set(play):
    async def story(world):
        world.write(listen_address="127.0.0.1:9252", concurrent=1)
        async with world.service():
            await asyncio.sleep(5)
            assert (await world.scrape()).value("paas_runner_blocked") == 0
            job = world.submit("sleep 100")
            await asyncio.sleep(30)
            full = await world.scrape()
            assert full.value("paas_runner_blocked", reason="concurrent") == 1
            assert full.value("paas_runner_blocked") == 1
            await world.settled(job)
            await world.ask("pause", runner="virtual")
            await asyncio.sleep(5)
            assert (await world.scrape()).value("paas_runner_blocked", reason="paused") == 1

    play(story)


def test_an_outage_of_the_coordinator_and_its_retries_are_seen(play):
    async def story(world):
        async with world.service():
            job = world.submit("sleep 1000")
            await asyncio.sleep(60)
            world.coordinator_faults.add(Answer(502))
            await asyncio.sleep(200)
            scrape = await world.scrape()
            assert scrape.value("paas_runner_calls_total", service="coordinator", status_class="5xx") > 3
            assert scrape.value("paas_runner_call_retries_total", service="coordinator") > 0
            assert scrape.value("paas_runner_service_state", state="unreachable") == 1
            assert scrape.value("paas_runner_blocked", reason="backing_off") == 1
            assert scrape.value("gitlab_runner_errors_total", level="warning") >= 0
            world.coordinator_faults.clear()
            await world.settled(job)

    play(story)


def test_a_failed_launch_is_counted_by_its_phase_and_reason(play):
    async def story(world):
        world.cloud_faults.add(Answer(400), method="POST", path="**/applications")
        async with world.service():
            job = world.submit("true")
            await world.settled(job)
            await asyncio.sleep(10)
            scrape = await world.scrape()
            assert (
                scrape.value(
                    "paas_runner_failed_jobs_total",
                    phase="provisioning",
                    failure_reason="runner_system_failure",
                )
                == 1
            )

    play(story)


def test_a_disk_that_takes_no_records_is_seen(play, monkeypatch):
    async def story(world):
        async with world.service():
            await asyncio.sleep(5)

            async def refuse(job):
                raise StoreError("the disk is full")

            monkeypatch.setattr(world.store, "save", refuse)
            world.submit("true")
            await asyncio.sleep(30)
            scrape = await world.scrape()
            assert scrape.value("paas_runner_records_refused") == 1
            assert scrape.value("paas_runner_store_writes_total", result="refused") > 1
            assert scrape.value("paas_runner_blocked", reason="records") == 1
            monkeypatch.undo()

    play(story)


def test_exemplars_name_a_job_where_they_are_asked_for_and_nowhere_else(play):
    async def story(world):
        async with world.service():
            await asyncio.sleep(5)
            first = world.submit("true")
            await world.settled(first)
            await asyncio.sleep(5)
            assert "job_id" not in (await world.scrape(OPENMETRICS)).text
            world.write(listen_address="127.0.0.1:9252", paas_metrics_exemplars=True)
            await world.reload()
            second = world.submit("true")
            await world.settled(second)
            await asyncio.sleep(5)
            told = await world.scrape(OPENMETRICS)
            assert f'# {{job_id="{second.job_id}"}}' in told.text
            assert "job_id" not in (await world.scrape()).text

    play(story)


def test_both_formats_have_the_same_samples(play):
    async def story(world):
        async with world.service():
            await asyncio.sleep(5)
            job = world.submit("true")
            await world.settled(job)
            await asyncio.sleep(5)
            text, openmetrics = await world.scrape(), await world.scrape(OPENMETRICS)
            assert {sample.name for sample in text.samples} == {sample.name for sample in openmetrics.samples}
            assert openmetrics.value("gitlab_runner_jobs_total") == 1

    play(story)
