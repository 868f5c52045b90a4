"""The pictures of the documents: of a world that anybody can read and reach, and of the pages as they are."""

import struct

import attrs
import httpx
import pytest
from paas_pipelines.api.payloads import HIDDEN

from tests.paas_pipelines.pictures import PICTURES, pages_of, shown, taken
from tests.paas_pipelines.test_pages_in_chromium import axe, hindrances  # noqa: F401 - a fixture
from tests.support.browser import Browser
from tests.support.pictured_pipelines import ASKING, PUSH, PicturedPipelines
from tests.support.pipeline_pages import Seen, token
from tests.support.requirements import need
from tests.web.pictures import IMAGES


@attrs.frozen
class At:
    """Somebody who looks at a page."""

    tab: Browser


async def test_the_world_of_the_pictures_shows_what_they_are_for(tmp_path):
    world = await PicturedPipelines.open(tmp_path)
    seen = {}
    async with (
        world.shown() as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", cookies={"jwt": token(ASKING)}) as client,
    ):
        for name, path in pages_of(world).items():
            answer = await client.get(path)
            assert answer.status_code == 200, name
            seen[name] = Seen(answer.text)
    for name, words in {
        "list": "deploy blocked for approve , 23 min 39 s ada",
        "start": "Version (needed)",
        "run": "It waits for people Decide approve : Roll out 4.2.0 to prod?",
        "held": "which waits for people: approve is open since 2026-11-20 09:17:21 UTC",
        "approval": "Plan: 1 to add, 1 to change",
        "triggers": "2026-11-23 02:30:00 (03:30 in Berlin) the next 9",
        "events": 'dropped ci/push: events: "ping" is not among push',
        "server": "deploy-key ssh the store 2026-11-19 04:41:00 , by ada",
    }.items():
        assert words in seen[name].text, (name, seen[name].text)
    assert seen["event"].html.count(HIDDEN) == 2
    for secret in (PUSH["repository"]["temp_clone_token"], PUSH["hook"]["config"]["secret"]):
        assert [name for name, page in seen.items() if secret in page.html] == []


@pytest.mark.long
async def test_nothing_of_it_keeps_anybody_out_or_is_wider_than_a_telephone(tmp_path, axe):  # noqa: F811
    need("chromium")
    async with shown(tmp_path) as (url, looking, pages):
        for name, path in pages.items():
            await looking.go(f"{url}{path}")
            assert await hindrances(At(looking), axe) == [], name


@pytest.mark.long
async def test_the_pictures_are_of_these_pages(tmp_path):
    need("chromium")
    async with shown(tmp_path) as (url, looking, pages):
        for name, how in PICTURES.items():
            kept, made = (IMAGES / name).read_bytes(), await taken(url, looking, pages, **how)
            sizes = [struct.unpack(">II", each[16:24]) for each in (kept, made)]
            assert sizes == [(how["width"], how["height"])] * 2, name
            assert len(kept) < 200_000
