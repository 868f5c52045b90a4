"""Several services on one database and one sandbox: real processes, each with a configuration of its own.

What each of them says is kept with the moment in which it was read; what was done outside is in the sandbox's
own books.
"""

import asyncio
import json
import signal
import time
from collections import Counter
from contextlib import asynccontextmanager, suppress
from datetime import datetime

import attrs

from paas_runner.demo.service_process import ServiceProcess
from paas_runner.pipelines.jobs import LedgerKind
from paas_runner.pipelines.spec import JobSpec
from paas_runner.sandbox.server import Sandbox, SandboxOptions
from paas_runner.secret import Secret
from tests.support.live_records import added, submitted
from tests.support.postgres.server import created

SECTION = """
[[runners]]
  name = "{name}"
  url = "{url}"
  token = "{token}"
  executor = "clever-docker"
  cc_api_url = "{cloud}"
  cc_orga_id = "{organisation}"
  cc_token = "{cloud_token}"
  cc_deployment_repo_wait_step = 0.1

  [runners.paas_job_trace_watch]
    poll_step = 0.2
    timeout_seconds = 120
"""

SETTINGS = """
log_format = "json"
concurrent = {concurrent}
check_interval = 0.2
job_progress_poll_interval = 0.5
paas_max_concurrent_provisioning = {concurrent}
state_store = "{store}"
state_store_mode = "{mode}"
state_store_member = "{member}"
"""


def quick():
    """Short long polls; a job is ours only once that was said, and comes again after 3 s otherwise."""
    return SandboxOptions(
        coordinator=lambda options: attrs.evolve(
            options, long_poll_seconds=0.3, trace_interval_seconds=1, acknowledgement_seconds=3.0
        )
    )


@attrs.frozen(kw_only=True)
class Said:
    """A line of a service's log."""

    at: float
    event: dict

    @property
    def name(self):
        return self.event.get("event")


class Member:
    """One of the services: its folder, its process if it runs, and all that it ever said."""

    def __init__(self, world, name, *, command=None):
        self.name = name
        self.folder = world.folder / name
        self.folder.mkdir()
        self.config = self.folder / "config.toml"
        self.cloud_token = f"cloud-token-of-{name}"
        self.command = command
        self.said = []
        self.last_words = []
        self.held = set()
        """The sections that it has by its own words."""

        self.process = None

    async def start(self):
        self.process = ServiceProcess(self.config, self._on_event, command=self.command)
        self.last_words = self.process.last_words
        await self.process.start()

    def signal(self, number):
        self.process.signal(number)

    async def ended(self, number=None):
        """The exit code, after a signal; it holds nothing any more."""
        if number:
            self.signal(number)
        code = await self.process.wait()
        self.process = None
        self.held.clear()
        return code

    async def stop(self):
        process, self.process = self.process, None
        code = await process.terminate()
        self.held.clear()
        return code

    @property
    def runs(self):
        return self.process is not None

    def lines(self, name, since=0.0):
        return [said for said in self.said if said.name == name and said.at >= since]

    async def until_said(self, name, since=0.0, seconds=60):
        await until(lambda: self.lines(name, since), seconds, f"{self.name}: {name}", lambda: self.end_of_log)
        return self.lines(name, since)[-1]

    @property
    def end_of_log(self):
        return "\n".join([*(json.dumps(said.event) for said in self.said[-15:]), *self.last_words[-5:]])

    def _on_event(self, event):
        self.said.append(Said(at=time.monotonic(), event=event))
        match event:
            case {"event": "section_taken", "runner": runner}:
                self.held.add(runner)
            case {"event": "section_lost" | "section_handed_over", "runner": runner}:
                self.held.discard(runner)


class World:
    """A sandbox, a database server, services that come and go, and jobs."""

    def __init__(self, sandbox, server, folder, *, sections=3):
        self.sandbox = sandbox
        self.server = server
        self.folder = folder
        self.members = {}
        self.jobs = []
        names = [f"runner-{number}" for number in range(1, sections)]
        tokens = {name: added(sandbox.coordinator, description=name).token for name in names}
        self.tokens = {"runner-0": sandbox.runner_token, **tokens}

    def add(self, *names, command=None, store=None, **settings):
        for name in names:
            self.members[name] = Member(self, name, command=command)
            self.configure(name, store=store, **settings)
        tokens = [Secret(member.cloud_token) for member in self.members.values()]
        self.sandbox.cloud.accounts.replace_tokens(self.sandbox.organisation_id, *tokens)
        return [self.members[name] for name in names]

    def configure(self, name, *, mode="standby", concurrent=10, store=None, more=""):
        sandbox = self.sandbox
        settings = SETTINGS.format(
            concurrent=concurrent, store=store or self.server.url().url.reveal(), mode=mode, member=name
        )
        sections = [
            SECTION.format(
                name=runner,
                url=sandbox.coordinator_url,
                token=token.reveal(),
                cloud=sandbox.cloud_api_url,
                organisation=sandbox.organisation_id,
                cloud_token=self.members[name].cloud_token,
            )
            for runner, token in self.tokens.items()
        ]
        config = self.members[name].config
        config.touch(mode=0o600)
        config.write_text("".join([settings, more, *sections]))

    async def start(self, *names):
        for name in names:
            await self.members[name].start()

    @property
    def running(self):
        return [member for member in self.members.values() if member.runs]

    @property
    def all_held(self):
        """Whether each section is somebody's, and nobody else's."""
        held = [runner for member in self.running for runner in member.held]
        return sorted(held) == sorted(self.tokens)

    async def until_all_held(self, seconds=60):
        await until(
            lambda: self.all_held,
            seconds,
            "each section is held by one",
            lambda: {
                member.name: (sorted(member.held), member.end_of_log) for member in self.members.values()
            },
        )

    # --- jobs ----------------------------------------------------------------------------------------------

    def submit(self, count=1, script=("true",)):
        new = [
            submitted(self.sandbox.coordinator, JobSpec(name=f"job {len(self.jobs) + number}", script=script))
            for number in range(count)
        ]
        self.jobs += new
        return new

    @property
    def unfinished(self):
        return [job for job in self.jobs if not job.ended]

    @property
    def ended(self):
        return len(self.jobs) - len(self.unfinished)

    async def until_more_end(self, count=5, seconds=60):
        wanted = self.ended + count
        await until(lambda: self.ended >= wanted, seconds, f"{count} more jobs have ended")

    @asynccontextmanager
    async def flowing(self, *, at_once=8, script=("sleep 1",)):
        """Jobs are there all the time, until the end of the block."""

        async def flow():
            while True:
                self.submit(max(0, at_once - len(self.unfinished)), script)
                await asyncio.sleep(0.2)

        task = asyncio.ensure_future(flow())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def phases(self, phase):
        """The jobs that any of the logs has seen in a phase."""
        return {
            said.event["job"]
            for member in self.members.values()
            for said in member.said
            if said.event.get("phase") == phase and "job" in said.event
        }

    async def settled(self, seconds=180):
        await until(
            lambda: not self.unfinished and not self.alive,
            seconds,
            "all jobs have ended and no host is left",
            lambda: (
                [(job.job_id, str(job.status)) for job in self.unfinished],
                [(entry.name, entry.app_id) for entry in self.alive],
                {member.name: member.end_of_log for member in self.members.values()},
            ),
        )

    @property
    def alive(self):
        return list(self.sandbox.cloud.ledger.alive)

    # --- the verdict ---------------------------------------------------------------------------------------

    def judge(self):
        """The promise, from the sandbox's own books; and that no one goes on with what another has taken."""
        coordinator, ledger = self.sandbox.coordinator, self.sandbox.cloud.ledger
        for job in self.jobs:
            last = coordinator.latest(job.job_id)
            facts = (last.job_id, last.status, last.failure_reason, coordinator.trace(last.job_id)[-300:])
            assert last.status == "success", facts
        doubled = [job.job_id for job in coordinator.jobs.values() if job.count(LedgerKind.ACQUIRED) > 1]
        assert doubled == [], doubled
        launches = Counter()
        for entry in ledger.created:
            launches[entry.name] += entry.launches
        odd = {name: count for name, count in launches.items() if count > 1}
        assert odd == {}, odd
        assert self.alive == [], self.alive
        again = {host: deeds for host, deeds in self.late_deeds().items() if len(deeds) > 1}
        assert again == {}, again
        assert self.unforeseen() == [], self.unforeseen()

    def late_deeds(self):
        """By host, what was changed in the cloud by a process whose section was another's by then.

        Each process has a token of its own there, so the cloud's books have its name.
        """
        names = {member.cloud_token: member.name for member in self.members.values()}
        sections = {
            said.event["job"]: said.event["runner"]
            for member in self.members.values()
            for said in member.said
            if {"job", "runner"} <= said.event.keys()
        }
        taken = sorted(
            (datetime.fromisoformat(said.event["timestamp"]), said.event["runner"], member.name)
            for member in self.members.values()
            for said in member.lines("section_taken")
        )
        late = {}
        for call in self.sandbox.cloud.ledger.calls:
            host = self.sandbox.cloud.ledger.entry(call.app_id).name
            section = sections[int(host.rpartition("-")[2])]
            holder = [name for at, runner, name in taken if runner == section and at <= call.at][-1:]
            if holder != [names[call.by.reveal()]]:
                late.setdefault(host, []).append((call.verb, names[call.by.reveal()], holder))
        return late

    def unforeseen(self):
        """Errors with a traceback."""
        return [
            said.event
            for member in self.members.values()
            for said in member.said
            if "exception" in said.event or "traceback" in said.event
        ]

    async def stop(self):
        await asyncio.gather(*(member.stop() for member in self.running))


async def until(condition, seconds, what, facts=lambda: ""):
    """Return when it holds; an AssertionError says what did not, and the facts."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, f"not within {seconds} s: {what}\n{facts()}"
        await asyncio.sleep(0.02)


@asynccontextmanager
async def world(folder, options=None, *, sections=3):
    """Everything but the services; whatever still runs at the end is killed."""
    server = await asyncio.to_thread(created)
    try:
        await asyncio.to_thread(server.start)
        async with Sandbox(options or quick()) as sandbox:
            made = World(sandbox, server, folder, sections=sections)
            try:
                yield made
            finally:
                for member in made.running:
                    with suppress(ProcessLookupError):
                        member.signal(signal.SIGCONT)
                        member.signal(signal.SIGKILL)
                    await member.ended()
    finally:
        await asyncio.to_thread(server.remove)
