"""Calls to one service: a deadline on every call, bounded retries, answers as values.

The requests are httpx's, and so is the port that they go to, `httpx.AsyncBaseTransport`. Its `AsyncClient`
between the two is left out: its cookies, redirects and authentication are not wanted, and cost as much as the
sending.

What is transient is decided here once (`Transient`: no answer, 408, 425, 429, 5xx); what every other status
means is for the caller, who knows the protocol. What an answer may cost is bounded: its time, its bytes,
which are taken as they come and never unpacked. A redirect is followed where method and body stay (307, 308)
and the host does: any other would carry credentials to somebody else.
Nothing of a request but its operation's name is logged.
"""

import asyncio
import os
import random
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Protocol

import attrs
import httpx
import structlog

from paas_runner import __version__
from paas_runner.errors import Rejected, RemoteError, Transient
from paas_runner.http.exchange import Exchange, OnExchange
from paas_runner.http.opening import Opening
from paas_runner.http.response import Response, cause
from paas_runner.http.stream import Stream
from paas_runner.http.tls import Contexts, Tls
from paas_runner.http.transport import Transport
from paas_runner.logs import redactor
from paas_runner.proxies import Proxies
from paas_runner.secret import Secret

if TYPE_CHECKING:
    import tenacity

log = structlog.stdlib.get_logger(__name__)

ANSWER_SECONDS = 30.0
MOST_BODY_BYTES = 4 * 1024 * 1024
MOST_LIST_BYTES = 32 * 1024 * 1024  # of an answer that grows with what somebody has there
MOST_REDIRECTS = 3
PIECES_IN_A_ROW = 64  # of a body: thousands of a byte each may be there at once, and others wait meanwhile
LONGEST_WAIT_SECONDS = 10.0  # a longer Retry-After is for the caller's own schedule
QUICK_TRIES = 3
"""Attempts of a call that may be repeated right away: a hiccup passes, an outage is reported."""

ADDRESSES_KEPT = 1024
"""Of those that are asked again and again, as for each job: to read one costs as much as the rest of it."""


class HttpClient:
    """Calls to one service; at most `at_once` of them in flight."""

    def __init__(
        self,
        template: httpx.Request,
        transport: httpx.AsyncBaseTransport,
        *,
        service: str,
        at_once: int,
        rng: random.Random,
        on_exchange: OnExchange | None = None,
    ) -> None:
        """Each request begins as `template`; `aclose` closes the transport, too."""
        self._template = template
        self._transport = transport
        self._base = str(template.url).rstrip("/")
        self._address = lru_cache(ADDRESSES_KEPT)(httpx.URL)
        self._on_exchange = on_exchange
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
        most_bytes: int = MOST_BODY_BYTES,
        cut: bool = False,
        redirects: bool = True,
    ) -> Response:
        """One answer, from the last of at most `attempts` calls of at most `within` seconds each.

        Raises `Transient`, and `Rejected` for what cannot be sent. Give `attempts` only to calls that may be
        repeated. A body of more than `most_bytes` is transient, too, unless its beginning is worth something:
        with `cut` that is the answer, one byte longer than allowed. Without `redirects` none is followed.
        """
        call = _Call(
            request=partial(
                self._request, method, path, headers=headers, payload=payload, content=content, params=params
            ),
            op=op,
            method=method,
            within=within,
            most_bytes=most_bytes,
            cut=cut,
            redirects=redirects,
        )
        try:
            return await self._once(call, 1)
        except Transient as error:
            if attempts == 1 or not _worth_repeating(error):
                raise
            await asyncio.sleep(self._pause(error, 1))
        async for attempt in self._retrying(attempts):
            with attempt:
                return await self._once(call, attempt.retry_state.attempt_number + 1)
        raise AssertionError("the last attempt returns or raises")

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        op: str,
        headers: Mapping[str, Secret | str] | None = None,
        params: Mapping[str, str] | None = None,
        within: float = ANSWER_SECONDS,
    ) -> AsyncIterator[Stream]:
        """What a request brings, as it comes, for as long as it comes; it begins within `within` seconds.

        It takes no place from the calls. Raises `Transient`.
        """
        request = self._request(method, path, headers=headers, payload=None, content=None, params=params)
        try:
            async with asyncio.timeout(within):
                response = await self._transport.handle_async_request(request)
        except (httpx.RequestError, TimeoutError) as error:
            raise self._transient(f"no answer ({cause(error)})", op) from error
        try:
            yield Stream(response, self._service, op)
        finally:
            await response.aclose()

    async def aclose(self) -> None:
        await self._transport.aclose()

    def _request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, Secret | str] | None,
        payload: Any,
        content: bytes | None,
        params: Mapping[str, str] | None,
    ) -> httpx.Request:
        """Raises `httpx.InvalidURL` and ValueError."""
        all_headers = self._template.headers
        if headers:
            all_headers = all_headers.copy()
            for name, value in headers.items():
                all_headers[name] = value.reveal() if isinstance(value, Secret) else value
        address = self._address(f"{self._base}/{path.lstrip('/')}")
        return httpx.Request(
            method, address, headers=all_headers, json=payload, content=content, params=params
        )

    async def _once(self, call: "_Call", attempt: int) -> Response:
        op = call.op
        async with self._places:
            began = asyncio.get_running_loop().time()
            try:
                answer = await self._answered(call)
            except RemoteError:
                self._tell(call, attempt, began, None)
                raise
            self._tell(call, attempt, began, answer)
        log.debug("http_call", service=self._service, op=op, status=answer.status)
        if answer.status in (408, 425, 429) or answer.status >= 500:
            raise Transient(
                answer.summary,
                service=self._service,
                op=op,
                status=answer.status,
                retry_after=answer.retry_after,
                reference=answer.reference,
            )
        return answer

    async def _answered(self, call: "_Call") -> Response:
        exchange = self._followed if call.redirects else self._exchange
        try:
            async with asyncio.timeout(call.within):
                return await exchange(call.request(), call)
        except (httpx.RequestError, TimeoutError) as error:
            raise self._transient(f"no answer ({cause(error)})", call.op) from error
        except RemoteError:
            raise
        except Exception as error:
            # an address that is none, found as late as here, or whatever else the library did not foresee
            raise self._unsendable(call.op, error) from error

    def _tell(self, call: "_Call", attempt: int, began: float, answer: Response | None) -> None:
        if self._on_exchange:
            exchange = Exchange(
                service=self._service,
                op=call.op,
                method=call.method,
                seconds=asyncio.get_running_loop().time() - began,
                attempt=attempt,
                server=self._template.url.host,
                answer=answer,
            )
            self._on_exchange(exchange)

    async def _followed(self, request: httpx.Request, call: "_Call") -> Response:
        for _ in range(MOST_REDIRECTS):
            answer = await self._exchange(request, call)
            address = _same_host(request.url, answer)
            if address is None:
                return answer
            headers = [(name, value) for name, value in request.headers.multi_items() if name != "host"]
            request = httpx.Request(request.method, address, headers=headers, content=request.content)
        return answer

    async def _exchange(self, request: httpx.Request, call: "_Call") -> Response:
        response = await self._transport.handle_async_request(request)
        status = response.status_code
        try:
            if response.headers.get("content-encoding", "").strip().lower() not in ("", "identity"):
                raise self._transient(
                    "answered in an encoding that was not asked for", call.op, status=status
                )
            body, pieces = bytearray(), 0
            async for chunk in response.stream:  # type: ignore[union-attr]  # as it comes
                body += chunk
                pieces += 1
                if not pieces % PIECES_IN_A_ROW:
                    await asyncio.sleep(0)
                if len(body) > call.most_bytes:
                    if call.cut:
                        del body[call.most_bytes + 1 :]
                        break
                    mebibytes = call.most_bytes // 1024 // 1024
                    raise self._transient(f"answered more than {mebibytes} MiB", call.op, status=status)
        finally:
            await response.aclose()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Response(status=status, headers=headers, body=bytes(body))

    def _unsendable(self, op: str, error: Exception) -> Rejected:
        return Rejected(f"cannot be sent ({type(error).__name__})", service=self._service, op=op)

    def _transient(self, text: str, op: str, *, status: int | None = None) -> Transient:
        return Transient(text, service=self._service, op=op, status=status)

    def _retrying(self, attempts: int) -> "tenacity.AsyncRetrying":
        """For what is left of them after the first, which does without as most need no other."""
        import tenacity

        def pause(call: tenacity.RetryCallState) -> float:
            error = call.outcome.exception() if call.outcome else None
            return self._pause(error, call.attempt_number + 1)

        return tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(_worth_repeating),
            wait=pause,
            stop=tenacity.stop_after_attempt(attempts - 1),
            reraise=True,
        )

    def _pause(self, error: BaseException | None, attempt: int) -> float:
        wanted = error.retry_after if isinstance(error, Transient) else None
        return wanted if wanted is not None else self._rng.uniform(0.3, 1.0) * 2 ** (attempt - 1)


class Connect(Protocol):
    """Makes clients: how the service reaches any other; a simulation brings its own."""

    def __call__(
        self,
        base_url: str,
        *,
        service: str,
        headers: Mapping[str, Secret] | None = None,
        at_once: int = 16,
        tls: Tls | None = None,
        proxy: Secret | None = None,
    ) -> HttpClient:
        """A client for `base_url`; `headers` are sent with every call.

        `proxy` is used instead of those that the environment names.
        """


@attrs.frozen(kw_only=True)
class Http:
    """`Connect` by httpx; `transport` replaces the network, by base URL; `on_exchange` hears of each call."""

    rng: random.Random = attrs.field(factory=random.Random)
    transport: Callable[[str], httpx.AsyncBaseTransport] | None = None
    on_exchange: OnExchange | None = None
    environ: Mapping[str, str] = attrs.field(factory=lambda: os.environ, repr=False)
    """Names the proxies."""
    _contexts: Contexts = attrs.field(factory=Contexts, init=False, repr=False, eq=False)

    def __call__(
        self,
        base_url: str,
        *,
        service: str,
        headers: Mapping[str, Secret] | None = None,
        at_once: int = 16,
        tls: Tls | None = None,
        proxy: Secret | None = None,
    ) -> HttpClient:
        """Build the client; raises OSError for certificates that cannot be read, and `ProxyError`."""
        proxies = Proxies(environ=self.environ)
        redactor.add(proxies.secrets)
        proxy = proxy or (None if self.transport else proxies.of(base_url))
        context = partial(self._contexts.of, tls or Tls())
        if base_url[:6].lower() == "https:" and (tls or not self.transport):
            context = partial(_same, context())
        template = httpx.Request(
            "GET",
            base_url,
            headers={
                "Accept": "*/*",
                "Accept-Encoding": "identity",
                "User-Agent": f"paas-runner {__version__}",
            }
            | {name: value.reveal() for name, value in (headers or {}).items()},
        )
        if self.transport:
            transport = self.transport(base_url)
        else:
            of_proxy = partial(self._contexts.of, Tls())
            name = tls.server_name if tls else ""
            transport = Transport(
                Opening(context=context, proxy=proxy, context_of_proxy=of_proxy, server_name=name)
            )
        return HttpClient(
            template, transport, service=service, at_once=at_once, rng=self.rng, on_exchange=self.on_exchange
        )


@attrs.frozen(kw_only=True)
class _Call:
    """What is wanted; thousands may wait for their place, and the request is made when it has one."""

    request: Callable[[], httpx.Request]
    op: str
    method: str
    within: float
    most_bytes: int
    cut: bool
    redirects: bool


def _same_host(asked: httpx.URL, answer: Response) -> httpx.URL | None:
    """Where the request is to be repeated as it is: on the host that has our credentials, no less safely."""
    if answer.status not in (307, 308) or not answer.headers.get("location"):
        return None
    try:
        address = asked.join(answer.headers["location"])
    except (httpx.InvalidURL, ValueError):
        return None
    safe = address.scheme == "https" or address.scheme == asked.scheme == "http"
    return address if safe and address.host == asked.host and not address.userinfo else None


def _same(context: ssl.SSLContext) -> ssl.SSLContext:
    return context


def _worth_repeating(error: BaseException) -> bool:
    return isinstance(error, Transient) and (error.retry_after or 0) <= LONGEST_WAIT_SECONDS
