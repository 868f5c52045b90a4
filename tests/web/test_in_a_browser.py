"""The page in a real browser: for eyes, keyboards and screen readers, on a desk and a telephone."""

import asyncio
import struct

import pytest

from paas_runner.secret import Secret
from tests.support.accessibility import LOOK, axe_script
from tests.support.requirements import need
from tests.support.watched_world import SECOND, outage, record, silent
from tests.web.pictures import DESK, IMAGES, PHONE, PICTURES, shown, taken

pytestmark = pytest.mark.long

PATHS = ["/", "/jobs", "/jobs/4712", "/jobs/4500", "/failures", "/hosts", "/costs", "/nothing", "/jobs/77"]
NARROWEST = 320  # CSS pixels at which WCAG 2.2, 1.4.10, wants no scrolling to the side


@pytest.fixture(scope="module")
def axe(tmp_path_factory):
    """The script that finds what keeps people out."""
    return axe_script(tmp_path_factory.mktemp("axe"))


@pytest.fixture
async def page(tmp_path):
    need("chromium")
    async with shown(tmp_path) as looking:
        yield looking


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [DESK, PHONE])
async def test_nothing_keeps_anybody_out(page, axe, width, scheme):
    url, looking, world = page
    await looking.look_like(width=width, scheme=scheme)
    for more in ({}, outage()):
        world.more = more
        world.services = [silent(service) for service in world.services] if more else world.services
        for path in PATHS:
            await looking.go(f"{url}{path}")
            await looking.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
            await looking.evaluate(axe)
            assert await looking.evaluate(LOOK) == [], path
    failed_loads = [each for each in looking.messages if "404" not in str(each)]
    assert failed_loads == []  # no script and no style was refused by the policy, none failed


@pytest.mark.parametrize("width", [NARROWEST, PHONE, DESK])
async def test_no_page_is_wider_than_the_screen(page, width):
    url, looking, world = page
    world.jobs = [*world.jobs, record(99, 40 * SECOND, name="n" * 200, tenant="t" * 200)]
    await looking.look_like(width=width)
    for path in (*PATHS, "/jobs/99"):
        await looking.go(f"{url}{path}")
        wide = await looking.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wide == 0, path


async def test_the_keyboard_reaches_everything_and_is_seen(page):
    url, looking, _ = page
    await looking.look_like(width=DESK)
    await looking.go(f"{url}/")
    focused = (
        "document.activeElement.className || document.activeElement.id || document.activeElement.tagName"
    )
    await looking.press("Tab")
    assert await looking.evaluate(focused) == "skip"
    await looking.press("Enter")
    assert await looking.evaluate("document.activeElement.id") == "main"
    await looking.go(f"{url}/")
    reachable = await looking.evaluate(
        "document.querySelectorAll('a[href], button, input, select, [tabindex=\"0\"]').length"
    )
    stops = set()
    for _ in range(reachable):
        await looking.press("Tab")
        stops.add(
            await looking.evaluate("[...document.querySelectorAll('*')].indexOf(document.activeElement)")
        )
        style = await looking.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert style != "none"
    assert len(stops) == reachable


async def test_without_javascript_everything_is_there(page):
    url, looking, _ = page
    await looking.look_like(width=DESK, scripts=False)
    await looking.go(f"{url}/")
    assert await looking.evaluate("document.querySelectorAll('svg.bar').length") == 11
    assert await looking.evaluate("document.querySelector('.refresh')") is None
    assert (
        await looking.evaluate("document.querySelector('meta[http-equiv]')") is None
    )  # nobody is interrupted
    await looking.evaluate("document.getElementById('find').value = '4712'")
    await looking.evaluate("document.querySelector('.find').submit()")
    async with asyncio.timeout(60):
        while not (await looking.evaluate("document.title")).startswith("Job 4712"):
            await asyncio.sleep(0.05)


async def test_with_it_the_page_refreshes_itself_until_it_is_told_not_to(page):
    url, looking, world = page
    await looking.look_like(width=DESK)
    await looking.go(f"{url}/")
    await looking.evaluate("document.querySelector('.tiles a[href=\"/failures\"]').focus()")

    async def said(text):
        async with asyncio.timeout(60):
            while text not in await looking.evaluate("document.body.innerText"):
                await asyncio.sleep(0.2)

    world.jobs = world.jobs[:3]
    await said("running, of 3 jobs")
    assert await looking.evaluate("document.activeElement.getAttribute('href')") == "/failures"
    world.path.unlink()
    await said("The store cannot be read")
    await looking.evaluate("document.querySelector('.refresh').click()")
    world.jobs = []
    await asyncio.sleep(6)
    assert "running, of 3 jobs" in await looking.evaluate("document.body.innerText")
    await looking.evaluate("document.querySelector('.refresh').click()")
    await said("of 0 jobs")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_person_logs_in_with_the_keyboard_and_out_again(tmp_path, axe, scheme):
    need("chromium")
    async with shown(tmp_path, token=Secret("page-token-0123456789")) as (url, looking, _):
        await looking.look_like(width=PHONE, scheme=scheme)

        async def until(expression, value):
            """A busy browser takes its time, to focus a field, too."""
            async with asyncio.timeout(60):
                while value != await looking.evaluate(expression):
                    await asyncio.sleep(0.05)

        async def at(heading):
            await until("document.querySelector('h1')?.textContent", heading)

        await looking.go(f"{url}/jobs/4712")
        await at("Log in")
        for token in ("wrong", "page-token-0123456789"):
            await until("document.activeElement?.id", "token")
            await looking.evaluate(axe)
            assert await looking.evaluate(LOOK) == []
            await looking.ask("Input.insertText", text=token)
            await looking.press("Enter")
            if token == "wrong":
                await until("!!document.querySelector('[role=alert]')", True)
        await at("Job 4712")
        assert await looking.evaluate("document.cookie") == ""
        await looking.evaluate(axe)
        assert await looking.evaluate(LOOK) == []
        await looking.evaluate("document.querySelector('.logout').requestSubmit()")
        await at("Log in")


async def test_the_pictures_of_the_documents_are_of_this_page(page):
    url, looking, _ = page
    for name, how in PICTURES.items():
        kept, made = (IMAGES / name).read_bytes(), await taken(url, looking, **how)
        assert (
            struct.unpack(">II", kept[16:24])
            == struct.unpack(">II", made[16:24])
            == (how["width"], how["height"])
        )
        assert len(kept) < 200_000
