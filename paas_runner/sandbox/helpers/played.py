"""The helper service on a simulated host: the service itself, on a machine that is played.

Jobs are run by what runs jobs on all hosts of the sandbox, and report to its coordinator by themselves. What
a machine or a program of its kind may do wrong comes between the service and whoever asks it.
"""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import TypeAlias

import attrs
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from paas_runner.helper import http1
from paas_runner.helper.access import Access
from paas_runner.helper.book import Book
from paas_runner.helper.http1 import Answer, Http1Verbs, answer_of
from paas_runner.helper.lease import Lease
from paas_runner.helper.order import Order
from paas_runner.helper.protocol import (
    CAN_TAKE_JOB_PATH,
    DEFAULT_LEASE_SECONDS,
    DEFAULT_MARGIN_SECONDS,
    LAUNCH_JOB_PATH,
    LEASE_VARIABLE,
    MARGIN_VARIABLE,
    RETRY_AFTER_SECONDS,
    START_UNTIL_VARIABLE,
    TOKEN_VARIABLE,
    JobKey,
    JobStatus,
    job_at,
)
from paas_runner.helper.service import HelperService
from paas_runner.helper.slot import LOST, Slot
from paas_runner.sandbox.cloud import HostFiles
from paas_runner.sandbox.helpers.book import HelperBook, HelperLife, Turn
from paas_runner.sandbox.helpers.manners import HONEST, Cleaning, Manners
from paas_runner.secret import Secret

_TOO_LATE = 75
_UNUSABLE = 78

RunsJob: TypeAlias = Callable[[HostFiles, Order], Awaitable[int]]
"""Runs a job on a host, and returns the exit code of its inner runner."""


@attrs.frozen(kw_only=True)
class HelperPlay:
    """The program of hosts that stay."""

    runs: RunsJob
    book: HelperBook
    manners: Callable[[HostFiles], Manners] = lambda _host: HONEST
    """How the next one that starts will behave."""

    async def run(self, host: HostFiles) -> int:
        """Serve until the lease is over; the program's exit code."""
        self.book.app_ids.add(host.environment["APP_ID"])
        started, until = self.book.clock(), _number(host, START_UNTIL_VARIABLE, math.inf)
        if started.timestamp() > until:
            self.book.refused_starts += 1
            host.say("The helper service was started too late: nothing is to run here any more.")
            return _TOO_LATE
        life = HelperLife(
            app_id=host.environment["APP_ID"],
            host=host.environment["CC_APP_NAME"],
            instance=host.environment["INSTANCE_ID"],
            manners=self.manners(host),
            started_at=started,
            heard_at=started,
        )
        self.book.lives.append(life)
        machine = _Machine(host, life, self.book.clock, self.runs)
        try:
            await _served(machine)
        finally:
            await machine.off()
            life.ended_at = self.book.clock()
        return 0


async def _served(machine: "_Machine") -> None:
    """As the program does: the service, behind its door, for as long as its lease holds."""
    host, manners = machine.host, machine.life.manners
    await asyncio.sleep(manners.listens_after)
    service = HelperService(
        _InMemory(machine.life.instance),
        machine,
        Lease(
            idle_seconds=_number(host, LEASE_VARIABLE, DEFAULT_LEASE_SECONDS),
            margin_seconds=_number(host, MARGIN_VARIABLE, DEFAULT_MARGIN_SECONDS),
            renewed_at=asyncio.get_running_loop().time(),
        ),
        say=host.say,
    )
    token = Secret(host.environment.get(TOKEN_VARIABLE, ""))
    front = _Front(machine.life, Http1Verbs(Access(service=service, token=token)), machine.clock)
    async with service.lived():
        over = asyncio.create_task(service.until_over(), name="lease")
        try:
            with host.serve(front):
                await asyncio.wait([over], timeout=_soonest(manners.hangs_after, manners.dies_after))
            if manners.hangs_after < manners.dies_after:
                await asyncio.wait([over], timeout=_soonest(manners.dies_after))
        finally:
            over.cancel()
    host.say("The helper service has ended.")


class _InMemory(Book):
    """A machine whose disk is lost with it."""

    def __init__(self, instance: str) -> None:
        self.instance = instance
        self.slot = Slot()

    def write(self, slot: Slot) -> None:
        self.slot = slot


class _Machine:
    """Where jobs run; `helper.service.Host`."""

    def __init__(
        self, host: HostFiles, life: HelperLife, clock: Callable[[], datetime], runs: RunsJob
    ) -> None:
        self.host = host
        self.life = life
        self.clock = clock
        self._runs = runs
        self._jobs: set[asyncio.Task[int]] = set()
        self._files: dict[JobKey, None] = {}

    async def trouble(self) -> str:
        return ""

    @contextlib.asynccontextmanager
    async def running(self, ordered: Order) -> AsyncIterator["_Child"]:
        turn = Turn(job=ordered.job, taken_at=self.clock())
        self.life.turns.append(turn)
        child = _Child(asyncio.create_task(self._job(turn, ordered), name=str(ordered.job)))
        self._jobs.add(child.task)
        try:
            yield child
        finally:
            await child.end()
            self._jobs.discard(child.task)

    async def clean(self) -> str:
        """Take the time, and remove what is there, or say so, or neither."""
        manners = self.life.manners
        await asyncio.sleep(manners.cleaning_seconds)
        if manners.cleaning is Cleaning.DONE:
            self._files.clear()
        if self.life.turns:
            self.life.turns[-1].forgotten_at = self.clock()
        return "files of the job" if manners.cleaning is Cleaning.SAYS_NO else ""

    async def off(self) -> None:
        """The machine is gone, and all that runs there with it."""
        for task in tuple(self._jobs):
            task.cancel()
            await asyncio.wait([task])

    async def _job(self, turn: Turn, ordered: Order) -> int:
        try:
            if not self.life.manners.begins:
                await asyncio.Event().wait()
            turn.begun_at, turn.met = self.clock(), tuple(self._files)
            self._files[turn.job] = None
            turn.exit_code = await self._runs(self.host, ordered)
        except Exception as error:  # noqa: BLE001 - as when its inner runner crashes
            self.host.say(f"The job could not be run: {type(error).__name__}: {error}")
            turn.exit_code = _UNUSABLE
        finally:
            turn.ended_at = self.clock()
        return turn.exit_code


@attrs.frozen(eq=False)
class _Child:
    """The inner runner of a job."""

    task: asyncio.Task[int]

    async def wait(self) -> int:
        await asyncio.wait([self.task])
        return LOST if self.task.cancelled() else self.task.result()

    async def end(self) -> int:
        self.task.cancel()
        return await self.wait()


class _Front:
    """What answers on the port: the service's own verbs, and what its manners make of them."""

    def __init__(self, life: HelperLife, verbs: Http1Verbs, clock: Callable[[], datetime]) -> None:
        self._life = life
        self._manners = life.manners
        self._verbs = verbs
        self._clock = clock
        self._lost: set[JobKey] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        head = http1.Request(method=request.method, path=request.url.path, headers=dict(request.headers))
        await asyncio.sleep(self._manners.answers_after)
        refused = self._manners.refuses and head.path == LAUNCH_JOB_PATH
        asked = attrs.evolve(head, method="GET", path=CAN_TAKE_JOB_PATH) if refused else head
        answer = await self._verbs.answer(asked, partial(_body, request))
        if answer.status != HTTPStatus.UNAUTHORIZED:
            self._life.heard_at = self._clock()
            answer = self._told(head, answer)
        response = Response(answer.body, answer.status, dict(answer.headers), answer.content_type)
        await response(scope, receive, send)

    def _told(self, head: http1.Request, answer: Answer) -> Answer:
        manners, job = self._manners, job_at(head.path)
        if manners.refuses and head.path == LAUNCH_JOB_PATH:
            later = {"Retry-After": str(RETRY_AFTER_SECONDS)}
            return attrs.evolve(answer_of(503, {}), headers={**answer.headers, **later})
        if head.path == LAUNCH_JOB_PATH and answer.status == HTTPStatus.CREATED:
            asyncio.get_running_loop().call_later(*self._loss(self._life.turns[-1].job))
        if job in self._lost and head.method == "GET":
            return _instead(answer, answer_of(404, {}))
        if job and manners.runs_for_ever and head.method == "GET" and answer.status == HTTPStatus.OK:
            return _instead(answer, answer_of(200, JobStatus(running=True).as_json()))
        if manners.refuses and head.path == CAN_TAKE_JOB_PATH:
            return _instead(answer, answer_of(200, True))
        return answer

    def _loss(self, job: JobKey) -> tuple[float, Callable[[], None]]:
        return min(self._manners.loses_after, _FOR_EVER), partial(self._lost.add, job)


_FOR_EVER = 10 * 365 * 86400.0


def _instead(answer: Answer, other: Answer) -> Answer:
    """Another answer, with what this one says of the helper."""
    return attrs.evolve(other, headers=answer.headers)


async def _body(request: Request, most: int) -> bytes | None:
    body = await request.body()
    return body if len(body) <= most else None


def _soonest(*seconds: float) -> float | None:
    found = min(seconds)
    return None if math.isinf(found) else found


def _number(host: HostFiles, name: str, default: float) -> float:
    try:
        return float(host.environment.get(name, default))
    except ValueError:
        return default
