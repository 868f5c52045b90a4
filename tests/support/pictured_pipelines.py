"""A pipelines server at one fixed moment, as the pictures of the documents show it: a Friday in November.

Its definitions are read from YAML, its events come through the feed, and its runs go through the engine; only
what tasks say and how long they take is told by this file.
"""

import asyncio
import contextlib
import itertools
import json
import uuid
from datetime import UTC, datetime, timedelta

import attrs
from paas_pipelines.access.identity import Identity
from paas_pipelines.access.policy import Access
from paas_pipelines.access.statements import Statement
from paas_pipelines.credentials.envelope import Keys
from paas_pipelines.credentials.records import StoredCredentials
from paas_pipelines.credentials.types import Docker, Text
from paas_pipelines.credentials.vault import Vault
from paas_pipelines.definitions.loading import load
from paas_pipelines.pages.site import PipelinePages
from paas_pipelines.runs.book import RunBook
from paas_pipelines.runs.engine import Engine
from paas_pipelines.runs.run import TaskEnd
from paas_pipelines.store.audit import Audit
from paas_pipelines.store.audited_runs import noting
from paas_pipelines.tasks.workers import Waiting
from paas_pipelines.triggers.event import event_ids
from paas_pipelines.triggers.event_book import EventBook
from paas_pipelines.triggers.feed import Feed

from paas_runner.pipelines.workers import Worker
from paas_runner.secret import Secret
from tests.support.memory_journal import MemoryJournal
from tests.support.served_pipelines import served, serving
from tests.support.triggered import HOOK_SECRET, signed

NOW = datetime(2026, 11, 20, 9, 41, tzinfo=UTC)
ASKING = "ben"
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)

PIPELINES = r"""
pipelines:
  deploy:
    description: Plans a change of the infrastructure, asks somebody, and carries it out
    params:
      - {name: environment, label: Environment, options: [nonprod, prod], default: nonprod}
      - {name: version, label: Version, description: 'A release, such as 4.2.0.', pattern: '\d+\.\d+\.\d+'}
      - {name: replicas, label: Replicas, type: number, min: 1, max: 20, default: 3, description: 1 to 20.}
      - {name: hosts, label: Hosts to leave out, type: list, default: []}
      - {name: smoke, label: Smoke tests afterwards, type: boolean, default: true}
    triggers:
      night: {cron: "30 3 * * 1-5", timezone: Europe/Berlin, user: '"release"', params: {version: 4.2.0}}
    tasks:
      build: {script: [make]}
      scan: {script: [make scan], depends_on: [build]}
      plan: {script: [terraform plan], depends_on: [build], outputs: {changed: boolean, summary: string}}
      approve:
        type: approval
        depends_on: [scan, plan]
        text: 'Roll out {{ .version }} to {{ .environment }}?'
        four_eyes: true
        deadline: 8h
        params:
          - {name: window, label: Minutes of maintenance, type: number, min: 0, max: 120, default: 15}
      apply: {script: [terraform apply], depends_on: [approve]}
      smoke: {script: [make smoke], depends_on: [apply]}
      announce: {script: [make announce], depends_on: [apply]}
  ci:
    description: Tests each push
    concurrency: 4
    params:
      - {name: ref, default: refs/heads/main, pattern: 'refs/[\w./-]+'}
    triggers:
      push:
        provider: github
        secret: {from_credential: github-hook}
        events: [push]
        if: '!payload.deleted'
        params_from: {ref: payload.ref}
    tasks:
      lint: {script: [make lint]}
      test: {script: [make test]}
  reports:
    description: Figures of the week
    concurrency: 2
    triggers:
      weekly: {cron: "0 7 * * 1", timezone: Europe/Berlin}
      often: {every: 15m, overlap: skip}
    tasks:
      collect: {script: [make figures]}
  tell:
    description: Says in the chat that ci has failed
    triggers:
      after: {pipeline: ci, results: [failed]}
    tasks:
      chat: {script: [make chat]}
"""
PLAN = b"""\x1b[1mTerraform will perform the following actions:\x1b[0m

  # cloud_service.web will be updated in-place
  ~ resource "cloud_service" "web" {
        name     = "web"
      ~ replicas = 3 -> 6
      ~ version  = "4.1.7" -> "4.2.0"
    }

  # cloud_bucket.assets will be created

Plan: 1 to add, 1 to change, 0 to destroy.
"""
PUSH = {
    "ref": "refs/heads/main",
    "before": "3f786850e387550fdab836ed7e6dc881de23001b",
    "after": "89e6c98d92887913cadf06b2adb97f26cde4849b",
    "deleted": False,
    "repository": {
        "id": 186853002,
        "full_name": "example/shop",
        "private": True,
        "temp_clone_token": "ABCDEFGHIJKLMNOPQRSTUVWXYZ234",
    },
    "pusher": {"name": "ada", "email": "ada@example.com"},
    "commits": [{"id": "89e6c98d92887913cadf06b2adb97f26cde4849b", "message": "Six replicas for the sale"}],
    "hook": {"config": {"secret": "hunter2hunter2", "url": "https://ci.example.com/hooks/ci/push"}},
}

WORKER = Worker(
    runner_id=1,
    description="builder",
    system_id="s_4f1c",
    labels=("arch=arm64", "linux", "os=linux"),
    paused=False,
    runs_untagged=True,
)


def _allow(who, role, *resource):
    return Statement(identity=(who,), role=role, resource=resource or ("*",))


ACCESS = Access(
    (
        _allow("ada", "admin"),
        _allow("ben", "admin"),
        _allow("cleo", "approve", "pipeline=deploy"),
        Statement(identity=("pipeline/ci",), method=("use",), resource=("credential=github-hook",)),
    )
)


class PicturedPipelines:
    """Made by `open`; it is at `NOW`, and stays there."""

    def __init__(self, folder):
        self.now = NOW
        (folder / "pipelines.yml").write_text(PIPELINES)
        self._ids = itertools.count(1)
        self.journal = MemoryJournal()
        engine = Engine(self.clock, RunBook(), load(folder, "pipelines.yml"), new_id=lambda: self._id("run"))
        self.audit = Audit(self.journal, self.clock)
        engine.book.observers.append(noting(self.audit))
        keys = Keys((Secret("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),))
        self.vault = Vault(
            stored=StoredCredentials(self.journal, keys, self.clock),
            access=ACCESS,
            audit=self.audit,
            configured={
                "github-hook": Text(value=HOOK_SECRET),
                "registry": Docker(registry="registry.example.com", username="ci", password=Secret("-" * 12)),
            },
        )
        self.served = served(
            folder,
            engine=engine,
            journal=self.journal,
            clock=self.clock,
            access=ACCESS,
            audit=self.audit,
            vault=self.vault,
        )

    @classmethod
    async def open(cls, folder):
        world = cls(folder)
        engine, journal, clock = world.served.engine, world.journal, world.clock
        book = await EventBook.opened(
            journal,
            new_id=lambda newest: event_ids(
                newest,
                milliseconds=lambda: int(world.now.timestamp() * 1000),
                bits=lambda _: next(world._ids),
            ),
        )
        feed = Feed(engine, journal, clock, book, secrets=world.vault)
        world.served = attrs.evolve(world.served, feed=feed)
        await world._past()
        return world

    def clock(self):
        return self.now

    def run(self, pipeline):
        """The last of those that have begun and not ended."""
        return next(run for run in self.served.engine.book.runs_of(pipeline) if run.active)

    def waiting(self, pipeline):
        """The first that has not begun."""
        return next(run for run in self.served.engine.book.runs_of(pipeline) if run.waiting)

    def failed(self, pipeline):
        """The last that went wrong."""
        return next(run for run in self.served.engine.book.runs_of(pipeline) if run.errored)

    @property
    def push(self):
        """The event that has started the last run of ci."""
        return next(each for each in self.served.feed.events() if each.outcomes and each.meta.get("event"))

    @contextlib.asynccontextmanager
    async def shown(self):
        """On loopback; gives the port."""
        run, reason = self.run("reports"), "no worker has gpu=1"
        waiting = Waiting(run_id=run.run_id, pipeline=run.pipeline, task="collect", reason=reason)
        pages = PipelinePages(self.served, workers=lambda: [WORKER], waiting=lambda: [waiting])
        async with serving(self.served, own_routes=pages.routes()) as found:
            yield found.port

    # --- what has happened -------------------------------------------------------------------------------

    async def _past(self):
        await self._at(-29 * HOUR)
        self.vault.put("deploy-key", "ssh", {"username": "deploy", "private_key": "-"}, Identity(name="ada"))
        await self._at(-7 * HOUR - 11 * MINUTE)  # half past three in Berlin
        self._deploy(self.run("deploy"))
        await self._at(-3 * HOUR - 11 * MINUTE)
        await self._pushed(ref="refs/heads/fix-basket", after="0" * 40)
        self._end(self.run("ci"), "lint", 40)
        self._end(self.run("ci"), "test", 95, exit_code=1, said=b"FAILED tests/test_basket.py::test_sum\n")
        await self._handled()
        self._end(self.run("tell"), "chat", 3)
        await self._at(-2 * HOUR - 7 * MINUTE)
        await self._pushed(event="ping", zen="Keep it logically awesome.")
        await self._at(-50 * MINUTE)
        self._deploy(self._start("deploy", "ada", environment="nonprod", version="4.2.0"), by="cleo")
        await self._at(-26 * MINUTE)
        asking = self._start("deploy", "ada", environment="prod", version="4.2.0", replicas=6)
        self._deploy(asking, by=None)
        self.audit.note("eve", "approve", "task=deploy/approve", "refused")
        await self._at(-11 * MINUTE, ends=False)
        await self._at(-9 * MINUTE, ends=False)
        self._start("deploy", "cleo", environment="nonprod", version="4.2.1")
        await self._at(-6 * MINUTE, ends=False)
        await self._pushed()
        self.served.feed.pause("reports", "weekly", "ada")
        self.audit.note("ada", "pause", "trigger=reports/weekly")
        await self._at(timedelta(), ends=False)

    async def _at(self, before, *, ends=True):
        """At a later moment; what the schedule of every quarter has started does not last until then."""
        self.now = NOW + before
        self.served.engine.advance()
        await self._handled()
        for run in [*self.served.engine.book.active("reports")] if ends else []:
            self._end(run, "collect", 50)

    async def _handled(self):
        """Until the feed has nothing to do."""
        running = asyncio.create_task(self.served.feed.run())
        async with asyncio.timeout(60):
            await asyncio.sleep(0.01)
            while self.served.feed.book.unended():
                await asyncio.sleep(0.005)
        running.cancel()

    async def _pushed(self, event="push", **changes):
        body = json.dumps({**PUSH, **changes}).encode()
        delivery = self._id("delivery")
        answer = await self.served.feed.deliver(
            "ci/push", signed(body, event=event, delivery=delivery).items(), body
        )
        assert answer.status == 202, answer
        await self._handled()

    def _start(self, pipeline, user, **variables):
        return self.served.engine.schedule(pipeline, variables=variables, user=user)

    def _deploy(self, run, by=""):
        """All of it: approved by somebody, or without if nothing has changed; with None until it asks."""
        engine, changed = self.served.engine, by != ""
        self._end(run, "build", 48)
        self._end(run, "scan", 12)
        summary = "1 to add, 1 to change" if changed else "nothing"
        outputs = {"changed": changed, "summary": summary}
        self._end(run, "plan", 31, said=PLAN, outputs=outputs)
        if changed:
            text = f"Roll out {run.variables['version']} to {run.variables['environment']}?"
            run = engine.ask(run.run_id, "approve", text)
            if by is None:
                return
            self.now += 4 * MINUTE
            digest, said = run.task("approve").asked.digest, {"reason": "as agreed", "values": {"window": 15}}
            engine.decide(run.run_id, "approve", user=by, approved=True, digest=digest, **said)
        else:
            engine.task_ended(run.run_id, "approve", TaskEnd(skipped=True))
        for task, seconds in (("apply", 75), ("smoke", 20), ("announce", 2)):
            self._end(run, task, seconds)

    def _end(self, run, task, seconds, *, said=b"", exit_code=0, outputs=None):
        """A task that runs ends after so long."""
        self.now += seconds * SECOND
        if said:
            output = self.served.logs.output(run.run_id, task)
            output.stdout(said)
            output.close()
        self.served.engine.task_ended(run.run_id, task, TaskEnd(exit_code=exit_code, outputs=outputs or {}))

    def _id(self, kind):
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{kind} {next(self._ids)}"))
