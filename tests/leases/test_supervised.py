"""What the service manager hears of one of several processes: the one that stands by, too."""

import asyncio
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from paas_runner.service.systemd import ServiceManager
from tests.support.shared_world import SharedWorld
from tests.support.systemd_listener import Listener

WATCHDOG = timedelta(minutes=3)


@pytest.fixture
def listener(tmp_path):
    listening = Listener(str(tmp_path / "notify"))
    yield listening
    listening.close()


def test_a_standby_is_ready_and_feeds_its_watchdog(tmp_path, listener):
    async def story(world):
        first = world.process("first")
        await world.held_by(first, 0)
        manager = ServiceManager(address=listener.address, watchdog=WATCHDOG)
        second = world.process("second", manager=manager)
        await asyncio.sleep(1)
        assert listener.heard()[0]["READY"] == "1"
        await asyncio.sleep(600)
        assert len(listener.all("WATCHDOG")) == pytest.approx(10, abs=1)
        await asyncio.gather(first.stop(), second.stop())

    SharedWorld.play(tmp_path, story)


def test_a_loop_of_leases_that_hangs_starves_the_watchdog(tmp_path, listener):
    async def story(world):
        manager = ServiceManager(address=listener.address, watchdog=WATCHDOG)
        life = world.process("first", manager=manager)
        await world.held_by(life, 0)

        async def never(_tending):
            while True:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    if life.stopping.is_set():
                        raise

        life.store.tend = never
        with capture_logs() as logs:
            await asyncio.sleep(300)
        [hung] = [line for line in logs if line["event"] == "loops_hung"]
        assert hung["loops"] == ["leases"]
        await life.stop()

    SharedWorld.play(tmp_path, story)
