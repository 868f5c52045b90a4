"""What a plug-in has to do, and what it is told: its author imports this, and `paas_runner.settings`.

An entry point names an object with `settings`, a frozen attrs class whose fields are made by
`paas_runner.settings.setting`, and `build`, which gets an instance of it. Everything runs in the server's
event loop: what blocks belongs into a thread. After `kill -9` the same work comes again, by the same `key`.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import attrs

from paas_runner.secret import Secret


class FailedError(Exception):
    """Raised by a plug-in: the text is for whoever reads the run, and has no secret in it."""


@attrs.frozen(kw_only=True)
class Work:
    """One task that is to be brought to its end."""

    run: str
    pipeline: str
    task: str
    attempt: int
    user: str
    """Who started the run; empty where nobody is known."""

    params: Mapping[str, Any]
    args: Mapping[str, Any]
    """Of the action in the file that it uses."""

    outputs: Mapping[str, Any]
    """By task, then by name: what the tasks before it have told."""

    write: Callable[[str], None]
    """Into the task's log."""

    stop: asyncio.Event
    """Once it is set the work is to end early."""

    @property
    def key(self) -> str:
        """The same each time that the same work comes: for what must not be done twice."""
        return f"{self.run}/{self.task}/{self.attempt}"


@attrs.frozen(kw_only=True)
class ScriptWork(Work):
    """One with a script."""

    script: Sequence[str]
    """Entries of a shell's text, each after the other; the first that fails ends it."""

    shell: Sequence[str]
    """The program that is to read them, where that is not `sh`."""

    env: Mapping[str, str]
    secrets: Mapping[str, Secret]
    """Variables, too, which appear in no argument and no file that others can read."""

    secret_files: Mapping[str, Secret]
    """Variables that have the path of a file of mode 0600 with this."""

    write_error: Callable[[str], None]
    again: bool
    """Whether an earlier life of the server may have begun it: then find it by its `key`."""


@attrs.frozen(kw_only=True)
class ScriptEnd:
    """How a script has ended; `outputs` are the lines `name=value` of its $PIPELINE_OUTPUT."""

    exit_code: int = 0
    outputs: bytes = b""


@attrs.frozen(kw_only=True)
class Message:
    """What a notifier is to tell; the same `key` may come again, and is to be told once."""

    key: str
    at: datetime
    subject: str
    text: str
    channel: str
    link: str


class Action(Protocol):
    """A type of task."""

    async def run(self, work: Work) -> Mapping[str, Any] | None:
        """Its outputs; raises `FailedError`. It is repeated with the same `key` after a crash."""


class ScriptExecutor(Protocol):
    """Where scripts run; one that has `resumes = True` finds by its `key` what it began before a crash."""

    async def run(self, work: ScriptWork) -> ScriptEnd:
        """To its end, with nothing of it left; raises `FailedError`."""


class Teller(Protocol):
    """A way to people; of a time-out it knows nothing, it is given half a minute."""

    async def deliver(self, message: Message) -> None:
        """Raises `FailedError` where it was not taken; it comes again later."""


class Source(Protocol):
    """Where the values of a credential come from; its kind has `fields`, the main one first."""

    async def value(self, field: str) -> Secret | str:
        """Raises `FailedError`."""
