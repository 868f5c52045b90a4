"""What the helper service does when it is asked, whichever way: the verbs, and the end of its life.

One event loop has all of it. A verb changes the slot on the disk before anything follows from it, so that a
service that is killed at any instant, and started there again, begins no job a second time.
"""

import asyncio
import contextlib
import enum
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import attrs

from paas_runner.errors import RunnerError
from paas_runner.helper import order
from paas_runner.helper.book import Book
from paas_runner.helper.lease import Due, Lease
from paas_runner.helper.order import Order
from paas_runner.helper.protocol import FORGET_SECONDS, JobKey, JobStatus, LaunchRequest
from paas_runner.helper.slot import Slot, Stage, Verdict

NOT_STARTED = 126
"""The exit code of a job whose inner runner could not be started, as a shell has it."""


class Child(Protocol):
    """The inner runner of a job that has begun."""

    async def wait(self) -> int:
        """Its exit code, as a shell counts."""

    async def end(self) -> int:
        """The same, after it was asked to end, and killed if it did not."""


class Host(Protocol):
    """The machine."""

    async def trouble(self) -> str:
        """Why it can run no job now; empty when it can."""

    def running(self, ordered: Order) -> AbstractAsyncContextManager[Child]:
        """Begin a job; leaving the context kills it. Raises OSError if it did not begin."""

    async def clean(self) -> str:
        """Remove all that a job may have left; what is there in spite of that, in words, or nothing."""


class Reason(enum.StrEnum):
    """Of a refusal, for the ways in which it is told."""

    UNUSABLE = "unusable"
    OTHER_INSTANCE = "other instance"
    BEFORE = "before"
    NOT_NOW = "not now"
    UNKNOWN = "unknown"
    BROKEN = "broken"


class RefusedError(RunnerError):
    """What was asked for is not done; the text says why."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@attrs.frozen(kw_only=True)
class Forgotten:
    """The answer to forgetting."""

    was_known: bool
    done: bool
    """Whether the place is free or unclean; else it is still being cleaned."""


_FULL = "another job is here, or what it left is being removed"


class HelperService:
    """The verbs; `lived` is to be entered before any is called."""

    def __init__(
        self,
        book: Book,
        host: Host,
        lease: Lease,
        *,
        say: Callable[[str], None],
        engine_url: str = "",
        with_doubts: bool = False,
        forget_seconds: float = FORGET_SECONDS,
    ) -> None:
        self._book = book
        self._host = host
        self._lease = lease
        self._say = say
        self._engine_url = engine_url
        self._with_doubts = with_doubts
        self._forget_seconds = forget_seconds
        self._news = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._job: _RunningJob | None = None
        self._cleaning: asyncio.Task[None] | None = None
        self._one_cleans = asyncio.Lock()
        self._ending = False

    @property
    def instance(self) -> str:
        """Of this machine."""
        return self._book.instance

    @property
    def lease_seconds(self) -> float:
        """For which it stays without a request."""
        return self._lease.idle_seconds

    @property
    def clean(self) -> bool:
        """Whether another job may ever be taken."""
        return self._slot.stage is not Stage.UNCLEAN

    @property
    def _slot(self) -> Slot:
        return self._book.slot

    def renew(self) -> None:
        """Somebody who may has asked for something."""
        self._lease = self._lease.renewed(self._now)
        self._news.set()

    async def can_take_job(self) -> bool:
        """Whether a job that is launched now would begin."""
        if self._slot.stage is not Stage.FREE or self._ending:
            return False
        return not await self._host.trouble()

    async def launch(self, request: LaunchRequest, instance: str | None = None) -> None:
        """Have the job run, if it does not; returns when it has begun. Raises `RefusedError`."""
        if instance not in (None, self.instance):
            raise RefusedError(Reason.OTHER_INSTANCE, "this is another host than the one that is meant")
        match self._slot.verdict(request.job):
            case Verdict.THERE:
                return
            case Verdict.BEFORE:
                raise RefusedError(Reason.BEFORE, f"{request.job} was here before, and is over")
            case Verdict.FULL:
                raise RefusedError(Reason.NOT_NOW, _FULL)
            case Verdict.UNCLEAN:
                raise RefusedError(Reason.NOT_NOW, f"no more jobs are taken here: {self._slot.doubt}")
            case Verdict.START:
                await self._start(request)

    def status(self, job: JobKey) -> JobStatus:
        """Raises `RefusedError` for a job that is not here."""
        if job != self._slot.known:
            raise RefusedError(Reason.UNKNOWN, f"{job} is not here")
        return JobStatus(running=self._slot.stage is Stage.RUNNING, exit_code=self._slot.exit_code)

    async def forget(self, job: JobKey) -> Forgotten:
        """End the job if it runs, and remove all of it; returns when that is done, or takes too long."""
        known = job == self._slot.known
        if known and self._tasks:
            self._book.note(self._slot.forgotten())
            self._begin_cleaning(self._tasks)
        if job == self._slot.job and self._cleaning:
            await asyncio.wait({self._cleaning}, timeout=self._forget_seconds)
        return Forgotten(was_known=known, done=self._slot.stage is not Stage.CLEANING)

    @contextlib.asynccontextmanager
    async def lived(self) -> AsyncIterator[None]:
        """Within, what has begun goes on; in the end a job that runs is ended, and all it has is removed."""
        trouble: Exception | None = None
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            if self._slot.stage is Stage.CLEANING:
                self._begin_cleaning(tasks)
            elif self._slot.stage is Stage.ENDED:  # its last service may have been killed while it ran
                tasks.create_task(self._sweep())
            try:
                yield
            except Exception as error:  # noqa: BLE001 - raised again, by itself and not in a group
                trouble = error
            self._ending = True
            await self._end_job()
            if self._cleaning:
                await self._cleaning
            elif self._slot.stage is Stage.ENDED:
                await self._sweep()
        if trouble:
            raise trouble

    async def until_over(self) -> str:
        """Keep the time, and return when this host is wanted no more: why."""
        while (due := self._lease.due(self._now)) is not Due.END:
            if due is Due.END_JOB:
                await self._end_job_at_its_deadline()
                continue
            left = self._lease.next_at - self._now
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, 86_400)):
                    await self._news.wait()
        self._ending = True
        return f"nobody has asked for anything for {self._lease.idle_seconds:.0f} s"

    async def _start(self, request: LaunchRequest) -> None:
        try:
            ordered = order.read(request, engine_url=self._engine_url)
        except ValueError as error:
            raise RefusedError(Reason.UNUSABLE, str(error)) from None
        if self._tasks is None or self._ending:
            raise RefusedError(Reason.NOT_NOW, "this host is about to end")
        try:
            self._book.write(self._slot.launched(ordered.job, "" if self._with_doubts else ordered.doubt))
        except OSError as error:
            raise RefusedError(Reason.BROKEN, f"the job cannot be recorded here: {error}") from None
        self._lease = self._lease.begun(self._now, ordered.limit_seconds)
        self._news.set()
        job = self._job = _RunningJob()
        job.task = self._tasks.create_task(self._run(ordered, job))
        if trouble := await asyncio.shield(job.begun):
            raise RefusedError(Reason.BROKEN, f"{ordered.job} could not be started: {trouble}")

    async def _run(self, ordered: Order, job: "_RunningJob") -> None:
        """The job, from its first process to its last."""
        try:
            async with self._host.running(ordered) as child:
                self._say(f"{ordered.job} begins")
                job.begun.set_result("")
                code = await job.to_its_end(child)
        except OSError as error:
            code = NOT_STARTED
            job.begun.set_result(str(error))
        self._say(f"{ordered.job} has ended with exit code {code}")
        self._book.note(self._slot.ended(code))
        self._lease = self._lease.ended(self._now)
        self._news.set()

    async def _end_job(self) -> None:
        """Returns when its end is in the book."""
        if self._job and self._job.task:
            self._job.wanted.set()
            await asyncio.wait({self._job.task})

    async def _end_job_at_its_deadline(self) -> None:
        self._say(f"{self._slot.job} is ended: it took longer than its time limit and the margin")
        await self._end_job()
        if self._slot.stage is Stage.ENDED:
            await self._sweep()

    def _begin_cleaning(self, tasks: asyncio.TaskGroup) -> None:
        self._cleaning = tasks.create_task(self._clean())

    async def _clean(self) -> None:
        await self._end_job()
        async with self._one_cleans:
            left = await self._host.clean()
        self._book.note(self._slot.cleaned(left))
        if not self.clean:
            self._say(f"no more jobs are taken here: {self._slot.doubt}")

    async def _sweep(self) -> None:
        """Remove what a job has that did not end by itself; it is removed again when it is forgotten."""
        async with self._one_cleans:
            if left := await self._host.clean():
                self._say(f"something of {self._slot.job} is left: {left}")

    @property
    def _now(self) -> float:
        return asyncio.get_running_loop().time()


class _RunningJob:
    """From its launch to its end."""

    def __init__(self) -> None:
        self.begun: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Why it could not begin, or nothing."""

        self.wanted = asyncio.Event()
        """Set when its end is wanted."""

        self.task: asyncio.Task[None] | None = None

    async def to_its_end(self, child: Child) -> int:
        """Its exit code."""
        ended = asyncio.ensure_future(child.wait())
        asked = asyncio.ensure_future(self.wanted.wait())
        try:
            await asyncio.wait({ended, asked}, return_when=asyncio.FIRST_COMPLETED)
            return ended.result() if ended.done() else await child.end()
        finally:
            ended.cancel()
            asked.cancel()
