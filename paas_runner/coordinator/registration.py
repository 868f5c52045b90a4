"""A runner's record at its coordinator, by the runner's own token (spec `gitlab-runner-api.md` §1)."""

from datetime import UTC, datetime
from typing import Any

import attrs

from paas_runner.coordinator.announced import INFO
from paas_runner.errors import Rejected
from paas_runner.http import Connect, Tls
from paas_runner.secret import Secret

QUICK_TRIES = 2
_REFUSALS = {
    403: "the token is unknown there",
    422: "the token is known there, but the runner's project or group is gone",
}


@attrs.frozen(kw_only=True)
class Verified:
    """A token that the coordinator knows; an old coordinator tells nothing about it."""

    runner_id: int | None
    expires_at: datetime | None


async def verify(
    url: str, *, token: Secret, connect: Connect, system_id: str | None = None, tls: Tls | None = None
) -> Verified:
    """Ask whether the token is good (§1.4); with `system_id` this machine is listed under the runner.

    Raises `Rejected` (403: the token is unknown; 422: the runner's project or group is gone), `Transient`,
    and OSError for certificates that cannot be read.
    """
    op = "verify the runner's token"
    api = connect(f"{url.rstrip('/')}/api/v4", service=f"coordinator {url}", at_once=1, tls=tls)
    payload = {"token": token.reveal(), "info": INFO} | ({"system_id": system_id} if system_id else {})
    try:
        answer = await api.call("POST", "/runners/verify", op=op, payload=payload, attempts=QUICK_TRIES)
    finally:
        await api.aclose()
    if answer.status not in (200, 201):
        text = _REFUSALS.get(answer.status, f"answered {answer.status}: is the address complete?")
        raise Rejected(text, service=api.service, op=op, status=answer.status)
    try:
        found = answer.json()
    except ValueError:
        text = "answered no JSON: is the address that of a coordinator?"
        raise Rejected(text, service=api.service, op=op, status=answer.status) from None
    return _verified(found if isinstance(found, dict) else {})


def _verified(found: dict[str, Any]) -> Verified:
    number, expiry = found.get("id"), found.get("token_expires_at")
    return Verified(
        runner_id=number if isinstance(number, int) else None,
        expires_at=_moment(expiry) if isinstance(expiry, str) else None,
    )


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
