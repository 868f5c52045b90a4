"""Whoever is to be woken is told what is wrong, once, and when it is over; and nothing that passes by."""

import asyncio

from structlog.testing import capture_logs

from paas_runner.sandbox.faults import Answer, DropBefore, Hang
from tests.service.test_refused_credentials import good_again, revoked

MINUTE = 60


def test_a_service_without_trouble_tells_nothing(notified):
    async def story(world):
        async with world.service():
            jobs = [world.submit(name=f"job {n}") for n in range(3)]
            await world.settled(*jobs)
            await asyncio.sleep(30 * MINUTE)
        assert world.told == []

    notified(story)


def test_failed_launches_of_a_while_are_one_notice_with_the_first_jobs(notified):
    async def story(world):
        world.cloud_faults.add(Answer(400), method="POST", path="**/applications")
        async with world.service():
            jobs = [world.submit(name=f"job {n}") for n in range(7)]
            await world.settled(*jobs)
            await asyncio.sleep(5 * MINUTE)
        [told] = world.told
        assert (told["kind"], told["state"], told["count"]) == ("launch_failed", "happened", 7)
        assert told["subject"] == "virtual"
        assert len(told["jobs"]) == 5
        assert {mention["job"] for mention in told["jobs"]} <= {job.job_id for job in jobs}
        assert "400" in told["why"]

    notified(story)


def test_an_outage_of_the_coordinator_is_told_and_so_is_its_end(notified):
    async def story(world):
        async with world.service():
            await asyncio.sleep(MINUTE)
            rule = world.coordinator_faults.add(Answer(503))
            await asyncio.sleep(10 * MINUTE)
            [told] = world.told
            assert (told["kind"], told["state"]) == ("coordinator_failing", "begun")
            assert "503" in told["why"]
            world.coordinator_faults.remove(rule)
            await asyncio.sleep(10 * MINUTE)
        assert world.words == [("coordinator_failing", "begun"), ("coordinator_failing", "over")]

    notified(story)


def test_an_outage_that_is_over_within_the_while_is_not_told(notified):
    async def story(world):
        async with world.service():
            await asyncio.sleep(MINUTE)
            rule = world.coordinator_faults.add(DropBefore())
            await asyncio.sleep(MINUTE)
            world.coordinator_faults.remove(rule)
            await asyncio.sleep(20 * MINUTE)
        assert world.told == []

    notified(story)


def test_an_outage_of_the_cloud_is_told_and_so_is_its_end(notified):
    async def story(world):
        async with world.service():
            rule = world.cloud_faults.add(Answer(502))
            job = world.submit()
            await asyncio.sleep(10 * MINUTE)
            assert ("cloud_failing", "begun") in world.words
            world.cloud_faults.remove(rule)
            await world.settled(job)
            await asyncio.sleep(20 * MINUTE)
        clouds = [told for told in world.told if told["kind"] == "cloud_failing"]
        assert [told["state"] for told in clouds] == ["begun", "over"]
        assert "502" in clouds[0]["why"]

    notified(story)


def test_credentials_that_the_provider_refuses_are_told_and_that_it_takes_them_again(notified):
    async def story(world):
        revoked(world)
        async with world.service():
            job = world.submit()
            await asyncio.sleep(5 * MINUTE)
            good_again(world)
            await world.settled(job)
            await asyncio.sleep(10 * MINUTE)
        assert world.words == [("cloud_failing", "begun"), ("cloud_failing", "over")]
        assert "401" in world.told[0]["why"]

    notified(story)


def test_after_a_crash_in_an_outage_it_is_not_told_again_but_its_end_is(notified):
    async def story(world):
        rule = world.coordinator_faults.add(Answer(503))
        serving, _ = world.start()
        await asyncio.sleep(10 * MINUTE)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        assert world.words == [("coordinator_failing", "begun")]
        async with world.service():
            await asyncio.sleep(10 * MINUTE)
            assert len(world.told) == 1
            world.coordinator_faults.remove(rule)
            await asyncio.sleep(10 * MINUTE)
        assert world.words == [("coordinator_failing", "begun"), ("coordinator_failing", "over")]

    notified(story)


def test_what_a_receiver_does_not_take_is_delivered_by_the_next_process_under_the_same_id(notified):
    async def story(world):
        world.cloud_faults.add(Answer(400), method="POST", path="**/applications", times=1)
        rule = world.faults.add(Hang())
        with capture_logs() as logs:
            async with world.service():
                await world.settled(world.submit())
                await asyncio.sleep(10 * MINUTE)
        refused = [entry for entry in logs if entry["event"] == "notice_not_delivered"]
        assert len(refused) > 1
        assert world.told == []
        world.faults.remove(rule)
        async with world.service():
            await asyncio.sleep(MINUTE)
        [told] = world.told
        assert {entry["notice"] for entry in refused} == {told["id"]}
        assert await world.store.notices() != {}
        assert all(not kept.pending for kept in (await world.store.notices()).values())

    notified(story)


def test_a_receiver_that_comes_back_hears_of_a_beginning_before_its_end(notified):
    async def story(world):
        deaf = world.faults.add(Answer(503))
        async with world.service():
            await asyncio.sleep(MINUTE)
            outage = world.coordinator_faults.add(Answer(503))
            await asyncio.sleep(10 * MINUTE)
            world.coordinator_faults.remove(outage)
            await asyncio.sleep(3 * MINUTE)
            world.faults.remove(deaf)
            await asyncio.sleep(20 * MINUTE)
        assert world.words == [("coordinator_failing", "begun"), ("coordinator_failing", "over")]

    notified(story)


def test_a_notice_that_its_receiver_never_takes_holds_up_no_other_matter(notified):
    async def story(world):
        world.cloud_faults.add(Answer(400), method="POST", path="**/applications", times=1)
        world.unwanted = b'"launch_failed"'
        async with world.service():
            await world.settled(world.submit())
            await asyncio.sleep(5 * MINUTE)
            world.coordinator_faults.add(Answer(503))
            await asyncio.sleep(30 * MINUTE)
        assert world.words == [("coordinator_failing", "begun")]

    notified(story)


def test_a_drain_is_told_with_what_is_left_before_the_service_ends(notified):
    async def story(world):
        async with world.service() as serving:
            await world.settled(world.submit())
            await world.ask("drain")
            await serving
        [told] = world.told
        assert (told["kind"], told["why"]) == ("drain_done", "no job and no host is left")

    notified(story)


def test_a_receiver_hears_of_what_it_wants_to_hear_of(notified):
    async def story(world):
        world.cloud_faults.add(Answer(400), method="POST", path="**/applications", times=1)
        async with world.service():
            await world.settled(world.submit())
            world.coordinator_faults.add(Answer(503))
            await asyncio.sleep(10 * MINUTE)
        assert world.words == [("coordinator_failing", "begun")]

    notified(story, notify='on = ["coordinator_failing", "drain_done"]')


def test_a_reload_brings_and_takes_receivers_and_keeps_what_they_know(notified):
    async def story(world):
        world.sections = ""
        world.write()
        async with world.service():
            await asyncio.sleep(MINUTE)
            world.notify()
            done = await world.reload()
            assert done["changes"] == ['notify "ops": added']
            world.coordinator_faults.add(Answer(503))
            await asyncio.sleep(10 * MINUTE)
            assert len(world.told) == 1
            world.notify("most_per_hour = 3")
            await world.reload()
            await asyncio.sleep(10 * MINUTE)
            assert len(world.told) == 1
            world.sections = ""
            world.write()
            await world.reload()
            await asyncio.sleep(MINUTE)
        assert await world.store.notices() == {}

    notified(story)


def test_a_receiver_that_is_taken_away_and_given_back_still_gets_what_it_has_not_got(notified):
    async def story(world):
        world.cloud_faults.add(Answer(400), method="POST", path="**/applications", times=1)
        deaf = world.faults.add(Answer(503))
        async with world.service():
            await world.settled(world.submit())
            await asyncio.sleep(5 * MINUTE)
            world.sections = ""
            world.write()
            await world.reload()
            world.notify()
            await world.reload()
            world.faults.remove(deaf)
            await asyncio.sleep(20 * MINUTE)
            assert world.words == [("launch_failed", "happened")]
        async with world.service():
            await asyncio.sleep(20 * MINUTE)
        assert len(world.told) == 1

    notified(story)


def test_hosts_that_cost_more_an_hour_than_the_bound_are_told(notified):
    async def story(world):
        async with world.service():
            job = world.submit("sleep 1800")
            await asyncio.sleep(15 * MINUTE)
            assert world.words == [("cost_above", "begun")]
            assert world.told[0]["subject"] == "hour"
            await world.settled(job)
            await asyncio.sleep(10 * MINUTE)
        assert world.words == [("cost_above", "begun"), ("cost_above", "over")]

    notified(story, notify='on = ["cost_above"]\ncost_per_hour = 0.000001')


def test_the_address_is_in_no_line_of_the_log(notified):
    async def story(world):
        world.cloud_faults.add(Answer(400), method="POST", path="**/applications", times=1)
        world.faults.add(Answer(404, body=b'{"message": "no /hooks/canary-of-the-address here"}'), times=1)
        world.faults.add(Answer(307, headers={"location": "http://else.test/canary-of-the-address"}), times=1)
        with capture_logs() as logs:
            async with world.service():
                await world.settled(world.submit())
                await asyncio.sleep(20 * MINUTE)
        assert len(world.told) == 1
        reasons = [entry["reason"] for entry in logs if entry["event"] == "notice_not_delivered"]
        assert reasons == ["answered 404", "answered 307: redirects are not followed"]
        assert "canary-of-the-address" not in str(logs)

    notified(story)
