"""What an answer of Clever Cloud means: what was asked for, or why not and what can be done about it.

Every answer that is not a success becomes `Transient` or `Rejected` with the cloud's own words in it; a
missing application is an answer like any other and has a type of its own. Section numbers are those of spec
`clever-cloud-api.md`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import structlog

from paas_runner.errors import Rejected, Transient
from paas_runner.http import Response

log = structlog.stdlib.get_logger(__name__)

SERVICE = "Clever Cloud"
RATE_LIMITED_SECONDS = 30.0
_RATE_LIMIT = 403  # id in the body of a 403 (§1.4)
_UNKNOWN_VERSION = 9017
_NO_SUCH_APPLICATION = 4004

_CREDENTIALS = (
    "ask the operators of this runner: the organisation and its token (cc_orga_id, cc_token, or the "
    "group's attributes) do not fit; until that is put right no retry helps"
)
_ADVICE_BY_ID: Mapping[int, str] = {
    557: "ask the operators of this runner: cc_extra_env has what Clever Cloud does not take",
    _NO_SUCH_APPLICATION: "retry the job: a person, or another program, removed its host",
    _UNKNOWN_VERSION: "retry the job: Clever Cloud has just changed what it has on offer",
}
_ADVICE_BY_STATUS: Mapping[int, str] = {
    400: "choose another flavor (CI_CLEVER_CLOUD_FLAVOR), or ask the operators of this runner: "
    "are cc_zone and cc_instance_variant_uuid right?",
    401: _CREDENTIALS,
    403: _CREDENTIALS,
    404: "ask the operators of this runner: are cc_api_url and cc_orga_id right?",
}


class UnknownVersionError(Rejected):
    """The catalogue's version of the docker instance is no longer on offer (id 9017)."""


class NoSuchApplicationError(Rejected):
    """404 with the API's own words (id 4004): deleted, by us or by another."""


def decoded(answer: Response, op: str) -> Any:
    """The body of a success; raises `Transient` or `Rejected`."""
    if 200 <= answer.status < 300:
        try:
            return answer.json() if answer.body else {}
        except ValueError:
            raise Transient("answered no JSON", service=SERVICE, op=op) from None
    raise refusal(answer, op)


def objects(found: Any) -> Sequence[Mapping[str, Any]]:
    """The objects of a decoded list; raises `Transient` for anything else."""
    if not isinstance(found, list):
        raise Transient("a list was expected", service=SERVICE, op="read the answer")
    return [entry for entry in found if isinstance(entry, Mapping)]


def listed(answer: Response, op: str) -> Iterator[Mapping[str, Any]]:
    """The objects of a list, which may be long: one after the other is decoded. Raises as `decoded`."""
    if not 200 <= answer.status < 300 or not answer.body.lstrip().startswith(b"["):
        return iter(objects(decoded(answer, op)))
    return _each(answer, op)


def _each(answer: Response, op: str) -> Iterator[Mapping[str, Any]]:
    try:
        for entry in answer.elements():
            if isinstance(entry, Mapping):
                yield entry
    except ValueError:
        raise Transient("answered no JSON", service=SERVICE, op=op) from None


def refusal(answer: Response, op: str) -> Rejected | Transient:
    """What to raise for an answer that is no success."""
    number = _error_id(answer)
    message = answer.message or "refused without a reason"  # bodies may be HTML, mislabelled or empty (§1.3)
    request = answer.reference
    log.warning(
        "clever_cloud_refused", op=op, status=answer.status, id=number, reason=message, request=request
    )
    if answer.status == 403 and number == _RATE_LIMIT:
        return Transient(
            message, service=SERVICE, op=op, status=403, retry_after=RATE_LIMITED_SECONDS, reference=request
        )
    kind: type[Rejected] = Rejected
    if number == _UNKNOWN_VERSION:
        kind = UnknownVersionError
    elif answer.status == 404 and number == _NO_SUCH_APPLICATION:
        kind = NoSuchApplicationError
    return kind(
        f"{message} (status {answer.status})",
        service=SERVICE,
        op=op,
        status=answer.status,
        advice=advice(answer.status, number),
        reference=request,
    )


def advice(status: int, number: int | None) -> str:
    """By the error's id where that says enough, else by the HTTP status; may be empty."""
    return _ADVICE_BY_ID.get(number or 0) or _ADVICE_BY_STATUS.get(status, "")


def _error_id(answer: Response) -> int | None:
    try:
        found = answer.json()
    except ValueError:
        return None
    number = found.get("id") if isinstance(found, Mapping) else None
    return number if isinstance(number, int) else None
