"""What the author of a job may be told about its host: facts in, a few plain lines out. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from executors.log_lines import clean
from paas_runner.job.failure import RETRY, fact_sheet

MOST_CHARACTERS = 200  # of a line, indentation included
GOING = frozenset({"running", "paused", "restarting"})

_INDENTATION = "    "


@attrs.frozen(kw_only=True)
class Facts:
    """What is known of a host; `lines` are the end of its log, None when that cannot be read."""

    state: Mapping[str, Any]
    """As the engine tells it: `Status`, `ExitCode`, `OOMKilled`, `Error`; empty when the host is gone."""

    lines: Sequence[str] | None = None
    reference: str

    @property
    def going(self) -> bool:
        """Whether the job may still go on."""
        return self.state.get("Status") in GOING


def ended(facts: Facts) -> str:
    """For a host whose job is ended because of it."""
    happened = "ended before its job had" if facts.state else "was removed by somebody else"
    return f"The host of this job {happened}.\n{particulars(facts)}"


def particulars(facts: Facts) -> str:
    """What is known beyond what happened."""
    cause, advice = _explained(facts.state)
    sheet = fact_sheet(
        {
            "Docker": _told(facts.state),
            "Likely cause": cause,
            "What to do": advice,
            "Reference": facts.reference,
            "Its own log": _log_state(facts),
        }
    )
    shown = [_cut(_INDENTATION + line) for line in facts.lines or ()]
    if shown:
        sheet += "\n  The last lines of its own log:\n" + "\n".join(shown)
    return sheet


def told_lines(text: str) -> Sequence[str]:
    """The lines that say something, as a terminal would leave them."""
    return [line for line in map(clean, text.split("\n")) if line]


def _told(state: Mapping[str, Any]) -> str:
    if not state:
        return "it does not know the container any more"
    status = state.get("Status", "")
    if status in GOING:
        return f"the container is {status}"
    if status == "created":
        return "the container was never started"
    parts = [f"the container ended with exit code {state.get('ExitCode', 'unknown')}"]
    if state.get("OOMKilled"):
        parts.append("killed for want of memory")
    if state.get("Error"):
        parts.append(str(state["Error"]))
    return ", ".join(parts)


_OPERATORS = "ask the operators of this runner"
_BY_EXIT_CODE: Mapping[int, tuple[str, str]] = {
    69: ("its inner runner could not reach the coordinator any more", RETRY),
    78: ("its inner runner cannot use its configuration", f"{_OPERATORS}, who find more in its log"),
    137: ("somebody killed the container, or the engine was restarted", RETRY),
}


def _explained(state: Mapping[str, Any]) -> tuple[str, str]:
    """The likely cause, and who can do what."""
    if not state:
        return "somebody, or another program, removed the container from the engine", RETRY
    if state.get("Status") in GOING:
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


def _log_state(facts: Facts) -> str:
    if not facts.state or facts.lines:
        return ""
    return "not available to this runner" if facts.lines is None else "empty"


def _cut(line: str) -> str:
    return line if len(line) <= MOST_CHARACTERS else f"{line[: MOST_CHARACTERS - 1]}…"
