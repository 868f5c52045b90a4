"""Applications without a lifetime: up once something answers on their port, and kept up (§4.3, §4.4)."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import attrs
import httpx
from starlette.responses import PlainTextResponse

from paas_runner.sandbox.cloud import Application, Cloud, HostFiles, LoadBalancer, Organisation
from paas_runner.sandbox.cloud.application import AppState, InstanceState
from paas_runner.testing.virtual_time import run_virtual, virtual_now
from tests.support.clouds import FILES, Program, new_application, virtual_cloud

MINUTE = 60.0


@attrs.define
class Listening(Program):
    """Answers with its machine's id, from some time of its life to another."""

    after: float = 0.0
    stops_after: float = float("inf")
    starts: int = 0
    on_start: Callable[[int], None] = lambda _number: None

    async def __call__(self, files: HostFiles) -> int:
        self.starts += 1
        self.on_start(self.starts)
        await asyncio.sleep(self.after)
        with files.serve(PlainTextResponse(files.environment["INSTANCE_ID"])):
            await asyncio.sleep(self.stops_after)
        return 0 if self.seconds == 0 else await super().__call__(files)


def regular(program: Program, **options: Any) -> tuple[Cloud, Organisation, Application]:
    cloud, organisation = virtual_cloud(program, **options)
    app = new_application(cloud, organisation, instanceLifetime="REGULAR")
    cloud.received_push(app.id, "c1", FILES)
    return cloud, organisation, app


async def asked(cloud: Cloud, app: Application) -> httpx.Response:
    transport = httpx.ASGITransport(LoadBalancer(cloud))
    async with httpx.AsyncClient(transport=transport, base_url=f"https://{app.domain}") as client:
        return await client.get("/")


def rows(app: Application) -> list[tuple[str, str]]:
    return [(str(row.state), row.cause) for row in app.deployments.values()]


def alive(app: Application) -> list[str]:
    return [each.id for each in app.instances.values() if each.state is not InstanceState.DELETED]


def test_it_is_up_once_something_answers_and_stays_up_for_ever() -> None:
    async def story() -> None:
        cloud, _, app = regular(Listening(seconds=None, after=120))
        await asyncio.sleep(119)
        assert (rows(app), app.state) == ([("WIP", "Git")], AppState.WANTS_TO_BE_UP)
        assert (await asked(cloud, app)).status_code == 404
        await asyncio.sleep(3)
        assert (rows(app), app.state) == ([("OK", "Git")], AppState.SHOULD_BE_UP)
        assert (await asked(cloud, app)).text == alive(app)[0]
        await asyncio.sleep(86400)
        assert (rows(app), len(alive(app))) == ([("OK", "Git")], 1)
        await cloud.aclose()

    run_virtual(story())


def test_a_deployment_that_never_answers_fails_after_minutes_and_its_machine_is_gone() -> None:
    async def story() -> None:
        cloud, _, app = regular(Program(seconds=None), health_patience=timedelta(minutes=3))
        await asyncio.sleep(3 * MINUTE - 5)
        assert rows(app) == [("WIP", "Git")]
        await asyncio.sleep(10)
        assert (rows(app), alive(app), app.port) == ([("FAIL", "Git")], [], None)
        assert "Nothing listening on 0.0.0.0:8080 yet." in [*app.log.after("")][-3].message
        await asyncio.sleep(86400)
        assert len(rows(app)) == 1
        assert cloud.ledger.entry(app.id).billed(virtual_now()) < timedelta(minutes=4)

    run_virtual(story())


def test_one_that_answers_no_more_is_replaced_by_a_machine_of_its_own_and_not_for_a_short_silence() -> None:
    async def story() -> None:
        cloud, _, app = regular(Listening(seconds=0, stops_after=20 * MINUTE))
        await asyncio.sleep(60)
        first = (await asked(cloud, app)).text
        await asyncio.sleep(23 * MINUTE)
        assert (await asked(cloud, app)).status_code == 503
        assert rows(app) == [("OK", "Git")]
        await asyncio.sleep(4 * MINUTE)
        assert rows(app) == [("OK", "Git"), ("OK", "Monitoring/Unreachable")]
        second = (await asked(cloud, app)).text
        assert second != first
        assert alive(app) == [second]
        await cloud.aclose()

    run_virtual(story())


def test_a_machine_is_replaced_until_one_does_not_come_up() -> None:
    async def story() -> None:
        program = Listening(seconds=None, stops_after=10 * MINUTE)
        program.on_start = lambda number: setattr(program, "after", 0.0 if number < 3 else float("inf"))
        cloud, _, app = regular(program)
        await asyncio.sleep(86400)
        assert [state for state, _ in rows(app)] == ["OK", "OK", "FAIL"]
        assert (alive(app), program.starts) == ([], 3)
        assert cloud.ledger.entry(app.id).billed(virtual_now()) < timedelta(minutes=40)

    run_virtual(story())


def test_the_next_push_replaces_what_is_up_and_a_stop_ends_it() -> None:
    async def story() -> None:
        program = Listening(seconds=None)
        cloud, organisation, app = regular(program)
        await asyncio.sleep(3600)
        cloud.received_push(app.id, "c2", FILES)
        await asyncio.sleep(2)
        assert ([state for state, _ in rows(app)], len(alive(app)), app.commit_id) == (["OK", "OK"], 1, "c2")
        await cloud.stop(app)
        assert (alive(app), app.state, app.port) == ([], AppState.SHOULD_BE_DOWN, None)
        await cloud.delete(organisation.id, app.id)
        assert (await asked(cloud, app)).status_code == 404

    run_virtual(story())


def test_a_machine_that_is_lost_is_replaced_by_a_fresh_one() -> None:
    async def story() -> None:
        cloud, _, app = regular(Listening(seconds=None))
        await asyncio.sleep(60)
        first = alive(app)
        cloud.lose_instance(app, replaced=True)
        await asyncio.sleep(60)
        assert len(alive(app)) == 1
        assert alive(app) != first
        assert rows(app) == [("OK", "Git"), ("OK", "Monitoring/Unreachable")]
        await cloud.aclose()

    run_virtual(story())
