"""The template unit twice, under a real systemd: two instances on one database stand for two machines."""

import asyncio
import time

import pytest

from tests.support.installed_unit import InstalledUnit
from tests.support.postgres.server import folder_of_programs

pytestmark = [pytest.mark.long, pytest.mark.process, pytest.mark.timeout(900)]

HANDED_OVER_SECONDS = 5.0


@pytest.fixture
async def instances(debian, world, start_postgres):
    """Installed and configured, not started; both share a server of this machine."""
    folder_of_programs()
    server = await asyncio.to_thread(start_postgres)
    await asyncio.to_thread(debian.run, "dpkg", "--install", "/root/paas-runner.deb")
    with debian.booted() as machine:
        units = {}
        for name in ("one", "two"):
            more = f'state_store = "{server.url().url.reveal()}"\nstate_store_member = "{name}"'
            units[name] = InstalledUnit(machine, world, instance=name)
            units[name].configure(more=more)
        yield units


async def taken(unit, since, seconds=30):
    """After how many seconds it had the runner."""
    async with asyncio.timeout(seconds):
        while not unit.journal("EVENT=section_taken", f"_SYSTEMD_UNIT={unit.name}", "_PID=" + unit.pid):
            await asyncio.sleep(0.1)
    return time.monotonic() - since


async def says(unit, words):
    """To whoever asks systemd; it is told every few seconds."""
    async with asyncio.timeout(60):
        while not (shown := await unit.until(ActiveState="active"))["StatusText"].startswith(words):
            await asyncio.sleep(0.2)
    return shown


async def test_the_standby_is_ready_too_and_a_stop_hands_over(instances, world):
    one, two = instances.values()
    for unit in (one, two):
        begun = time.monotonic()
        await unit.systemctl("start")  # returns once READY was told
        unit.pid = (await unit.show())["MainPID"]
        if unit is one:
            await taken(one, begun)
    await says(one, "works; standing by: two; 1 runner")
    await says(two, "standby: one (1 runner) works")

    hold = world.hold()
    [job] = world.submit(script=hold.script)
    await world.until(lambda: job.status == "running", seconds=60)
    stopping = asyncio.ensure_future(one.systemctl("stop"))
    assert (
        await taken(two, time.monotonic()) <= HANDED_OVER_SECONDS + 4
    )  # the journal is asked by a program, on a busy machine
    await stopping
    assert (await one.show())["Result"] == "success"
    hold.release()
    await world.settled([job], seconds=90)
    assert job.status == "success"
    assert world.launches == [1]

    await one.systemctl("start")
    await says(one, "standby: two")
    status = await two.command("status", "--json")
    assert status["jobs"] == []
    for unit in (one, two):
        await unit.systemctl("stop")
        assert (await unit.show())["Result"] == "success"
