"""What clients ask, read within bounds; whatever is wrong is refused in the words of the spec (§6, §7)."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import attrs
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from paas_pipelines.api.shapes import encoded
from paas_pipelines.runs.book import RunBook, UnknownRunError
from paas_pipelines.runs.run import Run, Task
from paas_runner import foreign_json
from paas_runner.server.wire import Refused, bounded_body

JSON = "application/json"
MOST_BODY_BYTES = 1024 * 1024
MOST_VARIABLES = 1000
MOST_KEY_LETTERS = 255

_RUN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class RefusedError(Exception):
    """Ends a request with a status and `{"error": text}`."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status

    def response(self) -> Response:
        return json_answer(encoded({"error": str(self)}), self.status)


@attrs.frozen(kw_only=True)
class ScheduleRequest:
    """The body of `POST /pipelines/schedule`."""

    pipeline: str = ""
    variables: Mapping[str, Any] = attrs.field(factory=dict)
    partition: str = ""
    digest: str = ""
    """Of all of the body."""


def json_answer(body: bytes, status: int = 200) -> Response:
    """One value of JSON and a newline."""
    return Response(body + b"\n", status, media_type=JSON)


async def schedule_request(request: Request) -> ScheduleRequest:
    """Whatever its content type says; raises `RefusedError` with 400, 408 or 413."""
    try:
        return decoded_schedule_request(await bounded_body(request, MOST_BODY_BYTES))
    except Refused:
        raise RefusedError(413, f"Request body is larger than {MOST_BODY_BYTES} bytes") from None
    except (ClientDisconnect, TimeoutError):
        raise RefusedError(408, "Request body did not come") from None
    except ValueError as error:
        raise RefusedError(400, f"Error decoding JSON: {error}") from None


async def json_object(request: Request) -> dict[str, Any]:
    """The body, empty where there is none; raises `RefusedError` with 400, 408 or 413."""
    try:
        body = await bounded_body(request, MOST_BODY_BYTES)
        return decoded_object(body) if body else {}
    except Refused:
        raise RefusedError(413, f"Request body is larger than {MOST_BODY_BYTES} bytes") from None
    except (ClientDisconnect, TimeoutError):
        raise RefusedError(408, "Request body did not come") from None
    except ValueError as error:
        raise RefusedError(400, f"Error decoding JSON: {error}") from None


def decoded_object(body: bytes) -> dict[str, Any]:
    """Raises ValueError."""
    given = foreign_json.loads(body)
    if b"\\u" in body:
        given = _clean(given)
    if given is None:
        given = {}
    if not isinstance(given, dict):
        raise ValueError("an object is needed")
    return given


def decoded_schedule_request(body: bytes) -> ScheduleRequest:
    """Raises ValueError."""
    given = decoded_object(body)
    variables = given.get("variables")
    if variables is not None and not isinstance(variables, dict):
        raise ValueError("`variables` is no object")
    if variables and len(variables) > MOST_VARIABLES:
        raise ValueError(f"more than {MOST_VARIABLES} variables")
    return ScheduleRequest(
        pipeline=_text(given, "pipeline"),
        variables=variables or {},
        partition=_text(given, "queuePartition"),
        digest=hashlib.sha256(body).hexdigest(),
    )


def idempotency_key(request: Request) -> str:
    """Empty without one; raises `RefusedError` with 400."""
    given = request.headers.getlist("idempotency-key")
    if given and (len(given) > 1 or not 0 < len(given[0]) <= MOST_KEY_LETTERS):
        raise RefusedError(400, f"Idempotency-Key must be one text of at most {MOST_KEY_LETTERS} characters")
    return next(iter(given), "")


def first(request: Request, name: str) -> str:
    """The first parameter of that name in the query; empty without one."""
    return next(iter(request.query_params.getlist(name)), "")


def run_id(request: Request) -> str:
    """Raises `RefusedError` with 400."""
    return checked_run_id(first(request, "id"))


def checked_run_id(text: str) -> str:
    """Raises `RefusedError` with 400."""
    if not _RUN_ID.fullmatch(text):
        raise RefusedError(400, "Invalid job id")
    return text.lower()


def asked_run(request: Request, book: RunBook) -> Run:
    """Raises `RefusedError` with 400 or 404."""
    try:
        return book.run(run_id(request))
    except UnknownRunError:
        raise RefusedError(404, "Job not found") from None


def asked_task(request: Request, book: RunBook) -> tuple[Run, Task]:
    """Raises `RefusedError` with 400 or 404, in the order of §7."""
    run_id(request)
    name = first(request, "task")
    if not name:
        raise RefusedError(400, "Invalid task name")
    run = asked_run(request, book)
    try:
        return run, run.task(name)
    except KeyError:
        raise RefusedError(404, "Task not found") from None


def one_of(request: Request, name: str, known: Iterable[str]) -> str:
    """Empty where it is not given; raises `RefusedError` with 400 for anything else."""
    text = first(request, name)
    if text and text not in list(known):
        raise RefusedError(400, f"Invalid {name}")
    return text


def whole_number(request: Request, name: str) -> int:
    """0 where it is not given; raises `RefusedError` with 400 for anything but digits."""
    text = first(request, name) or "0"
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise RefusedError(400, f"Invalid {name}")
    return int(text)


def _text(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"`{name}` is no string")
    return value or ""


def _clean(value: Any) -> Any:
    """Halves of characters, which no file and no process could be given, replaced as Go does it."""
    if isinstance(value, str):
        return _LONE_SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_clean(each) for each in value]
    if isinstance(value, dict):
        return {_clean(name): _clean(each) for name, each in value.items()}
    return value
