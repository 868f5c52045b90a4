"""The pictures of the documents, `make pictures`: a fixed world at a fixed time, so that they do not change.

Only fonts differ from machine to machine; so they are kept, and made again when the page has changed.
"""

import asyncio
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path

from paas_runner.server.listening import Listener
from tests.support.browser import browser
from tests.support.watched_world import watched_world

IMAGES = Path(__file__).parents[2] / "docs/images"
DESK, PHONE = 1280, 390

PICTURES = {
    "page-now.png": {"path": "/", "width": DESK, "height": 1010, "scheme": "light"},
    "page-now-phone.png": {"path": "/", "width": PHONE, "height": 844, "scheme": "light"},
    "page-job-phone.png": {"path": "/jobs/4712", "width": PHONE, "height": 844, "scheme": "dark"},
    "page-failures.png": {"path": "/failures", "width": DESK, "height": 760, "scheme": "dark"},
}


@asynccontextmanager
async def shown(folder, **options):
    """The page on loopback, and a browser to look at it."""
    world = await asyncio.to_thread(watched_world, folder)
    listener = Listener(world.app(**options))
    await listener.start()
    try:
        async with browser(folder / "profile") as looking:
            yield listener.url, looking, world
    finally:
        await listener.stop()
        world.close()


async def taken(url, looking, *, path, width, height, scheme):
    """One picture, as PNG."""
    await looking.look_like(width=width, height=height, scheme=scheme)
    await looking.go(f"{url}{path}")
    return await looking.screenshot(height=height)


async def _main():
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        async with shown(Path(folder)) as (url, looking, _):
            for name, how in PICTURES.items():
                (IMAGES / name).write_bytes(await taken(url, looking, **how))
                print(IMAGES / name)


if __name__ == "__main__":
    asyncio.run(_main())
