"""What the author of a job may read about its host: facts in, a few plain lines out. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from executors.host_log import log_state, quoted
from paas_runner.docker.labels import RUNNING_STATES
from paas_runner.job.failure import RETRY, fact_sheet


@attrs.frozen(kw_only=True)
class Facts:
    """What is known of a host; `lines` are the end of its log, None when that cannot be read."""

    state: Mapping[str, Any]
    """As the engine reports it: `Status`, `ExitCode`, `OOMKilled`, `Error`; empty when the host is gone."""

    lines: Sequence[str] | None = None
    reference: str
    hidden: Sequence[str] = attrs.field(default=(), repr=False)
    """Values to be masked."""

    @property
    def going(self) -> bool:
        """Whether the job may still go on."""
        return self.state.get("Status") in RUNNING_STATES


def ended(facts: Facts) -> str:
    """For a host whose job is ended because of it."""
    happened = "ended before its job had" if facts.state else "was removed by someone else"
    return f"The host of this job {happened}.\n{particulars(facts)}"


def particulars(facts: Facts) -> str:
    """What is known beyond what happened."""
    cause, advice = _explained(facts.state)
    sheet = fact_sheet(
        {
            "Docker": _describe(facts.state),
            "Likely cause": cause,
            "What to do": advice,
            "Reference": facts.reference,
            "Its own log": log_state(facts.lines) if facts.state else "",
        }
    )
    return sheet + quoted(facts.lines, facts.hidden)


def _describe(state: Mapping[str, Any]) -> str:
    if not state:
        return "it does not know the container any more"
    status = state.get("Status", "")
    if status in RUNNING_STATES:
        return f"the container is {status}"
    if status == "created":
        return "the container was never started"
    parts = [f"the container ended with exit code {state.get('ExitCode', 'unknown')}"]
    if state.get("OOMKilled"):
        parts.append("killed because memory ran out")
    if state.get("Error"):
        parts.append(str(state["Error"]))
    return ", ".join(parts)


_OPERATORS = "ask the operators of this runner"
_BY_EXIT_CODE: Mapping[int, tuple[str, str]] = {
    69: ("its inner runner could not reach the coordinator any more", RETRY),
    78: ("its inner runner cannot use its configuration", f"{_OPERATORS}, who find more in its log"),
    137: ("the container was killed, or the engine was restarted", RETRY),
}


def _explained(state: Mapping[str, Any]) -> tuple[str, str]:
    """The likely cause, and who can do what."""
    if not state:
        return "a person, or another program, removed the container from the engine", RETRY
    if state.get("Status") in RUNNING_STATES:
        questions = (
            "can a container reach the coordinator (docker_network), is heptapod_runner_main_image right?"
        )
        return "its inner runner does not reach the coordinator, or is none", f"{_OPERATORS}: {questions}"
    if state.get("OOMKilled"):
        return "the job needs more memory than the engine's machine has", RETRY
    return _BY_EXIT_CODE.get(state.get("ExitCode", 0)) or (
        "the inner runner on it ended with an error, without a word to the coordinator",
        RETRY,
    )
