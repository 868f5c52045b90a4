"""What a run was given, as the scripts of its tasks see it (spec automation.md §3).

Where the params of a run were checked, a script template has only what nobody can write into: numbers, truth
values, and texts of a list; and of a failure the name and the code. All the rest are variables of the
environment, which no shell takes for commands. The args of an action stand in the pipeline file itself.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from paas_pipelines.definitions.parameter import variable_of
from paas_pipelines.runs.run import Run, Task

_ARGS = "args"
_SAFE_OF_A_FAILURE = ("failedTaskName", "failedTaskExitCode")


def template_variables(run: Run, task: Task, told: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    """What templates of the script see; `told` is what an `on_error` task is told of the failure."""
    given, further = run.variables, dict(told or {})
    if run.params:
        safe = {parameter.name for parameter in run.params if not parameter.is_free}
        given = {name: value for name, value in given.items() if name in safe}
        further = {name: further[name] for name in _SAFE_OF_A_FAILURE if name in further}
    args = {_ARGS: task.definition.args} if task.definition.args else {}
    return {**given, **further, **args}


def environment(run: Run, task: Task) -> Iterator[tuple[str, str]]:
    """`PARAM_…` and `ARG_…`: texts as they are, all else as JSON; nothing for what was not given."""
    for parameter in run.params:
        if (value := run.variables.get(parameter.name)) is not None:
            yield variable_of(parameter.name), _text(value)
    for name, value in task.definition.args.items():
        yield f"ARG_{name.upper()}", _text(value)


def _text(value: Any) -> str:
    """Without zero bytes, which no environment can have."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.replace("\0", "")
