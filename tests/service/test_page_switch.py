"""The page of a running service comes, goes and moves with its configuration, never open by mistake."""

import asyncio

import httpx
import pytest

from paas_runner.errors import MissingPackagesError
from paas_runner.service.page import PageSwitch
from paas_runner.service.reload import NotDoneError
from tests.support.missing_packages import take_away
from tests.support.operated_world import OperatedWorld

LOCAL, OPEN = "127.0.0.1:9252", ":9252"
TOKENS = ("page-token-0123456789", "page-token-9876543210")
QUICK = "/static/page.css"  # needs no thread, for which no virtual time passes
GUARDED = "/nothing"


@pytest.fixture
def play(tmp_path):
    return lambda story: OperatedWorld.play(tmp_path, story)


async def status(world, path=QUICK, **headers):
    return (await world.site.get(path, **headers)).status_code


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def test_a_page_that_is_not_wanted_is_not_there(play):
    async def story(world):
        world.write(listen_address=LOCAL)
        async with world.service():
            await asyncio.sleep(1)
            assert [await status(world, path) for path in (QUICK, "/", "/api/v1/status", "/login")] == [
                404
            ] * 4

    play(story)


def test_a_reload_switches_it_on_and_off(play):
    async def story(world):
        world.write(listen_address=LOCAL)
        async with world.service():
            await asyncio.sleep(1)
            world.write(listen_address=LOCAL, paas_page=True)
            await world.reload()
            assert await status(world) == 200
            assert await status(world, "/health") == 200
            world.write(listen_address=LOCAL)
            await world.reload()
            assert await status(world) == 404

    play(story)


def test_another_token_ends_the_sessions_of_the_old_one(play):
    async def story(world):
        world.write(listen_address=OPEN, paas_page=True, paas_page_token=TOKENS[0])
        async with world.service():
            await asyncio.sleep(1)
            assert await status(world, GUARDED) == 303
            assert (
                await status(world, GUARDED, **bearer(TOKENS[0])) == 404
            )  # nothing is there, and we may know
            world.write(listen_address=OPEN, paas_page=True, paas_page_token=TOKENS[1])
            changes = (await world.reload())["changes"]
            assert [change.partition(":")[0] for change in changes] == ["paas_page_token"]
            assert not [token for token in TOKENS if token in str(changes)]
            assert await status(world, GUARDED, **bearer(TOKENS[0])) == 401
            assert await status(world, GUARDED, **bearer(TOKENS[1])) == 404

    play(story)


@pytest.mark.parametrize("from_open", [True, False])
def test_while_it_moves_between_the_machine_and_everybody_nobody_sees_anything(play, from_open):
    alone = {"listen_address": LOCAL, "paas_page": True}
    shared = {"listen_address": ":9253", "paas_page": True, "paas_page_token": TOKENS[0]}

    async def story(world):
        before, after = (shared, alone) if from_open else (alone, shared)
        listen, seen = world.site.listen, []

        async def listening(place, app):
            opened = await listen(place, app)
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
                seen.append((await client.get(f"http://site.test{QUICK}")).status_code)
            return opened

        world.site.listen = listening
        world.write(**before)
        async with world.service():
            await asyncio.sleep(1)
            world.write(**after)
            await world.reload()
            assert seen == [200, 404]
            assert await status(world) == 200

    play(story)


def test_a_reload_that_fails_leaves_the_page_as_it_was(play):
    async def story(world):
        world.write(listen_address=LOCAL, paas_page=True)
        async with world.service():
            await asyncio.sleep(1)
            world.site.taken.add("0.0.0.0:1")
            world.write(listen_address="0.0.0.0:1", paas_page=True, paas_page_token=TOKENS[0])
            with pytest.raises(NotDoneError):
                await world.reload()
            assert await status(world) == 200

    play(story)


def test_a_missing_package_is_said_with_what_to_do(play, monkeypatch):
    async def story(world):
        world.write(listen_address=LOCAL, paas_page=True)
        take_away(
            monkeypatch,
            "jinja2",
            "paas_runner.web.page",
            "paas_runner.web.rendering",
            "paas_runner.web.pages",
        )
        serving, _ = world.start()
        with pytest.raises(
            MissingPackagesError, match=r"`paas_page` needs more packages \(jinja2\).*\[web\]"
        ):
            await serving

    play(story)


async def test_a_page_in_the_middle_of_a_change_is_no_page():
    switch = PageSwitch(status=None, observe=lambda _: None, reached=dict)
    told = []

    async def send(message):
        told.append(message)

    await switch({"type": "http", "path": "/"}, None, send)
    assert told[0]["status"] == 404
