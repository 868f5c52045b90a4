"""A token that ends is told by the log at the start and once a day, and by the status."""

import asyncio
import contextlib
from datetime import timedelta

from paas_runner.config import load
from paas_runner.executor.contract import installed
from paas_runner.loop.timing import loop_clock
from paas_runner.service.status import TokenExpiry
from paas_runner.testing.virtual_time import EPOCH, run_virtual
from tests.support.logged_events import events_in

NOTICE = f"expires at {EPOCH + timedelta(days=20, hours=1):%Y-%m-%d %H:%M} UTC, in 20 d"
CONFIGURATION = """\
[[runners]]
  url = "https://gitlab.example"
  token = "glrt-aaaaaaaaaaaaaaaa"
  executor = "clever-docker"
  cc_orga_id = "orga_1"
  cc_token = "made-up"
"""


def section(left):
    return f"token_expires_at = {(EPOCH + left).isoformat()}\n"


async def why(world):
    [answer] = await world.ask("status")
    [runner] = answer["runners"]
    return runner["state"], runner["why"]


def test_a_token_that_ends_soon_is_told_at_the_start_and_by_the_status(operate, logs):
    async def story(world):
        world.write(more=section(timedelta(days=20, hours=1)))
        async with world.service():
            await asyncio.sleep(60)
            state, said = await why(world)
            assert (state, said) == ("polling", f"its token {NOTICE}")
        [told] = events_in(logs, "token_expires")
        assert (told["runner"], told["note"]) == ("virtual", f"its token {NOTICE}")

    operate(story)


def test_it_is_told_once_a_day(tmp_path, logs):
    file = tmp_path / "config.toml"
    file.write_text(CONFIGURATION + section(timedelta(days=1, hours=1)))
    config = load(file, environ={}, executors=installed())

    async def three_days():
        expiry = TokenExpiry(lambda: config, loop_clock(EPOCH))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(expiry.run(), 2.5 * 24 * 3600)

    run_virtual(three_days())
    notes = [entry["note"] for entry in events_in(logs, "token_expires")]
    assert [note.split(" ")[2] for note in notes] == ["expires", "expires", "expired"]


def test_of_a_token_that_is_good_for_long_nothing_is_said(operate, logs):
    async def story(world):
        world.write(more=section(timedelta(days=60)))
        async with world.service():
            await asyncio.sleep(60)
            assert await why(world) == ("polling", "")

    operate(story)
    assert not events_in(logs, "token_expires")
