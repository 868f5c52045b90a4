"""The pictures of the pages of pipelines, `make pictures`: a fixed world at a fixed time, in a browser."""

import asyncio
import contextlib
import tempfile
from pathlib import Path

from tests.support.browser import browser
from tests.support.pictured_pipelines import ASKING, PicturedPipelines
from tests.support.pipeline_pages import token
from tests.web.pictures import DESK, IMAGES, PHONE

OPEN_ONE = "document.querySelector('details').open = true"
"""The other nine times of one schedule."""

PICTURES = {
    "pipelines.png": {"page": "list", "width": DESK, "height": 745, "scheme": "light"},
    "pipelines-start.png": {"page": "start", "width": DESK, "height": 780, "scheme": "light"},
    "pipelines-run.png": {"page": "run", "width": DESK, "height": 1000, "scheme": "dark"},
    "pipelines-approval.png": {"page": "approval", "width": DESK, "height": 1500, "scheme": "light"},
    "pipelines-approval-phone.png": {"page": "approval", "width": PHONE, "height": 844, "scheme": "dark"},
    "pipelines-triggers.png": {"page": "triggers", "width": DESK, "height": 775, "scheme": "light"},
    "pipelines-event.png": {"page": "event", "width": DESK, "height": 1090, "scheme": "dark"},
    "pipelines-server.png": {"page": "server", "width": DESK, "height": 1060, "scheme": "light"},
}


def pages_of(world):
    """The paths of all that there is to see, by name."""
    deploy, failed = world.run("deploy"), world.failed("ci")
    return {
        "list": "/",
        "start": "/pipeline?name=deploy",
        "runs": "/runs",
        "run": f"/run?id={deploy.run_id}",
        "failed": f"/run?id={failed.run_id}",
        "held": f"/run?id={world.waiting('deploy').run_id}",
        "task": f"/task?id={deploy.run_id}&task=plan",
        "inbox": "/inbox",
        "approval": f"/approval?id={deploy.run_id}&task=approve",
        "triggers": "/automation",
        "events": "/history",
        "event": f"/event?id={world.push.event_id}",
        "server": "/more",
    }


@contextlib.asynccontextmanager
async def shown(folder):
    """The pages on loopback, a browser in which somebody has logged in, and the paths."""
    world = await PicturedPipelines.open(folder)
    async with world.shown() as port, browser(folder / "profile") as looking:
        url = f"http://127.0.0.1:{port}"
        await looking.ask("Network.setCookie", url=url, name="jwt", value=token(ASKING))
        await looking.look_like(width=DESK)
        await looking.go(f"{url}/")
        await looking.evaluate("sessionStorage.setItem('refresh', 'off')")
        yield url, looking, pages_of(world)


async def taken(url, looking, pages, *, page, width, height, scheme):
    """One picture, as PNG."""
    await looking.look_like(width=width, height=height, scheme=scheme)
    await looking.go(f"{url}{pages[page]}")
    await looking.evaluate("document.querySelector('.refresh')?.remove()")
    if page == "triggers":
        await looking.evaluate(OPEN_ONE)
    return await looking.screenshot(height=height)


async def _main():
    with tempfile.TemporaryDirectory() as folder:
        async with shown(Path(folder)) as (url, looking, pages):
            for name, how in PICTURES.items():
                (IMAGES / name).write_bytes(await taken(url, looking, pages, **how))
                print(IMAGES / name)


if __name__ == "__main__":
    asyncio.run(_main())
