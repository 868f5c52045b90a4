"""One step: its container made, followed to its end, stopped, removed (spec kog-jobs.md §3).

Each act may be repeated: a container's name follows from the step's record, and a place adopts what is there.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import TypeVar

import attrs
import structlog

from paas_runner.container import Ended as ContainerEnded
from paas_runner.container import Place, Stream, Wanted
from paas_runner.errors import Rejected, RemoteError, Transient
from paas_runner.loop.timing import Clock, backoff, sleep
from paas_runner.secret import Secret
from paas_workflows.definition.workflow_file import Action, ExitMode, Object
from paas_workflows.machine.context import UNDERSTOOD, VARIABLE, as_json, context_of, encoded, refusal
from paas_workflows.machine.execution import Ended, Execution, Lost, Removed, Started, StepRun
from paas_workflows.machine.result import (
    ENGINE_FAILED,
    TIMED_OUT,
    MalformedResultError,
    StepResult,
    result_in,
    without_result,
)

GRACE = timedelta(seconds=10)
PATIENCE = timedelta(minutes=2)
"""For a place that cannot be asked."""

REST_OF_LINES = timedelta(seconds=30)
"""Within which they have to come after the end of their container."""

_BEYOND = timedelta(minutes=1)
"""How much later than we would the place ends a container by itself, in case that we are not there."""

T = TypeVar("T")
log = structlog.stdlib.get_logger(__name__)


@attrs.frozen(kw_only=True)
class Steps:
    """The steps of one execution, on one place."""

    place: Place
    variables: Callable[[Mapping[str, str]], Mapping[str, Secret]]
    """The environment of an action, by its own."""

    volumes: Sequence[str] = ()
    log: Object = attrs.field(factory=dict)
    """What steps find in their context under that name."""

    now: Clock
    chance: random.Random = attrs.field(factory=random.Random)

    async def start(self, execution: Execution, run: StepRun) -> Started | Ended:
        """Its container is there and was started, unless the step cannot begin.

        Only who has created a container in this process may start it: Kubernetes knows its environment then.
        """
        name = execution.file.steps[run.step].action
        action = execution.file.actions.get(name, Action(image=""))
        context, variables = context_of(execution, run, self.log), self.variables(action.env)
        not_empty = [variable for variable, value in variables.items() if value.reveal()]
        if why := refusal(execution, run, context, not_empty):
            return self._ended(ExitMode.ABORT, 0, why, has_container=False)
        duration = execution.file.steps[run.step].duration
        wanted = Wanted(
            name=run.container,
            image=action.reference,
            environment={**variables, VARIABLE: Secret(encoded(context))},
            labels={
                "paas-runner.workflow": execution.file.name,
                "paas-runner.step": run.step,
                "paas-runner.action": name,
                "paas-runner.correlation-id": execution.id,
                "paas-runner.run-id": run.run_id,
            },
            volumes=self.volumes,
            ends_after=duration and duration + _BEYOND,
        )
        try:
            image = await self._patiently(lambda: self.place.prepare(wanted))
            told = image.environment
            takes_input = told is not None and told.get(UNDERSTOOD, "").lower() != "true"
            await self._patiently(lambda: self.place.create(attrs.evolve(wanted, takes_input=takes_input)))
            data = as_json(context) if takes_input else None
            await self._patiently(lambda: self.place.start(wanted.name, data))
        except RemoteError as error:
            return self._failed(error)
        return Started()

    async def follow(self, execution: Execution, run: StepRun, *, is_adopted: bool) -> Ended | Lost:
        """It has ended; it is lost where somebody has removed an adopted one."""
        said = _Said(run)
        reading = asyncio.create_task(said.read(self.place))
        reading.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            limit = execution.file.steps[run.step].duration
            ended = await self._patiently(lambda: self.place.wait(run.container, limit))
            if ended is None:
                await self._patiently(lambda: self.place.stop(run.container, GRACE))
            async with asyncio.timeout(REST_OF_LINES.total_seconds()):
                await reading
        except TimeoutError:
            log.warning("step_output_incomplete", step=run.step, run_id=run.run_id)
        except Rejected as error:
            return Lost() if is_adopted and error.status == 404 else self._failed(error)
        except Transient as error:
            return self._failed(error)
        finally:
            reading.cancel()
        if ended is None:
            return self._ended(ExitMode.TIMEOUT, TIMED_OUT, "it has not ended in time")
        return Ended(result=said.result(ended), moment=self.now())

    async def stop(self, run: StepRun, reason: str) -> Ended:
        """It is canceled."""
        try:
            await self._patiently(lambda: self.place.stop(run.container, GRACE))
        except RemoteError as error:
            log.warning("step_not_stopped", step=run.step, reason=str(error))
        return self._ended(ExitMode.ABORT, 0, f"canceled by {reason}")

    async def remove(self, container: str) -> Removed:
        """Nothing is left of a container."""
        try:
            await self._patiently(lambda: self.place.remove(container))
        except RemoteError as error:
            log.warning("container_left", container=container, reason=str(error))
            return Removed(is_gone=False)
        return Removed()

    def _failed(self, error: RemoteError) -> Ended:
        return self._ended(ExitMode.ABORT, ENGINE_FAILED, str(error))

    def _ended(self, mode: ExitMode, rc: int, message: str, *, has_container: bool = True) -> Ended:
        result = StepResult(result=mode, rc=rc, message=message)
        return Ended(result=result, moment=self.now(), has_container=has_container)

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Asked again as long as an outage lasts that is no longer than `PATIENCE`."""
        loop, since, attempts = asyncio.get_running_loop(), 0.0, 0
        while True:
            asked = loop.time()
            try:
                return await ask()
            except Transient as error:
                if not attempts or loop.time() - asked > PATIENCE.total_seconds():
                    since, attempts = loop.time(), 0
                attempts += 1
                pause = backoff(attempts, self.chance, retry_after=error.retry_after)
                if loop.time() + pause.total_seconds() - since > PATIENCE.total_seconds():
                    raise
                if attempts == 1:
                    log.warning("place_unavailable", reason=str(error), consequence="it is waited for")
            await sleep(pause)


class _Said:
    """What a container has written: the log, and its result."""

    def __init__(self, run: StepRun) -> None:
        self._run = run
        self._result: StepResult | None = None

    async def read(self, place: Place) -> None:
        """All of it; raises as the place does."""
        async for line in place.lines(self._run.container):
            try:
                found = result_in(line.text) if line.stream is Stream.OUTPUT else None
            except MalformedResultError as error:
                log.warning("result_malformed", step=self._run.step, reason=str(error))
                continue
            if found:
                self._result = found
            else:
                text = line.text.decode(errors="replace")
                log.info("step_output", step=self._run.step, stream=line.stream, line=text)

    def result(self, ended: ContainerEnded) -> StepResult:
        """The last one that was well-formed counts, whatever the container's own code is."""
        return self._result or without_result(ended.code, ended.cause)
