"""Failures on demand: an ASGI middleware that spoils chosen requests of a server, for tests and for the demo.

Rules are added to a `FaultPlan` and removed from it while the server runs. The first rule that matches a
request and is not used up is applied. To close a connection without an answer the middleware needs the
server's help, an entry `ABORT` in the scope's extensions; called in process, without a connection, it raises
what an httpx client would see on a real one.
"""

import asyncio
import re
from collections.abc import Iterable, Mapping
from typing import TypeAlias

import attrs
import httpx
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from paas_runner.server.connections import ABORT


@attrs.frozen
class Delay:
    """Perform the request some seconds later."""

    seconds: float


@attrs.frozen
class Answer:
    """Answer with this status, without performing the request."""

    status: int
    headers: Mapping[str, str] = attrs.field(factory=dict)
    body: bytes = b""


@attrs.frozen
class DropBefore:
    """Close the connection without performing the request."""


@attrs.frozen
class DropAfter:
    """Perform the request, then close the connection instead of answering."""


@attrs.frozen
class Garbage:
    """Perform the request and answer with its status, but with a body that means nothing."""

    body: bytes = b"\x00\xff<!-- not what you expected"


@attrs.frozen
class Truncated:
    """Perform the request and answer with only the first half of the body, in a well-formed message."""


@attrs.frozen
class Cut:
    """Perform the request, and close the connection once so many bytes of the answer's body were sent."""

    after_bytes: int


@attrs.frozen
class Hang:
    """Never answer: wait until the client goes away."""


@attrs.frozen
class Twice:
    """Perform the request two times, as after a proxy's repetition, and give the second answer."""


Fault: TypeAlias = Delay | Answer | DropBefore | DropAfter | Garbage | Truncated | Cut | Hang | Twice


@attrs.define(kw_only=True, eq=False)
class Rule:
    """A fault for requests with this method and path; `left` is how many times still, None without end."""

    fault: Fault
    method: str | None
    path: re.Pattern[str]
    left: int | None
    applied: int = 0

    def matches(self, method: str, path: str) -> bool:
        """Whether the rule is to be applied to such a request."""
        return self.left != 0 and self.method in (None, method) and self.path.fullmatch(path) is not None

    def apply(self) -> Fault:
        self.applied += 1
        if self.left is not None:
            self.left -= 1
        return self.fault


class FaultPlan:
    """The rules in force; the oldest has precedence."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []

    def add(
        self, fault: Fault, *, method: str | None = None, path: str = "**", times: int | None = None
    ) -> Rule:
        """Put a rule in force: in `path`, `*` stands for anything within a segment, `**` for anything."""
        parts = (re.escape(part).replace(r"\*", "[^/]*") for part in path.split("**"))
        rule = Rule(fault=fault, method=method, path=re.compile(".*".join(parts)), left=times)
        self._rules.append(rule)
        return rule

    def remove(self, rule: Rule) -> None:
        self._rules.remove(rule)

    def clear(self) -> None:
        self._rules.clear()

    def next_fault(self, method: str, path: str) -> Fault | None:
        return next((rule.apply() for rule in self._rules if rule.matches(method, path)), None)


class FaultInjector:
    """Applies a plan to every HTTP request of an ASGI application."""

    def __init__(self, app: ASGIApp, plan: FaultPlan) -> None:
        self._app = app
        self._plan = plan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        match self._plan.next_fault(scope["method"], scope["path"]):
            case None:
                await self._app(scope, receive, send)
            case Delay(seconds=seconds):
                await asyncio.sleep(seconds)
                await self._app(scope, receive, send)
            case Answer() as status:
                await _answer(send, status.status, status.headers.items(), status.body)
            case DropBefore():
                await _drop(scope)
            case DropAfter():
                await self._answer_of(scope, receive)
                await _drop(scope)
            case Cut(after_bytes=left):
                await self._app(scope, receive, _cutting(scope, send, left))
            case Hang():
                await _gone(receive)
            case Garbage(body=body):
                answer = await self._answer_of(scope, receive)
                await _answer(send, answer.status, answer.headers, body)
            case Truncated():
                answer = await self._answer_of(scope, receive)
                await _answer(send, answer.status, answer.headers, answer.body[: len(answer.body) // 2])
            case Twice():
                await self._twice(scope, receive, send)

    async def _answer_of(self, scope: Scope, receive: Receive) -> "_RecordedAnswer":
        answer = _RecordedAnswer()
        await self._app(scope, receive, answer.take)
        return answer

    async def _twice(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        await self._app(dict(scope), _again(body, receive), _RecordedAnswer().take)
        await self._app(scope, _again(body, receive), send)


@attrs.define
class _RecordedAnswer:
    """An answer that is recorded instead of being sent."""

    status: int = 500
    headers: list[tuple[str, str]] = attrs.field(factory=list)
    body: bytes = b""

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            pairs = message.get("headers", ())
            self.headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in pairs]
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")


async def _answer(send: Send, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> None:
    others = [(name, value) for name, value in headers if name.lower() != "content-length"]
    pairs = [*others, ("content-length", str(len(body)))]
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})


async def _drop(scope: Scope) -> None:
    abort = scope.get("extensions", {}).get(ABORT)
    if abort is None:
        raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
    await abort()


def _cutting(scope: Scope, send: Send, left: int) -> Send:
    async def send_some(message: Message) -> None:
        nonlocal left
        piece = message.get("body", b"")
        if len(piece) <= left:
            left -= len(piece)
            await send(message)
            return
        await send({**message, "body": piece[:left], "more_body": True})
        await _drop(scope)

    return send_some


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """A request's body once more, then whatever comes after it."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay
