"""What the conformance suite has to know of the provider behind an executor, and be able to do to it."""

import enum
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from paas_runner.executor.contract import Executor, HostRequest
from paas_runner.job.payload import read
from paas_runner.job.tracked import HostName, JobKey, host_name


class Call(enum.StrEnum):
    """The calls to a provider whose answers may be lost."""

    CREATE = "create"
    LAUNCH = "launch"
    DELETE = "delete"


class Provider(Protocol):
    """One provider, real or simulated, for one test; in the beginning it has no hosts."""

    def executor(self, installation: str) -> Executor:
        """A new executor, as after a start of that installation's service; the suite closes it."""

    def request(self, job_id: int) -> HostRequest:
        """For a job that goes on until its host is removed; `host_request` below makes the usual one."""

    async def existing(self) -> Sequence[str]:
        """The names of all hosts that exist, ours or not, each as often as it exists; not by the executor."""

    async def launches(self, name: HostName) -> int:
        """How often a job was begun on hosts of that name, removed ones included."""

    async def plant(self, name: HostName) -> None:
        """Make a host of that name in which nothing says that it is ours, as another program might."""

    async def vanish(self, ref: str) -> None:
        """Remove a host as a person at the provider's console might."""

    def losing_the_answer(self, call: Call) -> AbstractContextManager[None]:
        """In the block the first such call is performed, but its answer never arrives."""

    def slow_creation(self, seconds: float) -> AbstractContextManager[None]:
        """In the block creations take that long, and are done even if their caller no longer waits."""

    def refusing(self) -> AbstractContextManager[None]:
        """In the block creations are refused as they are when a quota or a disk is exhausted."""


def host_request(short_token: str, job_id: int, variables: Mapping[str, str] | None = None) -> HostRequest:
    """A request as the service makes it, for a job with these variables."""
    entries = [{"key": key, "value": value} for key, value in (variables or {}).items()]
    raw = {"id": job_id, "token": f"token-of-job-{job_id}", "variables": entries}
    return HostRequest(host_name=host_name(JobKey(short_token, job_id)), payload=read(raw))
