"""HTTP as GitLab speaks it: parameters from wherever they may come, refusals, plain JSON answers."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response

from paas_runner.pipelines.runners import same
from paas_runner.secret import Secret


class _IdConvertor(IntegerConvertor):
    """`{job_id:id}` in a route: so many digits as an id may have, or it is another route."""

    regex = "[0-9]{1,18}"


register_url_convertor("id", _IdConvertor())


class Refused(Exception):  # noqa: N818 - it is an answer, not an accident
    """Ends a request with a status and the body that goes with it."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        """`text` follows the status in `message`, as "403 Forbidden - …"."""
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = headers

    def response(self) -> Response:
        return JSONResponse({"message": self.text}, self.status, self.headers)


def forbidden(why: str, headers: Mapping[str, str] | None = None) -> Refused:
    return Refused(403, f"403 Forbidden - {why}", headers)


def not_found(what: str) -> Refused:
    """A 404 for something that is addressed rightly but does not exist."""
    return Refused(404, f"404 {what} Not Found")


def unauthorized() -> Refused:
    return Refused(401, "401 Unauthorized")


async def parameters(request: Request, *, most_bytes: int = 1024 * 1024) -> Mapping[str, Any]:
    """Query and body as one mapping, the body wins; JSON and form bodies are taken.

    Raises `Refused` with 400 for a broken body and 413 for one over `most_bytes`.
    """
    body = await bounded_body(request, most_bytes)
    return {**request.query_params, **_decoded(body, is_json=is_json(request))}


async def bounded_body(request: Request, most_bytes: int) -> bytes:
    """All of it; raises `Refused` with 413 as soon as it is too much."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most_bytes:
            raise too_large()
    return bytes(body)


def too_large() -> Refused:
    return Refused(413, "413 Request Entity Too Large")


def is_json(request: Request) -> bool:
    """Whether the body is announced as JSON."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


def _decoded(body: bytes, *, is_json: bool) -> Mapping[str, Any]:
    if not body:
        return {}
    try:
        if not is_json:
            return dict(parse_qsl(body.decode()))
        decoded = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(400, "400 Bad request - the body cannot be decoded") from None
    if not isinstance(decoded, dict):
        raise Refused(400, "400 Bad request - a JSON object was expected")
    return decoded


def text(values: Mapping[str, Any], name: str) -> str:
    """A parameter that is text; empty when absent or something else."""
    value = values.get(name)
    return value if isinstance(value, str) else ""


def required(values: Mapping[str, Any], name: str) -> str:
    """A parameter that must be there; raises `Refused` with 400."""
    value = text(values, name)
    if not value:
        raise Refused(400, f"{name} is missing")
    return value


def mapping(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A parameter that is an object; empty when absent or something else."""
    value = values.get(name)
    return value if isinstance(value, dict) else {}


def flag(values: Mapping[str, Any], name: str, *, default: bool = False) -> bool:
    """A yes-or-no parameter, in JSON or as a form spells it."""
    value = values.get(name, default)
    return value if isinstance(value, bool) else str(value).lower() in {"true", "1"}


def number(values: Mapping[str, Any], name: str) -> int | None:
    """A whole number, in JSON or as text; raises `Refused` with 400 for anything else."""
    value = values.get(name)
    if value is None:
        return None
    try:
        return int(str(value))
    except ValueError:
        raise Refused(400, f"{name} is invalid") from None


def segments(request: Request) -> list[str]:
    """The path after `/api/v4/`, cut at its slashes and only then decoded: `%2F` stays within a segment."""
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    return [unquote(part) for part in raw.decode("latin-1").partition("/api/v4/")[2].split("/")]


def bearer(request: HTTPConnection) -> str:
    """The token of an `Authorization: Bearer` header; empty without."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def is_admin(request: Request, admin_token: Secret) -> bool:
    """Whether the request carries the administrator's token."""
    return same(admin_token, request.headers.get("private-token") or bearer(request))


def own_url(request: Request) -> str:
    """The coordinator's address as this client sees it, without a slash at the end."""
    return str(request.base_url).rstrip("/")
