"""Making and removing a runner's record at a coordinator (spec `gitlab-runner-api.md` §1.2, §1.5).

Whether an authentication token is good is asked in `registration`.

A runner's record at its coordinator, by the runner's own token (spec `gitlab-runner-api.md` §1).
"""

from datetime import UTC, datetime
from typing import Any

import attrs

from paas_runner.coordinator.system_id import INFO
from paas_runner.errors import Rejected, Transient
from paas_runner.http import Connect, Response, Tls
from paas_runner.secret import Secret

_QUICK_TRIES = 2
_INFO = {key: INFO[key] for key in ("name", "version", "revision", "platform", "architecture")}


@attrs.frozen(kw_only=True)
class Attributes:
    """What the coordinator is told of a new runner, the time in seconds; what is empty is left out."""

    description: str
    tags: tuple[str, ...] = ()
    run_untagged: bool = True
    locked: bool = True
    paused: bool = False
    access_level: str = ""
    maximum_timeout: int | None = None
    maintenance_note: str = ""

    @property
    def body(self) -> dict[str, Any]:
        """As the coordinator takes them."""
        optional = {
            "tag_list": ",".join(self.tags),
            "access_level": self.access_level,
            "maximum_timeout": self.maximum_timeout,
            "maintenance_note": self.maintenance_note,
            "paused": self.paused,
        }
        return {
            "description": self.description,
            "run_untagged": self.run_untagged,
            "locked": self.locked,
            **{key: value for key, value in optional.items() if value},
        }


@attrs.frozen(kw_only=True)
class Enrolled:
    """A record that was made, and the token that opens it."""

    runner_id: int | None
    token: Secret


@attrs.frozen(kw_only=True)
class Enrolment:
    """The runner records of one coordinator, each call over a connection of its own."""

    url: str
    connect: Connect
    tls: Tls | None = None

    async def recognise(self) -> None:
        """Find out whether there is a coordinator, by a request that it refuses for want of a token.

        Raises `Rejected` when there is something else, `Transient` when nothing answers.
        """
        op = "look for a coordinator"
        answer = await self._call("POST", "/runners/verify", {}, op=op, attempts=_QUICK_TRIES)
        if answer.status in (301, 302, 303, 307, 308):
            there = answer.headers.get("location", "").removesuffix("/api/v4/runners/verify")
            raise self._rejected(answer, op, f"redirects to {there or 'another address'}: give that address")
        if answer.status not in (400, 401, 403, 422) or not _is_json(answer):
            raise self._rejected(
                answer,
                op,
                f"no coordinator answers there (status {answer.status}): is the address complete?",
            )

    async def try_registration_token(self, token: Secret) -> None:
        """Find out whether a registration token is good, without a new runner.

        What is asked for is impossible, a runner without tags that takes only tagged jobs: the coordinator
        refuses it with 400, but only after it has looked at the token. A runner that is made all the same
        is removed at once. Raises as `enrol`.
        """
        op = "try the registration token"
        body = {"token": token.reveal(), "run_untagged": False}
        answer = await self._call("POST", "/runners", body, op=op, attempts=1)
        if answer.status == 201:
            await self.remove(self._enrolled(answer, op).token)
        elif answer.status != 400:
            raise self._refusal(answer, op)

    async def enrol(self, token: Secret, attributes: Attributes) -> Enrolled:
        """Make a runner with a registration token; asked once, since every success makes another one.

        Raises `Rejected` (400: attributes; 403: token; 410: registration tokens are switched off), and
        `Transient`, after which nobody knows whether there is a new runner.
        """
        op = "register the runner"
        body = {"token": token.reveal(), "info": _INFO, **attributes.body}
        answer = await self._call("POST", "/runners", body, op=op, attempts=1)
        if answer.status != 201:
            raise self._refusal(answer, op)
        return self._enrolled(answer, op)

    async def remove(self, token: Secret) -> None:
        """Remove the runner's record; raises `Rejected` (403: the token is unknown) and `Transient`."""
        op = "unregister the runner"
        body = {"token": token.reveal()}
        answer = await self._call("DELETE", "/runners", body, op=op, attempts=_QUICK_TRIES)
        if answer.status != 204:
            raise self._refusal(answer, op)

    async def remove_machine(self, token: Secret, system_id: str) -> None:
        """Remove this machine from those behind the runner's token; an absent one is a success.

        Raises as `remove`.
        """
        op = "unregister this machine"
        body = {"token": token.reveal(), "system_id": system_id}
        answer = await self._call("DELETE", "/runners/managers", body, op=op, attempts=_QUICK_TRIES)
        if answer.status not in (204, 404):
            raise self._refusal(answer, op)

    async def _call(self, method: str, path: str, body: Any, *, op: str, attempts: int) -> Response:
        api = self.connect(f"{self.url.rstrip('/')}/api/v4", service=self._service, at_once=1, tls=self.tls)
        try:
            return await api.call(method, path, op=op, payload=body, attempts=attempts)
        finally:
            await api.aclose()

    @property
    def _service(self) -> str:
        return f"coordinator {self.url}"

    def _enrolled(self, answer: Response, op: str) -> Enrolled:
        try:
            found = answer.json()
            token, number = str(found["token"]), found.get("id")
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Transient(
                "the answer has no token in it", service=self._service, op=op, status=answer.status
            ) from None
        return Enrolled(runner_id=number if isinstance(number, int) else None, token=Secret(token))

    def _refusal(self, answer: Response, op: str) -> Rejected:
        match answer.status:
            case 403:
                text = "the token is unknown there"
            case 410:
                text = "registration tokens are switched off there"
            case _:
                text = answer.summary
        return self._rejected(answer, op, text)

    def _rejected(self, answer: Response, op: str, text: str) -> Rejected:
        return Rejected(text, service=self._service, op=op, status=answer.status)


def _is_json(answer: Response) -> bool:
    try:
        answer.json()
    except ValueError:
        return False
    return True


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
