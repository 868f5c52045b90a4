"""What a cluster's refusals mean: its `Status` objects as errors of ours. Pure.

Protocol: kubernetes.io, "Kubernetes API Concepts"; `meta/v1` Status and its reasons.
"""

from typing import Any

from paas_runner.errors import Rejected, RemoteError, Transient
from paas_runner.http import Response
from paas_runner.plain_text import one_line, printable, shortened

_MOST_MESSAGE = 500
_MOST_FIELDS = 5
_DENIED = "a rule of the cluster's own forbids it: its operators know which"
RIGHTS = "grant the right (packaging/kubernetes has rbac.yaml for hosts, rbac-containers.yaml for all else)"


class AbsentError(Rejected):
    """404: there is no such object, or no such namespace."""


class ExistsError(Rejected):
    """409: an object of that name is there already."""


class ExpiredError(Transient):
    """410: a list was read too slowly, and has to be begun anew."""


class UnauthorizedError(Rejected):
    """401: it does not take what we showed of ourselves."""


class QuotaError(Rejected):
    """403: a ResourceQuota of the namespace has no room."""


def status_of(answer: Response) -> dict[str, Any]:
    """The Status object; empty where the answer is none."""
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) and found.get("kind") == "Status" else {}


def refusal(answer: Response, *, service: str, op: str) -> RemoteError:
    """For an answer that is no success, and was not transient by its status alone."""
    status = status_of(answer)
    reason = str(status.get("reason") or "")
    message = shortened(one_line(printable(str(status.get("message") or answer.summary))), _MOST_MESSAGE)

    def error(kind: type[RemoteError], text: str, advice: str = "") -> RemoteError:
        return kind(text, service=service, op=op, status=answer.status, advice=advice)

    match answer.status, reason:
        case 401, _:
            return error(UnauthorizedError, f"the credentials are refused: {message}")
        case 403, _ if "exceeded quota" in message or "failed quota" in message:
            return error(QuotaError, message)
        case 403, _ if "being terminated" in message:
            return error(Rejected, message, "use another namespace")
        case 403, _ if "denied the request" in message:  # a webhook, of this object: our rights are fine
            return Rejected(message, service=service, op=op, status=400, advice=_DENIED)
        case 403, _:
            return error(Rejected, message, RIGHTS)
        case 404, "NotFound":
            return error(AbsentError, message)
        case 404, _:  # of something before the cluster, or of one that has not all its paths yet
            return error(Transient, f"{message}, and not as a cluster does")
        case 409, "AlreadyExists":
            return error(ExistsError, message)
        case 409, _:  # two writers met, those of a quota's figures, too
            return error(Transient, message)
        case 410, _:
            return error(ExpiredError, message)
        case 422, _:
            return error(Rejected, _fields(status) or message)
        case _:
            return error(Rejected, message)


def _fields(status: dict[str, Any]) -> str:
    """Which fields of the object are wrong, and why."""
    details = status.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    told = [
        f"{cause.get('field')}: {cause.get('message')}"
        for cause in (causes if isinstance(causes, list) else [])[:_MOST_FIELDS]
        if isinstance(cause, dict)
    ]
    return shortened(one_line(printable("; ".join(told))), _MOST_MESSAGE)
