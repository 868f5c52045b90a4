"""What is to be done next, by the record alone; and what an execution is to the outside (spec §8, §9)."""

import enum
from typing import Any

from paas_workflows.definition.workflow_file import ExitMode, WorkflowFile
from paas_workflows.machine.execution import Execution, FinishedStep, Phase, Status
from paas_workflows.machine.result import TIMED_OUT

OWN_ERROR = 2
ABORTED = 15
"""By an `rc` that is no exit code of its own, such as that of an abort of ours."""


class Intent(enum.Enum):
    """What an interpreter does, and which event it brings back."""

    BEGIN = enum.auto()  # write down that the next step runs → Began
    START = enum.auto()  # tell of it, look at what it requires, make and start its container → Started, Ended
    FOLLOW = enum.auto()  # read what the container writes, wait for its end → Ended, Lost
    STOP = enum.auto()  # end the container → Ended
    REMOVE = enum.auto()  # remove it → Removed
    CONCLUDE = enum.auto()  # tell how all has ended → Concluded


def next_intent(execution: Execution) -> Intent | None:
    """None where nothing is left to do."""
    if execution.to_remove:
        return Intent.REMOVE
    if execution.run:
        if execution.canceled:
            return Intent.STOP
        return Intent.START if execution.run.phase is Phase.INTENDED else Intent.FOLLOW
    if execution.status is Status.RUNNING:
        return Intent.BEGIN
    return Intent.CONCLUDE if execution.ended is None else None


def exit_code(execution: Execution, *, use_job_rc: bool = True) -> int:
    """How a program ends that has run it to its end (spec §9)."""
    own = execution.rc if 1 <= execution.rc <= TIMED_OUT else None
    if execution.status is Status.RUNNING:
        return OWN_ERROR
    codes = {Status.FAILURE: own or 1, Status.ABORT: own or ABORTED, Status.TIMEOUT: TIMED_OUT}
    return codes.get(execution.status, 0) if use_job_rc else 0


def job_object(execution: Execution) -> dict[str, Any]:
    """What notifiers are sent: the file as it is at the moment, with what has become of it.

    The values of actions' variables are not in it.
    """
    return {
        **_file_object(execution.file),
        "current_step": execution.step or (execution.results[-1].step if execution.results else None),
        "context": execution.context,
        "id": execution.id,
        "status": execution.status,
        "results": [_result_object(each) for each in execution.results],
    }


def job_result(execution: Execution) -> dict[str, Any]:
    """What kog calls the result of a job."""
    return {
        "correlation_id": execution.id,
        "task_name": execution.file.name,
        "status": execution.status,
        "message": execution.message,
        "notify_status": execution.notify_status,
        "notify_message": execution.notify_message,
    }


def _file_object(file: WorkflowFile) -> dict[str, Any]:
    steps = {
        workflow: {
            name: {
                "action": step.action,
                **{mode: step.targets[mode] for mode in ExitMode if mode in step.targets},
                **({"duration": f"{step.duration.total_seconds():g}s"} if step.duration else {}),
            }
            for name, step in steps.items()
        }
        for workflow, steps in file.workflows.items()
    }
    actions = {
        name: {
            "image": action.image,
            "version": action.version,
            "env": dict.fromkeys(action.env, "[masked]"),
            "requirements": {"env": action.required_env, "context_paths": action.required_paths},
            "output": {"context": action.output},
        }
        for name, action in file.actions.items()
    }
    return {
        "name": file.name,
        "description": file.description,
        "current_workflow": file.current_workflow,
        "stop_on_failure": file.stop_on_failure,
        "workflows": steps,
        "actions": actions,
    }


def _result_object(step: FinishedStep) -> dict[str, Any]:
    return {
        "step_name": step.step,
        "result": step.result,
        "rc": step.rc,
        "message": step.message,
        "run_id": step.run_id,
        "started": step.started.isoformat(),
        "ended": step.ended.isoformat(),
    }
