"""A service does not reach one side of the world: packets are lost in a network namespace of its own."""

import asyncio
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from paas_runner.job.lease import LEASE_SECONDS
from tests.support.namespaces import namespace
from tests.support.postgres.server import folder_of_programs
from tests.together.world import until, world

pytestmark = [pytest.mark.long, pytest.mark.process, pytest.mark.timeout(300)]

PROGRAM = str(Path(sys.executable).with_name("heptapod-paas-runner"))
SLACK_SECONDS = 5.0  # a busy machine
TAKEN_WITHIN_SECONDS = 20.0 + SLACK_SECONDS
ONE_WAY = {"questions": ("--dport",), "answers": ("--sport",)}


@asynccontextmanager
async def apart(folder, *names):
    """A world in which each service has a network of its own; by name, what is dropped of it."""
    folder_of_programs()
    async with AsyncExitStack() as stack:
        made = await stack.enter_async_context(world(folder))
        networks = {}
        for name in names:
            networks[name] = network = await stack.enter_async_context(namespace())
            await network.relay(made.server.port, made.server.port)
            for url in (made.sandbox.coordinator_url, made.sandbox.cloud_api_url):
                await network.relay_url(url)
            made.add(name, command=[*network.command, PROGRAM])
        yield made, networks


def port_of(made, side):
    url = {"coordinator": made.sandbox.coordinator_url, "cloud": made.sandbox.cloud_api_url}.get(side)
    return int(url.split(":")[2].split("/")[0]) if url else made.server.port


async def started(made, *names):
    """The first of them has everything."""
    for name in names:
        await made.start(name)
        await made.until_all_held()


async def taken_by(made, name, since, seconds=TAKEN_WITHIN_SECONDS):
    member = made.members[name]
    await until(
        lambda: {said.event["runner"] for said in member.lines("section_taken", since)} == set(made.tokens),
        seconds,
        f"{name} has taken everything",
        lambda: {member.name: member.end_of_log for member in made.members.values()},
    )
    return max(said.at for said in member.lines("section_taken", since)) - since


@pytest.mark.parametrize("ways", [None, *ONE_WAY.values()], ids=["both ways", *ONE_WAY])
async def test_who_does_not_reach_the_database_stops_loudly_and_the_other_goes_on(tmp_path, ways):
    lost = {"ways": ways} if ways else {}
    async with apart(tmp_path, "a", "b") as (made, networks):
        await started(made, "a", "b")
        async with made.flowing():
            await until(lambda: len(made.phases("running")) > 5, 60, "jobs run")
            cut = time.monotonic()
            networks["a"].drop(made.server.port, **lost)
            took = await taken_by(made, "b", cut)
            run_out = await made.members["a"].until_said("leases_run_out", cut)
            await asyncio.sleep(3)
            networks["a"].heal(made.server.port, **lost)
            await made.members["a"].until_said("store_reachable", cut)
        assert LEASE_SECONDS - 5.5 <= run_out.at - cut <= LEASE_SECONDS + SLACK_SECONDS
        assert took >= LEASE_SECONDS - 5.5
        acquired = made.members["a"].lines("job_acquired", run_out.at)
        assert not [said for said in acquired if said.event["recorded"]], "others are left to the holder"
        await made.settled()
        assert made.members["a"].held == set()
        await made.stop()
        made.judge()


async def test_a_database_that_nobody_reaches_stops_acquisition_and_running_jobs_are_watched(tmp_path):
    async with apart(tmp_path, "a", "b") as (made, networks):
        await started(made, "a", "b")
        [long] = made.submit(1, script=("sleep 25",))
        await until(lambda: long.job_id in made.phases("running"), 60, "the job runs")
        cut = time.monotonic()
        for network in networks.values():
            network.drop(made.server.port)
        run_out = await made.members["a"].until_said("leases_run_out", cut)
        assert run_out.at - cut <= LEASE_SECONDS + SLACK_SECONDS
        [late] = made.submit(1)
        await asyncio.sleep(4)
        assert late.status == "pending"  # nobody asks for it
        for network in networks.values():
            network.heal(made.server.port)
        await made.settled()
        await made.stop()
        made.judge()
        assert made.members["b"].lines("job_acquired") == [] or made.members["a"].lines("section_lost")


@pytest.mark.parametrize("side", ["coordinator", "cloud"])
async def test_who_does_not_reach_another_side_keeps_its_sections_and_goes_on_afterwards(tmp_path, side):
    async with apart(tmp_path, "a", "b") as (made, networks):
        await started(made, "a", "b")
        async with made.flowing():
            await until(lambda: len(made.phases("running")) > 5, 60, "jobs run")
            cut = time.monotonic()
            networks["a"].drop(port_of(made, side))
            await asyncio.sleep(LEASE_SECONDS + 3)
            networks["a"].heal(port_of(made, side))
            await made.until_more_end()
        assert made.members["b"].lines("section_taken", cut) == []
        await made.settled()
        await made.stop()
        made.judge()
