"""One Docker engine, called in threads: bounded in number and in time, with its errors translated.

A call is a function that is given the SDK's client. The threads do not hold up the end of the program: a call
on which no one waits any more is left to its time limit.
"""

import asyncio
import concurrent.futures
import contextlib
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias, TypeVar

import attrs
from docker import APIClient
from docker.tls import TLSConfig
from docker.utils import version_lt

from paas_runner.docker.errors import SettingNames, translated
from paas_runner.errors import Rejected, Transient

Client: TypeAlias = APIClient
"""The SDK's own, with a method for each request of the engine's API; its errors end at `Engine`."""

CALL_SECONDS = 60
CALLS_AT_ONCE = 16
UNBOUNDED = sys.maxsize
OLDEST_API = "1.40"  # Docker 19.03
STANDARD_SOCKET = Path("/var/run/docker.sock")
STANDARD_URL = f"unix://{STANDARD_SOCKET}"

_VERSION_REFUSED = "client version "  # begins the engine's refusal after it was replaced by another version

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Address:
    """How an engine is reached."""

    url: str = STANDARD_URL
    certificates: Path | None = attrs.field(default=None, converter=attrs.converters.optional(Path))
    """The folder with `ca.pem`, `cert.pem` and `key.pem`, for an engine that wants TLS."""

    verify: bool = True
    """Whether the engine's own certificate is checked."""

    names: SettingNames = SettingNames()
    proxies: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    """By which an engine is reached over TCP: the URL of a proxy for `http` and for `https`."""

    @property
    def service(self) -> str:
        """What errors call the engine."""
        return f"Docker engine at {self.url}"

    @property
    def files(self) -> tuple[Path, ...]:
        """Of the certificates: the authority's, ours, our key; none without TLS."""
        folder = self.certificates
        return (folder / "ca.pem", folder / "cert.pem", folder / "key.pem") if folder else ()


def address_from(environ: Mapping[str, str]) -> Address:
    """The engine of $DOCKER_HOST and its certificates, as the SDK and GitLab Runner read them.

    Certificates without $DOCKER_TLS_VERIFY are shown to an engine whose own is not checked.
    """
    verify = bool(environ.get("DOCKER_TLS_VERIFY"))
    folder = environ.get("DOCKER_CERT_PATH") or (Path.home() / ".docker" if verify else None)
    return Address(url=environ.get("DOCKER_HOST") or STANDARD_URL, certificates=folder, verify=verify)


class Engine:
    """Connected at the first call and not before. All calls raise `Transient`, `Rejected` and its kinds.

    `seconds` is how long the engine may be silent. No more than `calls_at_once` are made by `call` and
    `shielded_call`, those included that no one waits for any more; the others wait for their turn. A program
    that follows streams of the engine for as long as they last leaves them `UNBOUNDED`.
    """

    def __init__(
        self, address: Address, *, seconds: int = CALL_SECONDS, calls_at_once: int = CALLS_AT_ONCE
    ) -> None:
        self.address = address
        self._seconds = seconds
        self._connections = min(calls_at_once, CALLS_AT_ONCE)
        self._turns = asyncio.Semaphore(calls_at_once)
        self._connecting = threading.Lock()
        self._client: Client | None = None

    async def call(self, op: str, function: Callable[[Client], T]) -> T:
        """What `function` returns.

        Canceled, it leaves the request to its time limit. So it is for what makes nothing, and for callers
        who find what was made by its labels later on, whenever it was made.
        """
        return await (await self._begun(op, function))

    async def shielded_call(self, op: str, function: Callable[[Client], T]) -> T:
        """The same for callers who remove all that they have made before they end.

        Canceled, it still waits for the request: what is made now must not be missed by that removal.
        """
        answer = await self._begun(op, function)
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            await asyncio.wait({answer})
            if not answer.cancelled():
                answer.exception()  # retrieved, or asyncio would complain that it never was
            raise

    def call_here(self, op: str, function: Callable[[Client], T]) -> T:
        """The same in the caller's own thread, for programs without an event loop."""
        try:
            with translated(self.address.service, op, self.address.names):
                return function(self._connected(op))
        except Rejected as error:
            if _VERSION_REFUSED not in str(error):
                raise
            self._client = None
            raise Transient(str(error), service=error.service, op=op) from error

    async def aclose(self) -> None:
        """Close the connections; calls that go on are not waited for."""
        self.close()

    def close(self) -> None:
        if self._client:
            self._client.close()

    async def _begun(self, op: str, function: Callable[[Client], T]) -> "asyncio.Future[T]":
        await self._turns.acquire()
        loop = asyncio.get_running_loop()

        def work() -> T:
            try:
                return self.call_here(op, function)
            finally:
                with contextlib.suppress(RuntimeError):  # the loop was closed: no one waits for a turn
                    loop.call_soon_threadsafe(self._turns.release)

        return in_thread(work)

    def _connected(self, op: str) -> Client:
        with self._connecting:
            if self._client is None:
                self._client = self._connect(op)
            return self._client

    def _connect(self, op: str) -> Client:
        with contextlib.closing(self._client_for(OLDEST_API)) as probe:
            version = str(probe.version(api_version=False).get("ApiVersion", "0"))
        if version_lt(version, OLDEST_API):
            text = f"it is too old: it speaks API {version}, {OLDEST_API} (Docker 19.03) or newer is needed"
            raise Rejected(text, service=self.address.service, op=op)
        return self._client_for(version)

    def _client_for(self, version: str) -> Client:
        tls: TLSConfig | bool = False
        if files := self.address.files:
            authority, certificate, key = map(str, files)
            tls = TLSConfig(ca_cert=authority, client_cert=(certificate, key), verify=self.address.verify)
        client = APIClient(
            base_url=self.address.url,
            version=version,
            timeout=self._seconds,
            tls=tls,
            max_pool_size=self._connections,
        )
        client.proxies.update(self.address.proxies)
        client.trust_env = False  # no proxy but that one, no authority but the engine's own
        return client


def in_thread(function: Callable[[], T]) -> "asyncio.Future[T]":
    """Run it in a thread of its own, which does not hold up the end of the program."""
    done: concurrent.futures.Future[T] = concurrent.futures.Future()
    done.set_running_or_notify_cancel()

    def work() -> None:
        try:
            done.set_result(function())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            done.set_exception(error)

    threading.Thread(target=work, daemon=True, name="docker").start()
    return asyncio.wrap_future(done)
