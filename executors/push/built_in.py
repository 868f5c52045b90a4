"""The push in this process: two requests to the remote by smart HTTP, no git program, no folder.

The first asks where the branch is, the second sends the commit, and only where there is none yet. What became
of it the remote's report says; where that is lost, or says that the branch moved meanwhile, the remote is
asked once more: our own commit there is a success, whoever sent it. So a push may end anywhere, and be
repeated. Nothing but those requests has the credentials, and no redirect is followed with them.

Whatever is not as the protocol says is tried again later, as an outage is: a proxy's page may be in the way.
"""

import asyncio
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import attrs
import structlog

from executors.build_context import Identity
from executors.push.objects import Commit, commit_of, write_pack
from executors.push.protocol import (
    REQUEST_TYPE,
    SERVICE,
    Advertisement,
    ProtocolError,
    Report,
    advertisement,
    command,
    report,
)
from executors.push.verdicts import OP, Credentials, Verdicts, moved_meanwhile
from paas_runner import __version__
from paas_runner.addresses import Address, AddressError, parsed
from paas_runner.errors import Rejected, RemoteError, Transient
from paas_runner.http import Connect, HttpClient, Response, git_remote_at
from paas_runner.proxies import ProxyError
from paas_runner.secret import Secret

log = structlog.stdlib.get_logger(__name__)

PUSHES_AT_ONCE = 32  # to one remote's host, of one section
LOOK_SECONDS = 10.0
SEND_SECONDS = 60.0
MOST_ANSWER_BYTES = 1024 * 1024
SMALL_BYTES = 256 * 1024
"""Of a tree: compressing it takes some milliseconds, more is done in a thread."""

_AGENT = f"paas-runner/{__version__}"


class HttpPush:
    """`executors.build_context.Push` by requests of our own."""

    def __init__(self, connect: Connect) -> None:
        """Connections are made when they are needed, one client for each remote's host."""
        self._connect = connect
        self._clients: dict[str, HttpClient] = {}

    async def __call__(
        self, tree: Mapping[str, bytes], url: str, *, user: str, password: Secret, identity: Identity
    ) -> None:
        """Push, unless the remote has a commit."""
        address = _checked(url)
        credentials = Credentials(user=user, password=password)
        remote = _Remote(
            client=self._client(address),
            path=address.path.rstrip("/"),
            headers={"Authorization": credentials.basic},
            verdicts=Verdicts.of(url, credentials),
        )
        in_thread = sum(map(len, tree.values())) > SMALL_BYTES
        commit = (
            await asyncio.to_thread(commit_of, tree, identity) if in_thread else commit_of(tree, identity)
        )
        there = await remote.look()
        if there.master is None:
            make = (commit, there.capabilities)
            body = await asyncio.to_thread(_body, *make) if in_thread else _body(*make)
            there = await remote.send(body, there, commit)
        if there.master != commit.id:
            log.info("launched_before")

    async def aclose(self) -> None:
        """Close all connections."""
        clients = list(self._clients.values())
        self._clients.clear()
        for client in clients:
            await client.aclose()

    def _client(self, address: Address) -> HttpClient:
        base_url = str(attrs.evolve(address, path=""))
        if base_url not in self._clients:
            try:
                self._clients[base_url] = self._connect(
                    base_url, service=git_remote_at(base_url), at_once=PUSHES_AT_ONCE
                )
            except (OSError, ProxyError) as error:
                raise Transient(
                    str(error), service="the runner's own machine", op="prepare the push"
                ) from error
        return self._clients[base_url]


@attrs.frozen(kw_only=True)
class _Remote:
    """One repository, with what opens it."""

    client: HttpClient
    path: str
    headers: Mapping[str, Secret]
    verdicts: Verdicts

    async def look(self) -> Advertisement:
        """Where its branch is, and what it can do."""
        answer = await self._answer(
            "GET",
            f"{self.path}/info/refs",
            params={"service": SERVICE},
            op="look at the git remote",
            headers=self.headers,
            within=LOOK_SECONDS,
        )
        try:
            return advertisement(answer.headers.get("content-type", ""), answer.body)
        except ProtocolError as error:
            raise self.verdicts.failed(str(error)) from error

    async def send(self, body: bytes, seen: Advertisement, commit: Commit) -> Advertisement:
        """Push; returns where the branch is now. Raises what became of it otherwise."""
        try:
            found = await self._report(body, seen.capabilities)
        except Transient as lost:
            return await self._looked_again(lost)
        if found.unpacked != "ok":
            raise self.verdicts.failed(*found.said, f"it could not take what was sent: {found.unpacked}")
        if found.refused is None:
            return attrs.evolve(seen, master=commit.id)
        if moved_meanwhile(found.refused):
            return await self._looked_again(self.verdicts.failed(found.refused))
        raise self.verdicts.refused(found.refused, found.said)

    async def _report(self, body: bytes, capabilities: frozenset[str]) -> Report:
        answer = await self._answer(
            "POST",
            f"{self.path}/{SERVICE}",
            op=OP,
            headers={**self.headers, "Content-Type": REQUEST_TYPE},
            content=body,
            within=SEND_SECONDS,
        )
        try:
            return report(answer.headers.get("content-type", ""), answer.body, capabilities)
        except ProtocolError as error:
            raise self.verdicts.failed(str(error)) from error

    async def _looked_again(self, why: Transient) -> Advertisement:
        """What an answer that was lost, or was none, would have said; raises `why` when nobody knows."""
        try:
            there = await self.look()
        except RemoteError:
            raise why from None
        if there.master is None:
            raise why
        return there

    async def _answer(self, method: str, path: str, **request: Any) -> Response:
        """A 200; raises what anything else means, without the words of a page that may quote our request."""
        try:
            answer = await self.client.call(
                method, path, most_bytes=MOST_ANSWER_BYTES, redirects=False, **request
            )
        except Transient as error:
            raise self.verdicts.hiding(error) from None
        match answer.status:
            case 200:
                return answer
            case 401 | 403:
                raise self.verdicts.credentials_refused()
            case 404 | 410:
                raise self.verdicts.no_repository()
            case status if 300 <= status < 400:
                raise self.verdicts.redirected()
        raise self.verdicts.failed(f"answered {answer.status}")


def _checked(url: str) -> Address:
    try:
        return parsed(url, ("https", "http"))
    except AddressError as error:
        raise Rejected(f"the git remote's URL is unusable: {error}", service="git", op=OP) from error


def _body(commit: Commit, capabilities: frozenset[str]) -> bytes:
    body = BytesIO()
    body.write(command(commit.id, capabilities, agent=_AGENT))
    write_pack(commit, body.write)
    return body.getvalue()
