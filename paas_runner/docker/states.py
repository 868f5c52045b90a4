"""What the engine tells of a container: whether it was started, for how long it ran, what ended it. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from paas_runner.container import Ended, by_signal
from paas_runner.docker.labels import moment

_CANNOT_START = (126, 127)
"""With these the engine ends what it could not start: it may not be run, or is not there (`docker run`)."""


def is_new(state: Mapping[str, Any]) -> bool:
    """Whether nobody has started it; one that could not be started has ended instead."""
    return state["Status"] == "created" and state.get("ExitCode") not in _CANNOT_START


def age(state: Mapping[str, Any], now: datetime) -> timedelta:
    """How long it has run at that moment of the engine's clock."""
    return now - (moment(state.get("StartedAt")) or now)


def ended_at(state: Mapping[str, Any]) -> datetime:
    """Long ago where it was never started."""
    return moment(state.get("FinishedAt")) or datetime.min.replace(tzinfo=UTC)


def ended(state: Mapping[str, Any]) -> Ended:
    """For a container that does not run any more: `ExitCode`, `Error`, `OOMKilled`."""
    code = int(state.get("ExitCode", 0))
    return Ended(code=code, cause=_cause(code, state))


def _cause(code: int, state: Mapping[str, Any]) -> str:
    if error := str(state.get("Error") or "").strip():
        return f"it could not be started: {error}" if code in _CANNOT_START else error
    if state.get("OOMKilled"):
        return "it was killed, since it used more memory than there is for it"
    return by_signal(code)
