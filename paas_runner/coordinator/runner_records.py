"""A runner's record at its coordinator: registered, verified and unregistered by a token.

Sections are those of spec `gitlab-runner-api.md`. The record is not the section of the configuration:
`register` sees to it that there are both or none.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import attrs

from paas_runner.addresses import coordinator_api
from paas_runner.coordinator.system_id import INFO
from paas_runner.errors import Rejected, Transient
from paas_runner.http import Connect, Response, Tls, coordinator_at
from paas_runner.secret import Secret

_ATTEMPTS = 2  # a person waits for the outcome
_INFO_OF_A_NEW_RUNNER = {
    key: INFO[key] for key in ("name", "version", "revision", "platform", "architecture")
}


@attrs.frozen
class _Refusal:
    """What a status means, and what the one who gave the token can do about it."""

    text: str
    advice: str


_REFUSALS: Mapping[int, _Refusal] = {
    403: _Refusal(
        "does not know this token",
        "copy it again, from this very instance, or create another runner there",
    ),
    410: _Refusal(
        "has registration tokens switched off",
        "create the runner there, and give its authentication token (glrt-…)",
    ),
    422: _Refusal(
        "knows this token, but the runner's project or group is gone", "create another runner there"
    ),
}
"""Of a token, whatever was asked with it; the coordinator is the subject."""


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
class Registered:
    """A record that was made, and the token that opens it."""

    runner_id: int | None
    token: Secret


@attrs.frozen(kw_only=True)
class Verified:
    """A token that the coordinator knows; an old coordinator tells nothing about it."""

    runner_id: int | None
    expires_at: datetime | None


@attrs.frozen(kw_only=True)
class RunnerRecords:
    """Those of one coordinator, each call over a connection of its own.

    Every call raises `Rejected`, `Transient`, and OSError for certificates that cannot be read. A refusal of
    a token has advice with it (403: it is unknown; 410: registration tokens are switched off; 422: the
    runner's project or group is gone).
    """

    url: str
    connect: Connect
    tls: Tls | None = None

    async def probe(self) -> None:
        """Find out whether there is a coordinator, by a request that it refuses for want of a token.

        Raises `Rejected` when there is something else, `Transient` when nothing answers.
        """
        op = "look for a coordinator"
        answer = await self._call("POST", "/runners/verify", {}, op=op)
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
        is removed at once.
        """
        op = "try the registration token"
        body = {"token": token.reveal(), "run_untagged": False}
        answer = await self._call("POST", "/runners", body, op=op, attempts=1)
        if answer.status == 201:
            await self.unregister(self._registered(answer, op).token)
        elif answer.status != 400:
            raise self._refused(answer, op)

    async def register(self, token: Secret, attributes: Attributes) -> Registered:
        """Make a runner with a registration token; asked once, since every success makes another one.

        After `Transient` it is not known whether there is a new runner; status 400 is about the attributes.
        """
        op = "register the runner"
        body = {"token": token.reveal(), "info": _INFO_OF_A_NEW_RUNNER, **attributes.body}
        answer = await self._call("POST", "/runners", body, op=op, attempts=1)
        if answer.status != 201:
            raise self._refused(answer, op)
        return self._registered(answer, op)

    async def verify(self, token: Secret, *, system_id: str | None = None) -> Verified:
        """Ask whether a runner's token is good (§1.4); `system_id` makes this machine listed under it."""
        op = "verify the runner's token"
        body = {"token": token.reveal(), "info": INFO} | ({"system_id": system_id} if system_id else {})
        answer = await self._call("POST", "/runners/verify", body, op=op)
        if answer.status not in (200, 201):
            fault = f"redirects to {answer.redirect}: give that address" if answer.redirect else ""
            raise self._refused(answer, op, fault or f"answered {answer.status}: is the address complete?")
        try:
            found = answer.json()
        except ValueError:
            text = "answered no JSON: is the address that of a coordinator?"
            raise self._rejected(answer, op, text) from None
        return _verified(found if isinstance(found, dict) else {})

    async def unregister(self, token: Secret) -> None:
        """Remove the runner's record."""
        op = "unregister the runner"
        answer = await self._call("DELETE", "/runners", {"token": token.reveal()}, op=op)
        if answer.status != 204:
            raise self._refused(answer, op)

    async def unregister_machine(self, token: Secret, system_id: str) -> None:
        """Remove this machine from those behind the runner's token; an absent one is a success."""
        op = "unregister this machine"
        body = {"token": token.reveal(), "system_id": system_id}
        answer = await self._call("DELETE", "/runners/managers", body, op=op)
        if answer.status not in (204, 404):
            raise self._refused(answer, op)

    async def _call(
        self, method: str, path: str, body: Any, *, op: str, attempts: int = _ATTEMPTS
    ) -> Response:
        api = self.connect(coordinator_api(self.url), service=self._service, at_once=1, tls=self.tls)
        try:
            return await api.call(method, path, op=op, payload=body, attempts=attempts)
        finally:
            await api.aclose()

    @property
    def _service(self) -> str:
        return coordinator_at(self.url)

    def _registered(self, answer: Response, op: str) -> Registered:
        try:
            found = answer.json()
            token, number = str(found["token"]), found.get("id")
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Transient(
                "the answer has no token in it", service=self._service, op=op, status=answer.status
            ) from None
        return Registered(runner_id=number if isinstance(number, int) else None, token=Secret(token))

    def _refused(self, answer: Response, op: str, otherwise: str = "") -> Rejected:
        refusal = _REFUSALS.get(answer.status, _Refusal(otherwise or answer.summary, ""))
        return self._rejected(answer, op, refusal.text, refusal.advice)

    def _rejected(self, answer: Response, op: str, text: str, advice: str = "") -> Rejected:
        return Rejected(text, service=self._service, op=op, status=answer.status, advice=advice)


def _is_json(answer: Response) -> bool:
    try:
        answer.json()
    except ValueError:
        return False
    return True


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
