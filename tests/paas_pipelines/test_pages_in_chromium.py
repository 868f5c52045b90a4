"""The pages of pipelines in a real browser: for eyes and keyboards, on a desk and a telephone."""

import asyncio
import contextlib
import itertools
from datetime import timedelta

import pytest
from paas_pipelines.api.streaming import Streams
from paas_pipelines.definitions.definition import OnError

from tests.paas_pipelines.test_pages_forms import PARAMS
from tests.support.accessibility import LOOK, axe_script
from tests.support.browser import browser
from tests.support.pipeline_pages import token, visiting
from tests.support.requirements import need
from tests.support.served_pipelines import definition, served

pytestmark = pytest.mark.long

DESK, PHONE = 1280, 360
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def axe(tmp_path_factory):
    return axe_script(tmp_path_factory.mktemp("axe"))


class Looking:
    """A browser at the pages of a server that has something to show."""

    def __init__(self, tab, visited):
        self.tab = tab
        self.world = visited.world
        self.url = f"http://127.0.0.1:{visited.world.port}"

    async def go(self, path):
        await self.tab.go(f"{self.url}{path}")

    async def until(self, expression, value=True):
        """A busy browser takes its time; a page that is on its way has no document."""
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(AssertionError):
                    if await self.tab.evaluate(expression) == value:
                        return
                await asyncio.sleep(0.05)

    async def says(self, text):
        await self.until(f"document.body.innerText.includes({text!r})")

    async def enter(self, path):
        """Log in by the form, which leads on to the page."""
        await self.go(path)
        await self.until("!!document.getElementById('token')")
        await self.tab.evaluate(f"document.getElementById('token').value = '{token()}'")
        await self.tab.evaluate("document.querySelector('.login button').click()")
        await self.until("!!document.querySelector('.logout')")

    async def click(self, selector):
        await self.tab.evaluate(f"document.querySelector({selector!r}).click()")


@pytest.fixture
async def looking(tmp_path):
    need("chromium")
    definitions = [
        definition(),
        definition("with_params", params=PARAMS, on_error=OnError(script=("b",)), queue_limit=0),
        definition("late", start_delay=timedelta(hours=1)),
        definition("n" * 120),
    ]
    async with visiting(served(tmp_path, *definitions)) as visited, browser(tmp_path / "profile") as tab:
        yield Looking(tab, visited)
        assert all(
            each.startswith(str(visited.world.client.base_url)) for each in tab.requests if "http" in each
        )
        refused = [
            each for each in tab.messages if "Content Security" in str(each) or "exception" in str(each)
        ]
        assert refused == []


async def filled(world):
    """The paths of pages that show something of each kind."""
    done, failed = await world.schedule("n" * 120), await world.schedule("with_params")
    world.complete(done)
    world.end(failed, "lint", exit_code=3)
    await world.schedule("late")
    running = await world.schedule(variables={"version": "1.2", "more": {"a": [1, 2]}})
    await world.schedule()
    world.served.logs.output(running, "lint").stdout(b"\x1b[31mred\x1b[0m\n" + b"long " * 2000 + b"\n" * 200)
    return [
        *("/", "/runs", "/pipeline?name=release_it", "/run?id=unknown"),
        *(f"/run?id={failed}", f"/run?id={running}", f"/task?id={running}&task=lint"),
    ]


async def hindrances(looking, axe):
    """What keeps anybody out of the page that is shown, on any screen and in any colours."""
    await looking.tab.evaluate(axe)
    found = []
    for width, scheme in itertools.product((DESK, PHONE), ("light", "dark")):
        await looking.tab.look_like(width=width, scheme=scheme)
        found += [f"{width}, {scheme}: {each}" for each in await looking.tab.evaluate(LOOK)]
        if wider := await looking.tab.evaluate(WIDER):
            found.append(f"{width}: {wider} pixels too wide")
    return found


async def test_nothing_keeps_anybody_out(looking, axe):
    paths = await filled(looking.world)
    await looking.tab.look_like(width=DESK)
    await looking.go("/")
    assert await hindrances(looking, axe) == []
    await looking.enter("/")
    await looking.tab.evaluate("sessionStorage.setItem('refresh', 'off')")
    for path in paths:
        await looking.go(path)
        assert await hindrances(looking, axe) == [], path
    await looking.go("/pipeline?name=with_params")
    await looking.tab.evaluate("document.querySelector('.start').noValidate = true")
    await looking.click(".start button")
    await looking.says("A value is needed.")
    assert await hindrances(looking, axe) == []
    assert await looking.tab.evaluate("document.cookie") == ""


async def test_without_javascript_a_run_is_started_read_canceled_and_left(looking):
    await looking.tab.look_like(width=DESK, scripts=False)
    await looking.enter("/pipeline?name=release_it")
    await looking.tab.evaluate("document.querySelector('textarea').value = '{\"a\": 1}'")
    await looking.click(".start button")
    await looking.says("release_it: running")
    [run] = looking.world.engine.book.runs()
    assert (run.variables, run.user) == ({"a": 1}, "alice")
    output = looking.world.served.logs.output(run.run_id, "lint")
    output.stdout(b"first line\n")
    await looking.go(f"/task?id={run.run_id}&task=lint")
    await looking.says("first line")
    output.stdout(b"second line\n")
    output.close()
    await looking.click("#again")
    await looking.says("second line")
    await looking.go(f"/run?id={run.run_id}")
    await looking.click("main form button")
    await looking.says("release_it: canceling")
    await looking.click(".logout button")
    await looking.until("document.querySelector('h1')?.textContent", "Log in")
    await looking.go("/runs")
    await looking.until("document.querySelector('h1')?.textContent", "Log in")


async def test_with_javascript_a_log_is_followed_and_a_run_is_live(looking):
    run_id = await looking.world.schedule()
    output = looking.world.served.logs.output(run_id, "lint")
    output.stdout("before ü\n".encode() + b"half \xe2\x82")
    await looking.tab.look_like(width=DESK)
    await looking.enter(f"/task?id={run_id}&task=lint")
    await looking.says("before ü\nhalf")
    output.stdout(b"\xac whole\n\x1b[1mbold\x1b[0m <b>not a tag</b>\x00\n")
    await looking.says("before ü\nhalf € whole\nbold <b>not a tag</b>·")
    output.stderr(b"on the other one\n")
    await looking.says("on the other one")
    output.close()
    looking.world.end(run_id, "lint", exit_code=7)
    await looking.says("lint: error")
    await looking.says("half € whole")
    await looking.until("document.getElementById('logs').hasAttribute('data-follow')", False)
    waiting = await looking.world.schedule()
    await looking.go(f"/run?id={waiting}")
    await looking.says("release_it: waiting")
    looking.world.complete(run_id)
    await looking.says("release_it: running")


async def test_a_log_that_cannot_be_followed_says_so(tmp_path):
    need("chromium")
    refusing = visiting(served(tmp_path), streams=Streams(0))
    async with refusing as visited, browser(tmp_path / "profile") as tab:
        looking, run_id = Looking(tab, visited), await visited.world.schedule()
        await tab.look_like(width=DESK)
        await looking.enter(f"/task?id={run_id}&task=lint")
        await looking.until("document.body.classList.contains('stale')")
