"""What a helper service can be asked, whatever it speaks, and what its answers mean.

The words are those of `paas_runner.helper.protocol`. What our helper says beyond 1.1.1's protocol, in its
headers, is unknown of any other one, and everything works without it.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Protocol

import attrs

from paas_runner.errors import Rejected, Transient
from paas_runner.helper.protocol import (
    CLEAN_HEADER,
    FORGET_SECONDS,
    INSTANCE_HEADER,
    LEASE_HEADER,
    NOT_CLEAN,
    GrpcMethod,
    JobKey,
    JobStatus,
    LaunchRequest,
)

ANSWER_SECONDS = 30.0
SECONDS: Mapping[GrpcMethod, float] = {
    GrpcMethod.CAN_TAKE_JOB: 10.0,
    GrpcMethod.FORGET_JOB: FORGET_SECONDS + ANSWER_SECONDS,
}
"""Within which an answer comes; `ANSWER_SECONDS` for the others."""

OPS: Mapping[GrpcMethod, str] = {
    GrpcMethod.CAN_TAKE_JOB: "ask whether it can take a job",
    GrpcMethod.LAUNCH_JOB: "launch the job",
    GrpcMethod.JOB_STATUS: "ask how the job is",
    GrpcMethod.FORGET_JOB: "have the job forgotten",
}

MOST_ANSWER_BYTES = 64 * 1024
LONGEST_PAUSE_SECONDS = 5.0
"""Between two tries to launch (H138)."""

LONGEST_INSTANCE = 200
LONGEST_LEASE = timedelta(days=1)


class HelperBusyError(Transient):
    """It takes no job now."""


class HelperReplacedError(Rejected):
    """It is not the one for which the job was meant, or had it before: the job may have begun there."""


class TokenRefusedError(Rejected):
    """It wants another token."""


@attrs.frozen(kw_only=True)
class Told:
    """What an answer says of the helper itself; nothing where it is not one of ours."""

    instance: str = ""
    lease: timedelta | None = None
    unclean: bool = False
    """Whether it says that it could not be cleaned."""


@attrs.frozen(kw_only=True)
class Availability:
    """Whether it takes a job."""

    takes: bool
    told: Told = Told()


@attrs.frozen(kw_only=True)
class Sighting:
    """A job that the helper knows."""

    status: JobStatus
    told: Told = Told()


class HelperClient(Protocol):
    """One helper service; whatever it answers that is none of the answers below raises.

    `Transient` for no answer and for what is no answer of a helper's, `Rejected` for a refusal.
    """

    @property
    def service(self) -> str:
        """Its name, for messages."""

    async def can_take_job(self) -> Availability:
        """Whether it is ready for a job; raises `TokenRefusedError`."""

    async def launch(self, request: LaunchRequest, *, instance: str = "") -> None:
        """Begin the job; tried once more where the helper is busy, after the pause that it asks for (H138).

        With `instance` no other start of the machine takes it. Raises `HelperBusyError`,
        `HelperReplacedError`, `TokenRefusedError`.
        """

    async def status(self, job: JobKey) -> Sighting | None:
        """How the job is; None where the helper does not know it."""

    async def forget(self, job: JobKey) -> Told:
        """Have it forget the job, and end it if it runs; one that it does not know is forgotten."""

    async def aclose(self) -> None:
        """Close connections."""


def told_by(header: Callable[[str], str | None]) -> Told:
    """From the values of the headers, by their names in lower case, as far as they are such."""
    instance, lease, clean = (
        (header(name.lower()) or "").strip() for name in (INSTANCE_HEADER, LEASE_HEADER, CLEAN_HEADER)
    )
    if not instance.isascii() or not instance.isprintable() or len(instance) > LONGEST_INSTANCE:
        instance = ""
    return Told(instance=instance, lease=_lease(lease), unclean=clean.lower() == NOT_CLEAN)


def pause(error: HelperBusyError) -> float:
    """The seconds until a launch is tried once more."""
    return (
        LONGEST_PAUSE_SECONDS if error.retry_after is None else min(error.retry_after, LONGEST_PAUSE_SECONDS)
    )


def _lease(text: str) -> timedelta | None:
    """0 is as long as the machine is there, which nothing outside of us bounds: that is no lease."""
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text)):
        return None
    return min(timedelta(seconds=int(text)), LONGEST_LEASE)
