"""`/health` and `/ready` of the whole service in virtual time, and its site when the address changes."""

import asyncio
import sys
from datetime import timedelta

import pytest

from paas_runner.errors import MissingPackagesError
from paas_runner.sandbox.faults import Answer
from paas_runner.service.reload import NotDoneError
from paas_runner.store import StoreError
from paas_runner.web.health import readiness
from paas_runner.web.listening import ListenError
from paas_runner.web.site import Sources
from tests.support.operated_world import OperatedWorld
from tests.support.sharing import holding, standby
from tests.support.watched_world import NAMES, NOW, glance, silent, usual_services

PORT = "127.0.0.1:9252"


@pytest.fixture
def play(tmp_path):
    def play(story):
        async def listening(world):
            world.write(listen_address=PORT)
            await story(world)

        OperatedWorld.play(tmp_path, listening)

    return play


def test_a_service_whose_loops_come_back_lives(play):
    async def story(world):
        async with world.service():
            await asyncio.sleep(10)
            answer = await world.site.get("/health")
            assert (answer.status_code, answer.json()) == (200, {"alive": True, "hung": [], "role": None})

    play(story)


def test_a_loop_that_does_not_come_back_is_named(play, monkeypatch):
    monkeypatch.setattr("paas_runner.dispatch.dispatcher.Dispatcher.hung", lambda self: ["job a/7"])

    async def story(world):
        async with world.service():
            await asyncio.sleep(10)
            answer = await world.site.get("/health")
            assert (answer.status_code, answer.json()["hung"]) == (503, ["job a/7"])

    play(story)


def test_it_is_ready_when_coordinator_and_cloud_answer_and_says_when_they_last_did(play):
    async def story(world):
        async with world.service():
            job = world.submit("true")
            await world.settled(job)
            answer = await world.site.get("/ready")
            assert answer.status_code == 200, answer.text
            told = answer.json()
            assert told["why_not"] == []
            assert {service["service"] for service in told["services"]} >= {
                "coordinator http://coordinator.test",
                "Clever Cloud",
            }
            assert all(service["age_seconds"] < 120 for service in told["services"])
            assert [runner["state"] for runner in told["runners"]] == ["polling"]
            assert "cloud-token-canary" not in answer.text
            assert world.runner.token.reveal() not in answer.text

    play(story)


def test_a_coordinator_that_is_down_is_seen_and_that_it_is_back(play):
    async def story(world):
        async with world.service():
            await asyncio.sleep(100)
            outage = world.coordinator_faults.add(Answer(502))
            await asyncio.sleep(200)
            answer = await world.site.get("/ready")
            assert answer.status_code == 503
            assert "has not answered well" in str(answer.json()["why_not"])
            assert (await world.site.get("/health")).status_code == 200
            world.coordinator_faults.remove(outage)
            await asyncio.sleep(120)
            assert (await world.site.get("/ready")).status_code == 200

    play(story)


@pytest.mark.parametrize("status", [401, 403])
def test_a_coordinator_that_refuses_the_runner_is_told_from_one_that_is_down(play, status):
    async def story(world):
        world.coordinator_faults.add(Answer(status), path="/api/v4/jobs/request")
        async with world.service():
            await asyncio.sleep(20)
            answer = await world.site.get("/ready")
            assert answer.status_code == 503
            assert "refuses our credentials (request a job)" in str(answer.json()["why_not"])

    play(story)


def test_a_cloud_that_refuses_our_token_is_seen(play):
    async def story(world):
        async with world.service():
            await asyncio.sleep(20)
            world.cloud_faults.add(Answer(401))
            world.submit("true")
            await asyncio.sleep(20)
            answer = await world.site.get("/ready")
            assert answer.status_code == 503
            assert "Clever Cloud: refuses our credentials" in str(answer.json()["why_not"])

    play(story)


def sources(report, **more):
    """A site over a report, as of a process that has called nobody."""
    known = {
        "clock": lambda: NOW,
        "coordinators": tuple,
        "status": lambda: report,
        "sharing": lambda: report.sharing,
        "hung": tuple,
        "running": lambda: True,
        "reached": dict,
        "scraped": str,
    }
    return Sources(**(known | more))


def test_a_standby_is_ready_and_says_that_it_stands_by():
    told = readiness(sources(glance([], elsewhere=frozenset(NAMES), sharing=standby()).status()))
    assert (told["ready"], told["role"]) == (True, "standby")
    stale = {each.service: silent(each) for each in usual_services()}
    former_holder = glance([], elsewhere=frozenset(NAMES), sharing=standby()).status()
    assert readiness(sources(former_holder, reached=lambda: stale))["ready"], "it asks nobody any more"


def test_a_process_is_ready_while_its_leases_last_without_the_store_and_not_after_them():
    away = {"trouble": "connection refused", "silent_for": 5.0}
    assert readiness(sources(glance([], sharing=holding(**away)).status()))["ready"]
    told = readiness(sources(glance([], sharing=holding(**away, suspended=True)).status()))
    assert (told["ready"], told["role"]) == (False, "cut off")
    assert "cut off from the store" in told["why_not"][0]
    assert "connection refused" in told["why_not"][0]


def test_a_service_that_drains_is_not_ready(play):
    async def story(world):
        async with world.service():
            job = world.submit("sleep 100")
            while not world.alive:
                await asyncio.sleep(1)
            await world.ask("drain")
            await asyncio.sleep(1)
            answer = await world.site.get("/ready")
            assert answer.status_code == 503
            assert "draining" in str(answer.json()["why_not"])
            await world.settled(job)

    play(story)


@pytest.mark.parametrize("wanted", ["127.0.0.1:9300", "unix:/run/web.sock", ":9252"])
def test_a_reload_moves_the_site(play, wanted):
    async def story(world):
        async with world.service():
            await asyncio.sleep(10)
            assert [*world.site.open] == [PORT]
            world.write(listen_address=wanted)
            assert (await world.reload())["changes"] == [f'listen_address: "{PORT}" → "{wanted}"']
            assert [*world.site.open] == [wanted]
            assert (await world.site.get("/health")).status_code == 200
            world.write()
            await world.reload()
            assert not world.site.open
        assert not world.site.open

    play(story)


@pytest.mark.parametrize("wanted", ["127.0.0.1:9300", ":9252"])
def test_a_reload_to_an_address_that_is_taken_is_refused_as_a_whole(play, wanted):
    async def story(world):
        async with world.service():
            await asyncio.sleep(10)
            world.site.taken.add(wanted)
            world.write(listen_address=wanted, concurrent=3)
            with pytest.raises(NotDoneError, match="cannot be listened on"):
                await world.reload()
            assert [*world.site.open] == [PORT]
            world.write(listen_address=PORT, concurrent=3)
            assert (await world.reload())["changes"] == ["concurrent: 10 → 3"]

    play(story)


@pytest.mark.parametrize("wanted", ["127.0.0.1:9300", ":9252"])
def test_a_reload_that_fails_for_another_reason_moves_nothing(play, monkeypatch, wanted):
    async def story(world):
        async with world.service():
            await asyncio.sleep(10)

            async def refuse(_runners, **_over):
                raise StoreError("the disk is full")

            monkeypatch.setattr(world.store, "save_runners", refuse)
            world.rotate()
            world.write(listen_address=wanted)
            with pytest.raises(NotDoneError, match="the disk is full"):
                await world.reload()
            assert [*world.site.open] == [PORT]
            assert (await world.site.get("/health")).status_code == 200
            monkeypatch.undo()
            await world.reload()
            assert [*world.site.open] == [wanted]

    play(story)


def test_a_start_at_an_address_that_is_taken_does_not_begin(play):
    async def story(world):
        world.site.taken.add(PORT)
        serving, _ = world.start()
        with pytest.raises(ListenError):
            await asyncio.wait_for(serving, timedelta(minutes=1).total_seconds())

    play(story)


def test_without_its_libraries_it_is_said_what_to_install(play, monkeypatch):
    monkeypatch.setitem(sys.modules, "paas_runner.web.site", None)

    async def story(world):
        serving, _ = world.start()
        with pytest.raises(MissingPackagesError, match=r"`listen_address` needs .*pip install '\.\[web\]'"):
            await serving

    play(story)
