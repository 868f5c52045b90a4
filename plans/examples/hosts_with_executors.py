r"""Hosts that exist only while a job needs them: made, used and removed by a plan, through an executor.

    python hosts_with_executors.py FOLDER --image IMAGE [--engine URL] [--hosts 3]

It needs PaaS Runner beside paas-plans (`pip install .` in a checkout) and a Docker engine. IMAGE is what
hosts are made of: its `/usr/bin/gitlab-runner` is run with the job, and ends. One that only sleeps will do:

    FROM debian:12
    RUN printf '#!/bin/sh\nsleep 5\n' > /usr/bin/gitlab-runner && chmod 755 /usr/bin/gitlab-runner

FOLDER has the store, and a file with the mark by which hosts are known to be of this installation. Kill the
program at any instant, with `kill -9`, too, and start it again: it goes on where it was, and in the end no
host is left. What that stands on:

- a host's name follows from its job, so one whose creation was cut off is found, and not made twice;
- what was made is recorded before it is used;
- hosts are removed by a deferred batch each, whatever happened, also when the plan is stopped;
- a deferred check looks whether anything is left: if so the plan has failed, and says what.

Any executor of PaaS Runner can be used this way: docs/executors.md. The service itself has a machine of its
own for the life of a job, and does not need plans.
"""

import argparse
import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path

import attrs
from paas_plans import (
    SECONDS,
    BasePlugin,
    Builder,
    CheckKind,
    Context,
    Filter,
    Plan,
    PluginError,
    Registry,
    SQLiteStore,
    Status,
    When,
    Workstream,
)

from paas_runner.errors import Rejected, RemoteError
from paas_runner.executor.contract import (
    Executor,
    HostRequest,
    JobRefusedError,
    ProvisionedHost,
    Removal,
    RunnerSection,
    installed,
)
from paas_runner.http import Http
from paas_runner.job.payload import read
from paas_runner.job.tracked import Host, HostName

SHORT_NAME = "plans"
FOR_A_MINUTE = timedelta(minutes=1)


@attrs.frozen
class Job:
    """What a host is wanted for."""

    number: int

    @property
    def host_name(self) -> HostName:
        """The same whenever it is asked for: that is what makes all of this repeatable."""
        return HostName(f"hpd-job-{SHORT_NAME}-{self.number}")


@attrs.frozen
class Made:
    """What the provider calls it."""

    ref: str


@contextmanager
def in_words_of_plans(*, may_refuse: bool = True) -> Iterator[None]:
    """The errors of executors; a refusal is permanent where something was asked for that need not be."""
    try:
        yield
    except (Rejected, JobRefusedError) as error:
        raise PluginError(str(error), permanent=may_refuse) from error
    except RemoteError as error:
        raise PluginError(str(error)) from error


@attrs.frozen
class HostPlugin(BasePlugin):
    """What all of them have."""

    executor: Executor
    policy = SECONDS

    def wanted(self, job: Job) -> HostRequest:
        """In the executor's words."""
        payload = read({"id": job.number, "token": f"token-of-job-{job.number}"})
        return HostRequest(host_name=job.host_name, payload=payload)

    async def host(self, job: Job) -> Host:
        """The one that was provisioned for it."""
        if (found := await self.executor.adopt(self.wanted(job))) is None:
            raise PluginError(f"{job.host_name} is gone", permanent=True)
        return found


class Provision(HostPlugin):
    name = "hosts.provision"
    request_type = Job
    response_type = Made

    async def execute(self, request: Job, context: Context) -> Made:
        """Looks first: an earlier call may have made it, and been cut off before it could say so."""
        with in_words_of_plans():
            wanted = self.wanted(request)
            host = await self.executor.adopt(wanted) or await self.executor.provision(wanted)
            provisioned = ProvisionedHost(name=request.host_name, host=host)
            while not await self.executor.ready(provisioned):
                await asyncio.sleep(self.executor.ready_every.total_seconds())
            return Made(host.ref)


class Launch(HostPlugin):
    name = "hosts.launch"
    request_type = Job

    async def execute(self, request: Job, context: Context) -> None:
        """An executor launches a job once, however often it is asked."""
        with in_words_of_plans():
            await self.executor.launch(self.wanted(request), await self.host(request))


class Watch(HostPlugin):
    name = "hosts.watch"
    request_type = Job

    async def execute(self, request: Job, context: Context) -> None:
        """Until the host has nothing more to do."""
        with in_words_of_plans():
            while request.host_name in [seen.name for seen in await self.executor.hosts("") if seen.busy]:
                await asyncio.sleep(0.2)


class Decommission(HostPlugin):
    name = "hosts.decommission"
    request_type = Job

    async def execute(self, request: Job, context: Context) -> None:
        """All that has the name, and our mark; what is not there is a success."""
        with in_words_of_plans(may_refuse=False):
            await self.executor.decommission(Removal(name=request.host_name, host=None, search=True))


class NothingLeft(HostPlugin):
    name = "hosts.nothing_left"
    is_check = True

    async def execute(self, request: None, context: Context) -> None:
        """No host of this installation."""
        with in_words_of_plans():
            if left := [seen.name for seen in await self.executor.hosts("")]:
                raise PluginError(f"still there: {', '.join(left)}")


PLUGINS = (Provision, Launch, Watch, Decommission, NothingLeft)


def work_on_hosts(hosts: int) -> Plan:
    """Each of them from its creation to its removal."""
    build = Builder("work on hosts", "A host for each job, and none of them in the end.")
    build.checks(CheckKind.PRE).action("clean", "Nothing is left of others.", NothingLeft.name).up()
    build.block("jobs", "All at once.", concurrency=hosts)
    for job in (Job(number) for number in range(1, hosts + 1)):
        build.sequence(f"job {job.number}", "On its own host.")
        build.action("provision", "A host for it.", Provision.name, job, timeout=FOR_A_MINUTE, retries=3)
        build.action("launch", "Its work begins.", Launch.name, job, retries=3)
        build.action("watch", "Until it has ended.", Watch.name, job, timeout=timedelta(hours=1), retries=3)
        build.up()
    build.up().deferred_actions()
    for job in (Job(number) for number in range(1, hosts + 1)):
        build.batch(f"host {job.number}", "Goes, whatever happened.", When.ALWAYS, fail_plan=True)
        build.action("decommission", "Remove it.", Decommission.name, job, timeout=FOR_A_MINUTE, retries=20)
        build.up()
    build.up().checks(CheckKind.DEFERRED)
    build.action("nothing left", "No host of ours.", NothingLeft.name, retries=3)
    return build.plan()


@asynccontextmanager
async def local_docker(folder: Path, image: str, engine: str | None) -> AsyncIterator[Executor]:
    """An executor, as the service makes it of a `[[runners]]` section."""
    mark = folder / "installation"
    if not mark.exists():
        mark.write_text(uuid.uuid4().hex)
    kind = installed()["local-docker"]()
    settings = kind.settings(host=engine, heptapod_runner_main_image=image)
    section = RunnerSection(
        name="plans",
        url="https://unused.invalid",
        short_token=SHORT_NAME,
        forwarded={},
        installation=mark.read_text(),
    )
    executor = kind.build(settings, section, Http())
    try:
        yield executor
    finally:
        await executor.aclose()


async def worked_on(folder: Path, image: str, engine: str | None, hosts: int) -> Plan:
    """What was running, to its end; where nothing was, a plan from its beginning."""
    async with local_docker(folder, image, engine) as executor:
        registry = Registry(*(plugin(executor) for plugin in PLUGINS))
        store = SQLiteStore(folder / "plans.db")
        # however long this was not running: hosts that were made are removed
        async with Workstream(store, registry, oldest_recovered=None) as workstream:
            async for found in workstream.search(Filter(statuses=frozenset({Status.RUNNING}))):
                print(f"going on with {found.name}")
                return await workstream.wait(found.id)
            return await workstream.run(work_on_hosts(hosts))


def main() -> None:
    """Prints how it ended."""
    parser = argparse.ArgumentParser(description="Work on hosts that exist only meanwhile.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--image", required=True)
    parser.add_argument(
        "--engine", help="unix:///path or tcp://name:port; otherwise as Docker's own programs"
    )
    parser.add_argument("--hosts", type=int, default=3)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    plan = asyncio.run(worked_on(given.folder, given.image, given.engine, given.hosts))
    print(f"{plan.name}: {plan.state.status.words}")
    for sequence in plan.blocks[0].sequences:
        made = [each.response for each in sequence.actions[0].attempts if isinstance(each.response, Made)]
        host = f", on {made[-1].ref[:12]}" if made else ""
        print(f"  {sequence.name}: {sequence.state.status.words}{host}")


if __name__ == "__main__":
    main()
