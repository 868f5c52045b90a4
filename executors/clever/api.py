"""Clever Cloud's REST API, as far as hosts need it (spec `clever-cloud-api.md` §1 and §2).

Its calls raise what `refusals` makes of an answer: `Transient` or `Rejected` with the cloud's own words.
"""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs

from executors.clever.refusals import RATE_LIMITED_SECONDS, SERVICE, decoded, listed, objects, refusal
from paas_runner.errors import Rejected, Transient
from paas_runner.http import MOST_BODY_BYTES, MOST_LIST_BYTES, QUICK_TRIES, Connect, Response
from paas_runner.secret import Secret

CALLS_AT_ONCE = 20
"""Of one organisation: a creation takes most of a second, and jobs come in bursts."""

_REF = re.compile(r"[A-Za-z0-9_-]{1,100}")  # it becomes a part of addresses
_YEAR_10000 = 253_402_300_800_000


@attrs.frozen(kw_only=True)
class Application:
    """What we read of an application object; everything else in it may change."""

    ref: str
    name: str
    description: str
    created_at: int  # milliseconds since 1970
    push_url: str
    zone: str
    flavor: str  # under the cloud's own name
    repository_ready: bool
    state: str  # §2.6; alone it says little
    deployed: bool | None  # whether anything was ever deployed to it
    env: Mapping[str, str] | None  # None when the answer has none


class CatalogueApi:
    """What Clever Cloud has on offer, which anyone may ask."""

    def __init__(self, url: str, connect: Connect) -> None:
        self._api = connect(url.rstrip("/"), service=SERVICE, at_once=4)

    async def flavors(self, context: str) -> Sequence[Mapping[str, Any]]:
        """Every one that is listed in the context, with its memory and price."""
        return await self._list("/products/flavors", {"context": context}, "list the flavors")

    async def instances(self) -> Sequence[Mapping[str, Any]]:
        """The kinds of application."""
        return await self._list("/products/instances", {}, "list the instance types")

    async def zones(self) -> Sequence[Mapping[str, Any]]:
        """The places that are open to all customers; one's own are not listed."""
        return await self._list("/products/zones", {}, "list the zones")

    async def aclose(self) -> None:
        await self._api.aclose()

    async def _list(self, path: str, params: Mapping[str, str], op: str) -> Sequence[Mapping[str, Any]]:
        answer = await self._api.call("GET", path, op=op, params=params, attempts=QUICK_TRIES)
        return objects(decoded(answer, op))


class CleverApi:
    """One organisation, seen with one token; at most `CALLS_AT_ONCE`, and none while it is rate-limited."""

    def __init__(self, url: str, *, organisation: str, token: Secret, connect: Connect) -> None:
        self.organisation = organisation
        self._applications = f"/organisations/{organisation}/applications"
        headers = {"Authorization": Secret(f"token {token.reveal()}")}
        self._api = connect(url.rstrip("/"), service=SERVICE, headers=headers, at_once=CALLS_AT_ONCE)
        v4 = f"{url.rstrip('/').removesuffix('/v2')}/v4"
        self._logs = connect(v4, service=SERVICE, headers=headers, at_once=2)
        self._quiet_until = 0.0

    async def create(self, definition: Mapping[str, Any]) -> Application:
        """A new application; never repeated here, names are not unique."""
        op = f"create the application (flavor {definition['maxFlavor']}, zone {definition['zone']})"
        return _application(await self._called("POST", "", op, payload=definition), op)

    async def applications(self) -> Sequence[Application]:
        """All applications of the organisation, also those that are not hosts."""
        op = "list the applications"
        found = await self._called(
            "GET", "", op, attempts=QUICK_TRIES, most_bytes=MOST_LIST_BYTES, read=listed
        )
        return [_application(entry, op) for entry in found]

    async def application(self, ref: str) -> Application:
        """One application; raises `NoSuchApplicationError`."""
        op = "look at the application"
        return _application(await self._called("GET", f"/{ref}", op, attempts=QUICK_TRIES), op)

    async def deployments(self, ref: str, *, limit: int) -> Sequence[Mapping[str, Any]]:
        """An application's newest deployments (§2.6); raises `NoSuchApplicationError`.

        Asked once, as `machines`: these are looks at a host, which are repeated in any case.
        """
        op = "list the deployments"
        return objects(await self._called("GET", f"/{ref}/deployments", op, params={"limit": str(limit)}))

    async def machines(self, ref: str) -> Sequence[Mapping[str, Any]]:
        """An application's present instances (§2.6); raises `NoSuchApplicationError`."""
        return objects(await self._called("GET", f"/{ref}/instances", "list the instances"))

    async def log(self, ref: str, *, until: datetime, limit: int, **selection: str) -> bytes:
        """A log as server-sent events, at most `limit` lines (§5.1); a token may not open it.

        `selection` are the parameters that select lines: `deploymentId`, `filter`.
        """
        op = "read the log"
        answer = await self._logs.call(
            "GET",
            f"/logs{self._applications}/{ref}/logs",
            op=op,
            headers={"Accept": "text/event-stream"},
            params={**selection, "until": until.isoformat(), "limit": str(limit)},
        )
        if answer.status != 200:
            raise refusal(answer, op)
        if not answer.headers.get("content-type", "").startswith("text/event-stream"):
            raise Transient("answered no event stream", service=SERVICE, op=op)
        return answer.body

    async def env(self, ref: str) -> Mapping[str, str]:
        """The application's environment."""
        return (
            _env(await self._called("GET", f"/{ref}/env", "read the environment", attempts=QUICK_TRIES)) or {}
        )

    async def set_env(self, ref: str, env: Mapping[str, str]) -> None:
        """Replace the whole environment."""
        op = "set the environment"
        await self._called("PUT", f"/{ref}/env", op, payload=dict(env), attempts=QUICK_TRIES)

    async def delete(self, ref: str) -> None:
        """Remove the application and stop its machines; an absent one is a success."""
        try:
            await self._called("DELETE", f"/{ref}", "delete the application", attempts=QUICK_TRIES)
        except Rejected as error:
            if error.status != 404:
                raise

    async def aclose(self) -> None:
        await self._api.aclose()
        await self._logs.aclose()

    async def _called(
        self,
        method: str,
        below: str,
        op: str,
        *,
        payload: Any = None,
        params: Mapping[str, str] | None = None,
        attempts: int = 1,
        most_bytes: int = MOST_BODY_BYTES,
        read: Callable[[Response, str], Any] = decoded,
    ) -> Any:
        """The decoded answer; a rate limit that one call meets holds back all others of the organisation."""
        now = asyncio.get_running_loop().time()
        if now < self._quiet_until:
            left = self._quiet_until - now
            raise Transient("waiting for the end of a rate limit", service=SERVICE, op=op, retry_after=left)
        try:
            answer = await self._api.call(
                method,
                f"{self._applications}{below}",
                op=op,
                payload=payload,
                params=params,
                attempts=attempts,
                most_bytes=most_bytes,
            )
            return read(answer, op)
        except Transient as error:
            if error.status in (403, 429):
                self._quiet_until = now + (error.retry_after or RATE_LIMITED_SECONDS)
            raise


def _application(found: Any, op: str) -> Application:
    try:
        deployment = found.get("deployment") or {}
        return Application(
            ref=_ref(found["id"]),
            name=str(found["name"]),
            description=str(found.get("description") or ""),
            created_at=_milliseconds(found.get("creationDate")),
            push_url=str(deployment.get("httpUrl") or ""),
            zone=str(found.get("zone") or ""),
            flavor=str(((found.get("instance") or {}).get("maxFlavor") or {}).get("name", "")),
            repository_ready=deployment.get("repoState") == "CREATED",
            state=str(found.get("state", "")),
            deployed=bool(found["last_deploy"]) if "last_deploy" in found else None,
            env=_env(found.get("env")),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise Transient("the answer is no application", service=SERVICE, op=op) from None


def _ref(found: Any) -> str:
    if not isinstance(found, str) or not _REF.fullmatch(found):
        raise ValueError("no id")
    return found


def _milliseconds(found: Any) -> int:
    """A moment that a date can hold; 0 where there is none."""
    return found if isinstance(found, int) and 0 < found < _YEAR_10000 else 0


def _env(found: Any) -> Mapping[str, str] | None:
    """`[{"name", "value"}]` as a mapping."""
    if not isinstance(found, list):
        return None
    entries = [entry for entry in found if isinstance(entry, Mapping) and "name" in entry]
    return {str(entry["name"]): str(entry.get("value", "")) for entry in entries}
