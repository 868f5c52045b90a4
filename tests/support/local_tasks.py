"""One task on this machine, without records: what it said, and how it ended."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
from paas_pipelines.definitions.definition import TaskDefinition
from paas_pipelines.runs.run import Run, Task, TaskEnd
from paas_pipelines.tasks.local import LocalPlace
from paas_pipelines.tasks.place import TaskOrder, order_of
from paas_pipelines.tasks.shell import Shell, shell_of_this_machine

BASH = shell_of_this_machine()
SH = Shell(program="/bin/sh", reads=". {}")
SHELLS = [BASH, SH]


class Said:
    """What a task has written so far."""

    def __init__(self) -> None:
        self.out, self.err = bytearray(), bytearray()

    def stdout(self, data: bytes) -> None:
        self.out += data

    def stderr(self, data: bytes) -> None:
        self.err += data


@attrs.frozen
class Ended:
    end: TaskEnd
    out: str
    err: str

    @property
    def lines(self) -> Sequence[str]:
        return self.out.splitlines()


def place(
    folder: Path, *, environment: Mapping[str, str] | None = None, shell: Shell = BASH, **more: Any
) -> LocalPlace:
    given = {"PATH": os.environ["PATH"], **(environment or {})}
    return LocalPlace(given, folder=folder, program=shell, **more)


def order(
    *script: str,
    variables: Mapping[str, Any] | None = None,
    name: str = "task",
    run_id: str = "",
    **keys: Any,
) -> TaskOrder:
    """`keys` are the task's; `pipeline_env` is the pipeline's."""
    env = keys.pop("pipeline_env", {})
    task = Task(name=name, definition=TaskDefinition(script=script, **keys))
    run = Run(
        run_id=run_id or os.urandom(8).hex(),
        number=1,
        pipeline="one",
        created=datetime.now(UTC),
        tasks=(task,),
        env=env,
        variables=variables or {},
    )
    return order_of(run, task)


async def ran(where: LocalPlace, given: TaskOrder, stop: asyncio.Event | None = None) -> Ended:
    said = Said()
    end = await where.run(given, said, stop or asyncio.Event())
    return Ended(end, said.out.decode(errors="replace"), said.err.decode(errors="replace"))
