"""HTTP as the service uses it: a deadline on every call, bounded retries, answers as values.

The only module that imports httpx. It decides once what is transient (`Transient`: no answer, 408, 425, 429,
5xx); what every other status means is for the caller, who knows the protocol. Redirects are not followed,
they would carry credentials to another host. Nothing of a request but its operation's name is logged.
"""

import asyncio
import email.utils
import json
import os
import random
import ssl
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import attrs
import httpx
import structlog
import tenacity

from paas_runner import __version__
from paas_runner.errors import Transient
from paas_runner.secret import Secret

log = structlog.stdlib.get_logger(__name__)

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 30.0
MOST_BODY_BYTES = 32 * 1024 * 1024
MOST_SAID = 300
REQUEST_IDS = ("sozu-id", "x-request-id")  # Clever Cloud's proxy; GitLab
MOST_PATIENCE_SECONDS = 10.0  # a longer Retry-After is for the caller's own schedule


@attrs.frozen(kw_only=True)
class Tls:
    """Certificates of a private installation; the authority is trusted beside the system's."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Read the files; raises OSError (of which `ssl.SSLError` is one)."""
        context = ssl.create_default_context()
        if self.ca_file:
            context.load_verify_locations(self.ca_file)
        if self.cert_file:
            context.load_cert_chain(self.cert_file, self.key_file)
        return context


@attrs.frozen(kw_only=True)
class Response:
    """What came back: any status that is not transient."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes = attrs.field(repr=False)

    def json(self) -> Any:
        """The decoded body; raises ValueError."""
        return json.loads(self.body)

    def number(self, header: str) -> float | None:
        """A header's value when it is a number, else None."""
        return _number(self.headers.get(header, ""))

    @property
    def said(self) -> str:
        """An error's own words in one line: `message`, else `error`, of a JSON object; or none.

        Where the words are an object, as GitLab's about refused attributes, each field comes with its faults.
        """
        try:
            found = self.json()
        except ValueError:
            return ""
        words = (found.get("message") or found.get("error")) if isinstance(found, Mapping) else None
        if isinstance(words, Mapping):
            words = "; ".join(f"{field} {faults}" for field, faults in words.items())
        printable = "".join(c if c.isprintable() else " " for c in words) if isinstance(words, str) else ""
        return " ".join(printable.split())[:MOST_SAID].rstrip()

    @property
    def account(self) -> str:
        """For a reader: the status, and an error's own words."""
        return f"answered {self.status}" + (f": {self.said}" if self.said else "")

    @property
    def reference(self) -> str:
        """The other side's name for the request, for their support; empty without."""
        return next((self.headers[name] for name in REQUEST_IDS if self.headers.get(name)), "")

    @property
    def date(self) -> datetime | None:
        """What the other side's clock said, to the second."""
        return _date(self.headers.get("date", ""))


OnResponse = Callable[[str, Response], None]
"""Gets each answer right when it is complete, and the name of the service that gave it."""


class HttpClient:
    """Calls to one service; at most `at_once` of them in flight."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        service: str,
        at_once: int,
        rng: random.Random,
        on_response: OnResponse | None = None,
    ) -> None:
        """Take over the client: `aclose` closes it."""
        self._client = client
        self._on_response = on_response
        self._service = service
        self._places = asyncio.Semaphore(at_once)
        self._rng = rng

    @property
    def service(self) -> str:
        """The service's name, for messages."""
        return self._service

    async def call(
        self,
        method: str,
        path: str,
        *,
        op: str,
        headers: Mapping[str, Secret | str] | None = None,
        payload: Any = None,
        content: bytes | None = None,
        params: Mapping[str, str] | None = None,
        within: float = ANSWER_SECONDS,
        attempts: int = 1,
    ) -> Response:
        """One answer, from the last of at most `attempts` calls of at most `within` seconds each.

        Raises `Transient`. Give `attempts` only to calls that may be repeated.
        """
        request = self._client.build_request(
            method,
            path,
            headers={name: _opened(value) for name, value in (headers or {}).items()},
            json=payload,
            content=content,
            params=params,
            timeout=httpx.Timeout(within, connect=min(CONNECT_SECONDS, within)),
        )
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(_worth_waiting),
            wait=self._pause,
            stop=tenacity.stop_after_attempt(attempts),
            reraise=True,
        )
        return await retrying(self._once, request, op, within)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def _once(self, request: httpx.Request, op: str, within: float) -> Response:
        async with self._places:
            try:
                async with asyncio.timeout(within):
                    answer = await self._exchange(request, op)
            except (httpx.RequestError, TimeoutError) as error:
                raise self._transient(f"no answer ({_cause(error)})", op) from error
        log.debug("call", service=self._service, op=op, status=answer.status)
        if self._on_response:
            self._on_response(self._service, answer)
        if answer.status in (408, 425, 429) or answer.status >= 500:
            raise Transient(
                answer.account,
                service=self._service,
                op=op,
                status=answer.status,
                retry_after=_retry_after(answer),
                reference=answer.reference,
            )
        return answer

    async def _exchange(self, request: httpx.Request, op: str) -> Response:
        response = await self._client.send(request, stream=True)
        try:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MOST_BODY_BYTES:
                    raise self._transient("answered more than 32 MiB", op, status=response.status_code)
        finally:
            await response.aclose()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Response(status=response.status_code, headers=headers, body=bytes(body))

    def _transient(self, text: str, op: str, *, status: int | None = None) -> Transient:
        return Transient(text, service=self._service, op=op, status=status)

    def _pause(self, call: tenacity.RetryCallState) -> float:
        error = call.outcome.exception() if call.outcome else None
        told = error.retry_after if isinstance(error, Transient) else None
        return told if told is not None else self._rng.uniform(0.3, 1.0) * 2 ** (call.attempt_number - 1)


class Connect(Protocol):
    """How the service reaches another; a simulation brings its own."""

    def __call__(
        self,
        base_url: str,
        *,
        service: str,
        headers: Mapping[str, Secret] | None = None,
        at_once: int = 16,
        tls: Tls | None = None,
    ) -> HttpClient:
        """A client for `base_url`; `headers` are sent with every call."""


@attrs.frozen(kw_only=True)
class Http:
    """`Connect` by httpx; `transport` replaces the network, by base URL; `on_response` hears all answers."""

    rng: random.Random = attrs.field(factory=random.Random)
    transport: Callable[[str], httpx.AsyncBaseTransport] | None = None
    on_response: OnResponse | None = None

    def __call__(
        self,
        base_url: str,
        *,
        service: str,
        headers: Mapping[str, Secret] | None = None,
        at_once: int = 16,
        tls: Tls | None = None,
    ) -> HttpClient:
        """Build the client; raises OSError for certificates that cannot be read."""
        client = httpx.AsyncClient(
            base_url=base_url,
            headers={"User-Agent": f"paas-runner {__version__}"}
            | {name: value.reveal() for name, value in (headers or {}).items()},
            follow_redirects=False,
            limits=httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once),
            transport=self.transport(base_url) if self.transport else None,
            verify=(tls or Tls()).context() if base_url.startswith("https:") else False,
        )
        return HttpClient(
            client, service=service, at_once=at_once, rng=self.rng, on_response=self.on_response
        )


def _opened(value: Secret | str) -> str:
    return value.reveal() if isinstance(value, Secret) else value


def _worth_waiting(error: BaseException) -> bool:
    return isinstance(error, Transient) and (error.retry_after or 0) <= MOST_PATIENCE_SECONDS


def _cause(error: BaseException) -> str:
    """The type says more than the text, which is empty for timeouts and may quote a URL."""
    name, below = type(error).__name__, error.__cause__ or error.__context__
    while below is not None:
        if words := _system_words(below):
            return f"{name}: {words}"
        below = below.__cause__ or below.__context__
    return name


def _system_words(error: BaseException) -> str:
    """What the operating system or TLS says, which quotes nothing: refused, no such name, self-signed."""
    match error:
        case ssl.SSLCertVerificationError():
            return error.verify_message
        case ssl.SSLError():
            return error.reason or ""
        case OSError(errno=int(number)) if number > 0:
            return os.strerror(number)
        case OSError():
            return error.strerror or ""
        case _:
            return ""


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _retry_after(answer: Response) -> float | None:
    """Seconds to wait: `Retry-After` or `RateLimit-ResetTime` (spec `gitlab-runner-api.md` §0.4, §8.1)."""
    seconds = answer.number("retry-after")
    if seconds is not None:
        return min(max(seconds, 0.0), 600.0)
    reset = _date(answer.headers.get("ratelimit-resettime", ""))
    return None if reset is None else min(max((reset - datetime.now(UTC)).total_seconds(), 0.0), 600.0)


def _date(text: str) -> datetime | None:
    """A header's moment; HTTP dates are in UTC, whether they say so or not."""
    try:
        found = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
