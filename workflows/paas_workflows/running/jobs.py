"""Containers as jobs of a coordinator in this process, which runners take: `paas_runner.container.Place`.

A job has the name of its container, so whoever was killed finds it in the coordinator's book. It is submitted
by `start`, and on the disk before a runner is told. Where it runs its lines are marked (the inner runner's
`containers/program.py`); all else in the trace is a runner's own.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

import attrs
import structlog

from paas_runner.container import Ended, Image, Line, Stream, Wanted, by_signal
from paas_runner.errors import Rejected
from paas_runner.job.images import InvalidReferenceError, parse
from paas_runner.job.variables import Variable
from paas_runner.loop.timing import Clock
from paas_runner.pipelines.coordinator import Coordinator
from paas_runner.pipelines.jobs import Job
from paas_runner.pipelines.spec import ImageSpec, JobSpec
from paas_runner.pipelines.states import JobState
from paas_runner.server.waiting import settled

log = structlog.stdlib.get_logger(__name__)

LONGEST = timedelta(days=1)
"""Of a step without a duration: hosts need an end."""

BEFORE_START = timedelta(minutes=15)
"""Of a job's time limit, for the image and what else comes before the container."""

WIND_DOWN = timedelta(minutes=1)
LATE = timedelta(seconds=4)
"""How much later than it is written a trace may be here."""

_MARKS = {f"{stream}: ".encode(): stream for stream in Stream}
_SECTION = re.compile(rb"section_(start|end):(\d+):step_")
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|section_\w+:\d+:\w+\r")
_CUT = b"Job's log exceeded limit of "
_OTHERS = 'echo "stderr: this runner cannot run the programs of images: it needs the inner runner"; exit 125'


@attrs.define(kw_only=True)
class JobsPlace:
    """On one coordinator, whose runners are somebody else's care."""

    coordinator: Coordinator
    written: Callable[[], Awaitable[None]]
    """Returns when all that the coordinator knows is on the disk; raises `StoreError`."""

    forget: Callable[[Job], None]
    now: Clock
    pause: float = 0.2
    """In seconds, between two looks."""

    _created: dict[str, Wanted] = attrs.field(init=False, factory=dict)

    async def prepare(self, wanted: Wanted) -> Image:
        """Also `Rejected`, in words, for volumes, a standard input, and what is no image."""
        op = f"prepare {wanted.name}"
        if wanted.volumes:
            raise _rejected(op, f"hosts have no such volumes: {', '.join(wanted.volumes)}")
        if wanted.takes_input:
            raise _rejected(op, "a container of a job has no standard input: use its environment")
        try:
            parse(wanted.image)
        except InvalidReferenceError as error:
            raise _rejected(op, f"{wanted.image!r} is no image name: {error}") from None
        return Image()

    async def create(self, wanted: Wanted) -> None:
        """`start` needs to be called by the same process: nobody else has the environment."""
        self._created[wanted.name] = wanted

    async def start(self, name: str, data: bytes | None = None) -> None:
        """`Rejected` where this process has not created it, unless it was started."""
        op = f"start {name}"
        if data:
            raise _rejected(op, "a container of a job has no standard input")
        if not self._jobs(name):
            if (wanted := self._created.get(name)) is None:
                raise _rejected(op, "create it again, which gives it its environment")
            job = self.coordinator.submit_job(_spec(wanted))
            if not any(self.coordinator.suits(each, job.spec) for each in self.coordinator.runners):
                log.warning("no runner takes this container: it waits for one that does", container=name)
        await self.written()

    async def lines(self, name: str) -> AsyncIterator[Line]:
        """`Rejected` where the runner's limit of a log has cut them."""
        op, at, rest, is_cut = f"read the output of {name}", 0, b"", False
        while True:
            job = self._job(op, name)
            if job.trace_bytes > at:
                text = self.coordinator.trace(job.job_id)[at : job.trace_bytes]
                at += len(text)
                *whole, rest = (rest + text).split(b"\n")
                for each in whole:
                    if stream := _MARKS.get(each[:8]):
                        yield Line(each[8:], stream)
                    is_cut |= _CUT in each and not stream
            if job.ended and at == job.trace_bytes:
                break
            await asyncio.sleep(self.pause)
        if is_cut:
            raise _rejected(op, "it has written more than the runner's `output_limit`: set a larger one")

    async def wait(self, name: str, limit: timedelta | None = None) -> Ended | None:
        """From the moments in the trace, which are of the host's clock, and whole seconds."""
        op, began = f"wait for {name}", None
        while True:
            job = self._job(op, name)
            if limit is not None and job.trace_bytes:
                began = began or self._moments(job).get(b"start")
                if began and (job.ended or self.now() - began > limit + LATE):
                    end = self._moments(job).get(b"end") or job.finished_at or self.now()
                    if end - began > limit + timedelta(seconds=1):
                        return None
            if job.ended:
                return self._ended(op, job)
            await asyncio.sleep(self.pause)

    async def stop(self, name: str, grace: timedelta) -> None:
        """How long it has to end is the inner runner's; the host has a minute more."""
        for job in self._jobs(name)[-1:]:
            self.coordinator.cancel(job.job_id)
            try:
                async with asyncio.timeout((grace + WIND_DOWN).total_seconds()):
                    await settled(self.coordinator, [job.job_id])
            except TimeoutError:
                self.coordinator.cancel(job.job_id, force=True)
        await self.written()

    async def remove(self, name: str) -> None:
        """Its host goes when the service behind the coordinator has seen that its job is over."""
        self._created.pop(name, None)
        for job in self._jobs(name)[-1:]:
            self.coordinator.cancel(job.job_id, force=True)
            self.forget(job)
        await self.written()

    def _jobs(self, name: str) -> Sequence[Job]:
        """More than one where no host came of the first: the last counts."""
        return [job for job in self.coordinator.jobs.values() if job.spec.name == name]

    def _job(self, op: str, name: str) -> Job:
        if not (found := self._jobs(name)):
            raise Rejected("there is no such job", service="the coordinator", op=op, status=404)
        return found[-1]

    def _moments(self, job: Job) -> dict[bytes, datetime]:
        """When its container began and ended, by the sections that the inner runner writes."""
        lines = self.coordinator.trace(job.job_id).split(b"\n")
        own = (each for each in lines if each[:8] not in _MARKS)
        found = (match.groups() for each in own for match in _SECTION.finditer(each))
        return {kind: datetime.fromtimestamp(int(second), UTC) for kind, second in found}

    def _ended(self, op: str, job: Job) -> Ended:
        if job.status is JobState.SUCCESS:
            return Ended(code=0)
        if job.status is JobState.FAILED and job.failure_reason == "script_failure":
            code = job.exit_code or 1
            return Ended(code=code, cause=by_signal(code))
        raise _rejected(op, f"its job is {job.status} ({job.failure_reason or 'canceled'}){self._word(job)}")

    def _word(self, job: Job) -> str:
        """The runner's last one, if it had any."""
        text = _ANSI.sub("", self.coordinator.trace(job.job_id).decode(errors="replace"))
        own = [line for line in text.splitlines() if line.startswith(("ERROR: ", "WARNING: "))]
        return f": {'; '.join(own[-2:])}" if own else ""


def _spec(wanted: Wanted) -> JobSpec:
    limit = wanted.ends_after + BEFORE_START if wanted.ends_after else LONGEST
    return JobSpec(
        name=wanted.name,
        stage="workflow",
        script=(_OTHERS,),
        variables=(Variable(key="GIT_STRATEGY", value="none", public=True),),
        image=ImageSpec(name=wanted.image),
        timeout=limit,
        program=dict(wanted.environment),
    )


def _rejected(op: str, text: str) -> Rejected:
    return Rejected(text, service="the runner", op=op)
