"""Refusals in the API server's words: each is a `Status` object, with reason, details and causes."""

from collections.abc import Sequence

import attrs

from paas_runner.errors import RunnerError
from paas_runner.sandbox.kubernetes.resources import Object, Resource


@attrs.frozen
class Cause:
    """What is wrong with one field; `reason` without its `FieldValue`."""

    field: str
    message: str
    reason: str = "Invalid"


class StatusError(RunnerError):
    """A request that is not performed; `of` and `name` say of which object."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        of: Resource | None = None,
        name: str = "",
        *,
        causes: Sequence[Cause] = (),
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code, self.message = code, message
        self.headers = {"Retry-After": str(retry_after)} if retry_after else {}
        details: Object = {"retryAfterSeconds": retry_after} if retry_after else {}
        if of is not None:
            details |= {"name": name, "kind": of.kind if causes else of.plural}
            details |= {"group": of.group} if of.group else {}
        if causes:
            details["causes"] = [
                {"reason": f"FieldValue{each.reason}", "message": each.message, "field": each.field}
                for each in causes
            ]
        head = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        self.status: Object = {**head, "message": message, "reason": reason, "details": details, "code": code}


def bad_request(message: str) -> StatusError:
    return StatusError(400, "BadRequest", message)


def forbidden(of: Resource, name: str, why: str) -> StatusError:
    quoted = f' "{name}"' if name else ""
    return StatusError(403, "Forbidden", f"{of.qualified}{quoted} is forbidden: {why}", of, name)


def not_found(of: Resource, name: str) -> StatusError:
    return StatusError(404, "NotFound", f'{of.qualified} "{name}" not found', of, name)


def already_exists(of: Resource, name: str) -> StatusError:
    return StatusError(409, "AlreadyExists", f'{of.qualified} "{name}" already exists', of, name)


def conflict(of: Resource, name: str, why: str) -> StatusError:
    """What the caller knew of the object is no longer so."""
    message = f'Operation cannot be fulfilled on {of.qualified} "{name}": {why}'
    return StatusError(409, "Conflict", message, of, name)


def expired(message: str) -> StatusError:
    """What was asked for is no longer remembered: list again, from the beginning."""
    return StatusError(410, "Expired", message)


def invalid(of: Resource, name: str, causes: Sequence[Cause]) -> StatusError:
    """The object is well-formed, and not possible."""
    kind = f"{of.kind}.{of.group}" if of.group else of.kind
    each = [f"{cause.field}: {cause.message}" for cause in causes]
    told = each[0] if len(each) == 1 else f"[{', '.join(each)}]"
    return StatusError(422, "Invalid", f'{kind} "{name}" is invalid: {told}', of, name, causes=causes)
