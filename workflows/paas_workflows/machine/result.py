"""What a container says of itself: the line `KOG:{"result":…,"rc":…,"message":…,"context":{…}}` (spec §5)."""

from typing import Any

import attrs

from paas_runner import foreign_json
from paas_workflows.definition.workflow_file import ExitMode, Object

PREFIX = b"KOG:"
MOST_LINE_BYTES = 1024 * 1024
ENGINE_FAILED, TIMED_OUT = 125, 124
"""What `rc` is where no container could say it: as `docker run` and `timeout` end."""


class MalformedResultError(ValueError):
    """A line that begins as a result and is none; the text says why, and quotes nothing of it."""


@attrs.frozen(kw_only=True)
class StepResult:
    """How a step has ended; without a `context` the one before stays."""

    result: ExitMode
    rc: int
    message: str = ""
    context: Object | None = None


def result_in(line: bytes) -> StepResult | None:
    """None for a line of the log; raises `MalformedResultError`.

    Of a list of results, which are finished steps one after the other, the last one counts.
    """
    if not line.startswith(PREFIX):
        return None
    if len(line) > MOST_LINE_BYTES:
        raise MalformedResultError(f"longer than {MOST_LINE_BYTES >> 20} MiB")
    try:
        found = foreign_json.loads(line[len(PREFIX) :])
    except ValueError:
        raise MalformedResultError("no JSON") from None
    if isinstance(found, list) and found:
        found = found[-1]
    if not isinstance(found, dict):
        raise MalformedResultError("no object")
    return _result(found)


def without_result(code: int, cause: str) -> StepResult:
    """Of a container that has ended without a word."""
    text = "no result" if code == 0 else f"no result, and the container ended with {code}"
    return StepResult(result=ExitMode.FAILURE, rc=code or 1, message=f"{text}: {cause}" if cause else text)


def _result(found: dict[str, Any]) -> StepResult:
    word, rc = found.get("result"), found.get("rc")
    message, context = found.get("message"), found.get("context")
    if not isinstance(word, str):
        raise MalformedResultError("`result` is no text")
    if rc is not None and type(rc) is not int:
        raise MalformedResultError("`rc` is no whole number")
    if not isinstance(message, str | None):
        raise MalformedResultError("`message` is no text")
    if not isinstance(context, dict | None):
        raise MalformedResultError("`context` is no object")
    try:
        result = ExitMode(word)
    except ValueError:
        result = ExitMode.FAILURE
        message = f'the unknown result "{word[:40]}"' + (f": {message}" if message else "")
    if rc is None:
        rc = 0 if result is ExitMode.SUCCESS else 1
    return StepResult(result=result, rc=rc, message=message or "", context=context)
