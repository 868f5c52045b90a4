"""The loop: decide, act, record what happened, decide …, until nothing is left to do.

Killed anywhere, it begins again with the record that is on the disk, and no step that is over runs again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import attrs
import structlog

from paas_workflows.machine.deciding import Intent, job_object, next_intent
from paas_workflows.machine.execution import (
    Began,
    Canceled,
    Concluded,
    Ended,
    Event,
    Execution,
    Lost,
    Status,
    StepRun,
    apply,
)
from paas_workflows.machine.ids import Ids
from paas_workflows.notifying import Notified
from paas_workflows.running.steps import Steps

log = structlog.stdlib.get_logger(__name__)


Save: TypeAlias = Callable[[Execution], Awaitable[None]]
"""It is on the disk when this returns."""

Tell: TypeAlias = Callable[[Mapping[str, Any]], Awaitable[Notified]]
"""The job goes to all who want to know; never raises."""


@attrs.frozen(kw_only=True)
class Interpreter:
    """Brings executions to their end."""

    steps: Steps
    save: Save
    tell: Tell
    ids: Ids
    cancel: "asyncio.Future[str]"
    """Done when somebody wants it to end; the result says by what."""

    async def run(self, execution: Execution) -> Execution:
        """The record of the end, which is saved; so is each on the way."""
        adopted = execution.run
        while (intent := next_intent(execution)) is not None:
            event = await self._happened(intent, execution, adopted)
            _note(execution, event)
            execution = apply(execution, event)
            await self.save(execution)
        return execution

    async def _happened(self, intent: Intent, execution: Execution, adopted: StepRun | None) -> Event:
        """A cancellation comes between, except where a step has ended at the same time."""
        if execution.canceled or execution.status is not Status.RUNNING:
            return await self._act(intent, execution, adopted)
        acting = asyncio.ensure_future(self._act(intent, execution, adopted))
        try:
            if not self.cancel.done() or intent is Intent.REMOVE:
                either: set[asyncio.Future[Any]] = {acting, self.cancel}
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if acting.done() or intent is Intent.REMOVE:
                return await acting
            return Canceled(reason=self.cancel.result())
        finally:
            acting.cancel()
            await asyncio.gather(acting, return_exceptions=True)

    async def _act(self, intent: Intent, execution: Execution, adopted: StepRun | None) -> Event:
        steps, run = self.steps, execution.run
        match intent:
            case Intent.START if run:
                await self.tell(job_object(execution))
                return await steps.start(execution, run)
            case Intent.FOLLOW if run:
                return await steps.follow(execution, run, is_adopted=run == adopted)
            case Intent.STOP if run:
                return await steps.stop(run, execution.canceled)
            case Intent.REMOVE if execution.to_remove:
                return await steps.remove(execution.to_remove)
            case Intent.CONCLUDE:
                told = await self.tell(job_object(execution))
                return Concluded(moment=steps.now(), notify_status=told.status, notify_message=told.message)
            case _:
                return Began(run_id=self.ids.fresh(), moment=steps.now())


def _note(execution: Execution, event: Event) -> None:
    """In the log, what a reader of it waits for."""
    facts = {"step": execution.step, "execution": execution.id}
    match event:
        case Began():
            log.info("step_began", run_id=event.run_id, **facts)
        case Ended(result=result):
            log.info("step_ended", result=result.result, rc=result.rc, message=result.message, **facts)
        case Lost():
            log.warning("step_lost", consequence="its container is gone: it runs again", **facts)
        case Canceled():
            log.warning("canceled", reason=event.reason, **facts)
        case Concluded():
            log.info("ended", execution=execution.id, status=execution.status, message=execution.message)
