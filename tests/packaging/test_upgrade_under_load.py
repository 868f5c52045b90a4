"""The package is upgraded while jobs come and run: another process goes on, and nothing is lost."""

import asyncio
import shutil
from collections import Counter

import pytest

pytestmark = [pytest.mark.long, pytest.mark.process, pytest.mark.timeout(900)]

NEXT = "99.0.0"
SECONDS_BETWEEN_JOBS = 0.25


class Load:
    """Jobs that come one after the other, some so long that each phase meets the restart."""

    def __init__(self, world):
        self._world = world
        self._coming = asyncio.create_task(self._come())
        self.jobs = []

    async def _come(self):
        while True:
            self.jobs += self._world.submit(script=(f"sleep {len(self.jobs) % 4}",))
            await asyncio.sleep(SECONDS_BETWEEN_JOBS)

    def of_status(self, *statuses):
        return [job for job in self.jobs if job.status in statuses]

    async def settled(self):
        """No more of them come, and those that came have ended."""
        self._coming.cancel()
        await self._world.settled(self.jobs)


async def test_an_upgrade_under_load_restarts_the_service_and_loses_nothing(service, world, built_deb):
    next_package = await asyncio.to_thread(lambda: built_deb(version=NEXT))
    shutil.copy(next_package, service.machine.path("/root/next.deb"))
    service.configure(concurrent=12)
    await service.systemctl("start")
    before = await service.show()
    load = Load(world)
    await world.until(lambda: len(load.of_status("success")) >= 5, seconds=60)

    ended = len(load.of_status("success"))
    assert load.of_status("running")
    await asyncio.to_thread(service.machine.run, "dpkg", "--install", "/root/next.deb")
    await world.until(lambda: len(load.of_status("success")) > ended + 20, seconds=60)

    after = await service.show()
    assert after["ActiveState"] == "active"
    assert after["MainPID"] != before["MainPID"]
    assert after["NRestarts"] == "0"  # an orderly stop and a start, no crash
    await load.settled()
    assert Counter(job.status for job in load.jobs) == {"success": len(load.jobs)}
    hosts = world.sandbox.cloud.ledger.created
    assert {host.launches for host in hosts} == {1}
    assert len(load.jobs) == len(hosts) == len({host.name for host in hosts})
    assert world.alive == []
    status = await service.command("status", "--json")
    assert (status["service"]["version"], status["jobs"]) == (NEXT, [])
    assert (await service.command("orphans", "--json"))["orphans"] == 0
