"""The record of an execution, and how it changes by what happens (spec kog-jobs.md §2).

A record is on the disk before the outside is touched: that a step is to run before its container is made, and
how it has ended before its container is removed.
"""

import enum
from datetime import datetime
from typing import TypeAlias

import attrs

from paas_workflows.definition.workflow_file import ExitMode, Object, WorkflowFile
from paas_workflows.machine.ids import container_name
from paas_workflows.machine.result import StepResult

MOST_STEPS = 1000


class Status(enum.StrEnum):
    """Of an execution: it runs, or how it has ended."""

    RUNNING = "running"
    SUCCESS = "success"
    FAILURE = "failure"
    ABORT = "abort"
    TIMEOUT = "timeout"


class Phase(enum.StrEnum):
    """How far a step has come."""

    INTENDED = "intended"  # its container may be there
    STARTED = "started"  # it has run, or runs


@attrs.frozen(kw_only=True)
class StepRun:
    """A step that is under way."""

    run_id: str
    step: str
    container: str
    started: datetime
    phase: Phase = Phase.INTENDED


@attrs.frozen(kw_only=True)
class FinishedStep:
    """One that is over."""

    run_id: str
    step: str
    action: str
    result: ExitMode
    rc: int
    message: str
    started: datetime
    ended: datetime


@attrs.frozen(kw_only=True)
class Execution:
    """One run of a workflow file."""

    id: str
    """kog's correlation id."""

    file: WorkflowFile
    context: Object
    """What the next step is given."""

    started: datetime
    executor: str = "docker"
    step: str | None
    """Which one is under way or next; None when there is no more."""

    run: StepRun | None = None
    results: tuple[FinishedStep, ...] = ()
    to_remove: str | None = None
    """The container of the step that has just ended."""

    left: tuple[str, ...] = ()
    """Containers that could not be removed."""

    canceled: str = ""
    """By what; empty where it was not."""

    status: Status = Status.RUNNING
    message: str = ""
    rc: int = 0
    """That of the step which set the status."""

    ended: datetime | None = None
    notify_status: str = ""
    notify_message: str = ""
    most_steps: int = MOST_STEPS


@attrs.frozen(kw_only=True)
class Began:
    """The next step is to run."""

    run_id: str
    moment: datetime


@attrs.frozen(kw_only=True)
class Started:
    """Its container was started."""


@attrs.frozen(kw_only=True)
class Lost:
    """Its container is not there any more, and nobody knows how it has ended: it runs again."""


@attrs.frozen(kw_only=True)
class Ended:
    """The step is over; `has_container` where one may be left of it."""

    result: StepResult
    moment: datetime
    has_container: bool = True


@attrs.frozen(kw_only=True)
class Removed:
    """Its container is gone, or could not be removed."""

    is_gone: bool = True


@attrs.frozen(kw_only=True)
class Canceled:
    """Somebody wants it to end."""

    reason: str


@attrs.frozen(kw_only=True)
class Concluded:
    """The end was told."""

    moment: datetime
    notify_status: str
    notify_message: str


Event: TypeAlias = Began | Started | Lost | Ended | Removed | Canceled | Concluded


def begun(*, id: str, file: WorkflowFile, moment: datetime, executor: str = "docker") -> Execution:  # noqa: A002
    """A new one."""
    return Execution(
        id=id, file=file, context=file.context, started=moment, step=file.current_step, executor=executor
    )


def apply(execution: Execution, event: Event) -> Execution:
    """The record after what has happened; raises ValueError for what cannot."""
    match event:
        case Began() if execution.step and not execution.run:
            run = StepRun(
                run_id=event.run_id,
                step=execution.step,
                container=container_name(execution.id, event.run_id),
                started=event.moment,
            )
            return attrs.evolve(execution, run=run)
        case Started() if execution.run:
            return attrs.evolve(execution, run=attrs.evolve(execution.run, phase=Phase.STARTED))
        case Lost() if execution.run:
            return attrs.evolve(execution, run=None)
        case Ended() if execution.run:
            return _after_step(execution, execution.run, event)
        case Removed() if execution.to_remove:
            left = execution.left if event.is_gone else (*execution.left, execution.to_remove)
            return attrs.evolve(execution, to_remove=None, left=left)
        case Canceled() if execution.status is Status.RUNNING:
            ended = attrs.evolve(execution, canceled=event.reason)
            return ended if execution.run else _aborted(ended, f"canceled by {event.reason}")
        case Concluded() if execution.status is not Status.RUNNING:
            return attrs.evolve(
                execution,
                ended=event.moment,
                notify_status=event.notify_status,
                notify_message=event.notify_message,
            )
    raise ValueError(f"{type(event).__name__} cannot happen to {execution.id} now")


def _after_step(execution: Execution, run: StepRun, event: Ended) -> Execution:
    result, step = event.result, execution.file.steps[run.step]
    finished = FinishedStep(
        run_id=run.run_id,
        step=run.step,
        action=step.action,
        result=result.result,
        rc=result.rc,
        message=result.message,
        started=run.started,
        ended=event.moment,
    )
    target = step.targets.get(result.result)
    if execution.file.stop_on_failure and result.result is not ExitMode.SUCCESS:
        target = None
    after = attrs.evolve(
        execution,
        run=None,
        results=(*execution.results, finished),
        context=execution.context if result.context is None else result.context,
        to_remove=run.container if event.has_container else None,
        step=target,
    )
    if execution.canceled:
        return _aborted(after, f"canceled by {execution.canceled}")
    if target is None:
        return _over(after)
    if len(after.results) >= execution.most_steps:
        return _aborted(after, f"more than {execution.most_steps} steps: does it go around in a circle?")
    return after


def _over(execution: Execution) -> Execution:
    """The first step that did not succeed sets the status."""
    deciding = next(
        (each for each in execution.results if each.result is not ExitMode.SUCCESS), execution.results[-1]
    )
    return attrs.evolve(execution, status=Status(deciding.result), message=deciding.message, rc=deciding.rc)


def _aborted(execution: Execution, message: str) -> Execution:
    return attrs.evolve(execution, step=None, status=Status.ABORT, message=message, rc=0)
