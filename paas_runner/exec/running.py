"""Jobs of one pipeline, one after the other: a coordinator in this process, and for each job an inner runner.

The coordinator decides what comes next (needs, retries, what is skipped), as it does for any runner.
"""

import asyncio
import contextlib
import functools
import json
import os
import random
import signal
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import attrs

from paas_runner.errors import RemoteError, RunnerError
from paas_runner.exec import engine
from paas_runner.exec.checkout import check_out
from paas_runner.exec.choice import Wanted
from paas_runner.exec.dotenv_report import DOTENV, DotenvError, refusal
from paas_runner.exec.dotenv_report import variables as left_variables
from paas_runner.exec.facts import Facts
from paas_runner.exec.kept import Kept
from paas_runner.exec.log import Log
from paas_runner.inner.link import FEATURES
from paas_runner.job.variables import Variable, expand
from paas_runner.pipelines.book import MemoryBook
from paas_runner.pipelines.coordinator import Coordinator
from paas_runner.pipelines.jobs import Job, Project
from paas_runner.pipelines.options import CoordinatorOptions
from paas_runner.pipelines.payload import job_payload
from paas_runner.pipelines.reports import Artifact, StateReport
from paas_runner.pipelines.runners import random_token
from paas_runner.server.api import create_app
from paas_runner.server.listening import Listener

_MOST_ARTIFACT_BYTES = 1024**3
_ANY_OWNER = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
_RUNNER = """\
[[runners]]
name = "this machine"
token = "exec"
url = {url}
executor = {executor}
builds_dir = {builds}
cache_dir = {cache}
[runners.docker]
pull_policy = ["if-not-present"]
allowed_pull_policies = ["always", "if-not-present", "never"]
"""


class Audience(Protocol):
    """Who is shown what goes on."""

    def lines(self, job: Job, texts: list[str]) -> None:
        """More of the job's log."""

    def ended(self, job: Job) -> None: ...


class _HeardBook(MemoryBook):
    """Tells of each trace as it grows."""

    hear: Callable[[bytes], None]

    def extend_trace(self, job: Job, data: bytes) -> None:
        super().extend_trace(job, data)
        self.hear(data)


class Running:
    """One call of `paas-runner exec`."""

    def __init__(self, facts: Facts, kept: Kept, given: tuple[Variable, ...], audience: Audience) -> None:
        self._facts = facts
        self._kept = kept
        self._audience = audience
        self._book = _HeardBook()
        self._coordinator = _coordinator(facts, given, self._book)
        self._listener = Listener(create_app(self._coordinator))
        self._process: asyncio.subprocess.Process | None = None
        self._unheard: OSError | RunnerError | None = None
        self.interrupts = 0

    async def run(self, wanted: Wanted) -> list[Job]:
        """The jobs as they have ended, the last try of each."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._interrupt)
        tags = {tag for spec in wanted.pipeline.jobs for tag in spec.tags}
        runner = self._coordinator.runners.add(description="exec", tags=tuple(sorted(tags)))
        await self._listener.start()
        try:
            submitted = self._coordinator.submit(wanted.pipeline)
            while not self.interrupts and (
                job := self._coordinator.acquire(runner.runner_id, features=frozenset(FEATURES))
            ):
                if job.spec.name in wanted.reused:
                    self._taken_over(job)
                    continue
                log = Log()
                self._book.hear = functools.partial(self._heard, job, log)
                words = await self._one(job)
                if self._unheard:
                    raise self._unheard
                self._audience.lines(job, [*log.last(), *words])
                self._kept.store(job.spec.name, self._coordinator.artifacts(job.job_id))
                self._audience.ended(self._coordinator.jobs[job.job_id])
        finally:
            await self._listener.stop()
        names = [name for name in submitted.jobs if name not in wanted.reused]
        jobs = [self._coordinator.latest(submitted.jobs[name]) for name in names]
        for job in jobs:
            if job.started_at is None:
                self._audience.ended(job)
        return jobs

    def _heard(self, job: Job, log: Log, data: bytes) -> None:
        """Show it; where nobody listens any more the job ends, too."""
        try:
            if not self._unheard:
                self._audience.lines(job, log.lines(data))
        except (OSError, RunnerError) as error:
            self._unheard = error
            self._interrupt()

    def _interrupt(self) -> None:
        """Cancel the job as on GitLab, its after_script runs; the second time, end it."""
        self.interrupts += 1
        for job_id in [job.job_id for job in self._coordinator.jobs.values() if job.active]:
            self._coordinator.cancel(job_id)
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGINT if self.interrupts == 1 else signal.SIGTERM)

    def _taken_over(self, job: Job) -> None:
        for kind, content in self._kept.found(job.spec.name).items():
            artifact = Artifact.of(content, filename=kind, kind=kind)
            self._coordinator.store_artifact(job.job_id, artifact)
        self._coordinator.update(job.job_id, StateReport(state="success"))

    async def _one(self, job: Job) -> list[str]:
        """Run it to its end; a job whose runner could not do anything has failed, for the reason returned."""
        why = []
        with self._kept.builds() as folder:
            builds = folder / "builds"
            variables = {each.key: each.value for each in self._variables(job)}
            await asyncio.to_thread(check_out, self._facts, builds / self._facts.path, variables)
            words = "" if self.interrupts else await self._inner(job, builds)
            if not self._coordinator.jobs[job.job_id].ended:
                told = "canceled before it began" if self.interrupts else words or "the job was not run"
                why = [f"ERROR: {told}"]
                report = StateReport(state="failed", failure_reason="runner_system_failure")
                self._coordinator.update(job.job_id, report)
            if job.spec.image and os.getuid():
                with contextlib.suppress(RemoteError):
                    image = expand(job.spec.image.name, lambda name: variables.get(name, ""))
                    await asyncio.to_thread(engine.give_back, folder, image)
        return why

    async def _inner(self, job: Job, builds: Path) -> str:
        """What the inner runner complains of."""
        toml = _RUNNER.format(
            url=_quoted(self._listener.url),
            executor=_quoted("docker" if job.spec.image else "shell"),
            builds=_quoted(str(builds)),
            cache=_quoted(str(self._kept.cache)),
        )
        payload = job_payload(
            attrs.evolve(job, spec=attrs.evolve(job.spec, variables=tuple(self._variables(job)))),
            url=self._listener.url,
            options=self._coordinator.options,
            dependencies=self._coordinator.dependencies(job),
        )
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "paas_runner.exec.inner_process", str(os.getpid())),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,  # a terminal's Ctrl-C comes to us alone
        )
        task = json.dumps({"runner": toml, "job": json.dumps(payload)}).encode()
        _, words = await self._process.communicate(task)
        self._process = None
        return words.decode(errors="replace").strip()

    def _variables(self, job: Job) -> Iterator[Variable]:
        """The folder's, the job's own, those of dotenv reports that it gets; the last of a name counts."""
        for key, value in self._facts.variables.items():
            yield Variable(key=key, value=value, public=True, raw=True)
        if job.spec.image and os.getuid():
            yield from (Variable(key=key, value=value, public=True) for key, value in _ANY_OWNER.items())
        yield from job.spec.variables
        for dependency in self._coordinator.dependencies(job):
            report = self._coordinator.artifacts(dependency.job_id).get(DOTENV)
            try:
                yield from left_variables(report.read()) if report else ()
            except DotenvError as error:  # an earlier version has kept it
                text = f"the dotenv report of `{dependency.name}` cannot be read: {error}; run that job again"
                raise RunnerError(text) from None


def _coordinator(facts: Facts, given: tuple[Variable, ...], book: MemoryBook) -> Coordinator:
    rng = random.SystemRandom()
    options = CoordinatorOptions(
        registration_token=random_token(rng, ""),
        admin_token=random_token(rng, ""),
        project=Project(full_path=facts.path),
        variables=(*given, Variable(key="GIT_CLONE_PATH", value="")),  # the copy is where it is
        trace_interval_seconds=0,
        most_artifact_bytes=_MOST_ARTIFACT_BYTES,
        artifact_refusal=refusal,
    )
    return Coordinator(lambda: datetime.now(UTC), options, rng, book)


def _quoted(text: str) -> str:
    """A string of TOML; raises `RunnerError` for a folder whose name has none."""
    if not text.isprintable():
        raise RunnerError(f"the folder {text!r} has a character in its name that cannot be used")
    return json.dumps(text, ensure_ascii=False)
