"""What a step is given: the context with our keys, in the forms of the container protocol (spec §3–§5)."""

import base64
import json
from collections.abc import Collection

from paas_workflows.definition.checking import has_path
from paas_workflows.definition.workflow_file import Action, Object
from paas_workflows.machine.execution import Execution, StepRun

VARIABLE = "KOG_CONTEXT"
UNDERSTOOD = "KOG_ENV_CONTEXT"
"""Set to `true` in an image that reads the variable; another one gets the context by its standard input."""

MOST_BYTES = 128 * 1024
"""Of a variable with its name and the zero byte at its end: Linux takes no more (`MAX_ARG_STRLEN`)."""


def context_of(execution: Execution, run: StepRun, log: Object) -> Object:
    """The context that a step is given; whatever it had of our keys is replaced."""
    return {
        **execution.context,
        "task_name": execution.file.name,
        "step_name": run.step,
        "action_name": execution.file.steps[run.step].action,
        "correlation_id": execution.id,
        "run_id": run.run_id,
        "log": log,
    }


def refusal(execution: Execution, run: StepRun, context: Object, variables: Collection[str]) -> str:
    """Why a step aborts before it has a container; empty where it may begin.

    `variables` are the names of those that it is given and that are not empty.
    """
    name = execution.file.steps[run.step].action
    if (action := execution.file.actions.get(name)) is None:
        return f"the action `{name}` is not defined"
    if missing := _missing(action, context, variables):
        return f"`{name}` requires what is not there: {', '.join(missing)}"
    if len(VARIABLE) + 2 + len(encoded(context)) > MOST_BYTES:
        return f"the context is larger than {MOST_BYTES >> 10} KiB as base64: a container cannot be given it"
    return ""


def as_json(context: Object) -> bytes:
    """For the standard input of older images."""
    return json.dumps(context, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def encoded(context: Object) -> str:
    """For the variable."""
    return base64.b64encode(as_json(context)).decode()


def _missing(action: Action, context: Object, variables: Collection[str]) -> list[str]:
    return [
        *(f"the variable {name}" for name in action.required_env if name not in variables),
        *(f"{path} in the context" for path in action.required_paths if not has_path(context, path)),
    ]
