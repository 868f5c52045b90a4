"""What we raise on purpose: the type says what to do next, the fields say who failed.

The type also says how a program ends that lets the error through: `commands.command.exit_code_of` prints the
message and returns the exit code, for all our programs.
"""

import enum
from typing import ClassVar


class Exit(enum.IntEnum):
    """Documented in docs/operations.md and in --help; the large numbers are those of sysexits.h."""

    OK = 0
    FAILED = 1
    USAGE = 2
    LEFT_OVER = 3  # drained, but not all is gone
    STATE = 74  # the store or the state file cannot be read or written
    IN_USE = 75  # another process works on the same state
    CONFIG = 78


class RunnerError(Exception):
    """Root of all that we raise on purpose; its text is for a reader."""

    exit_code: ClassVar[Exit] = Exit.FAILED
    """How a program ends that can do nothing about it."""

    names_its_place: ClassVar[bool] = False
    """Whether the text begins with a file, and a program prints it without its own name before it."""


class UsageError(RunnerError):
    """The arguments are wrong in a way that only their meaning shows."""

    exit_code = Exit.USAGE


class IllegalTransitionError(RunnerError):
    """A bug of ours: an event that the job's phase does not know."""


class MissingPackagesError(RunnerError):
    """The packages of an extra are not installed; `error` names the first, `wanted_by` what needs them."""

    def __init__(self, error: ModuleNotFoundError, *, extra: str = "demo", wanted_by: str = "") -> None:
        super().__init__(
            f"{wanted_by} needs more packages ({error.name}): in a checkout of PaaS Runner, "
            f"pip install '.[{extra}]'".lstrip()
        )


class RemoteError(RunnerError):
    """Another system did not do what it was asked; `op` names the call, never its credentials."""

    def __init__(
        self,
        text: str,
        *,
        service: str,
        op: str,
        status: int | None = None,
        retry_after: float | None = None,
        advice: str = "",
        reference: str = "",
    ) -> None:
        """Keep the facts as fields; `retry_after` is in seconds.

        `advice` is what a reader can do about it, `reference` the other system's own name for the call.
        """
        super().__init__(f"{service}, {op}: {text}" + (f" (request {reference})" if reference else ""))
        self.text = text
        self.service = service
        self.op = op
        self.status = status
        self.retry_after = retry_after
        self.advice = advice
        self.reference = reference


class Transient(RemoteError):  # noqa: N818 - the name is the consequence, as in `except Transient`
    """Worth trying again; for a call that creates something, its outcome is unknown."""


class Rejected(RemoteError):  # noqa: N818 - the same
    """Asked again unchanged, it fails again."""
