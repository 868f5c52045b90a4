"""One Docker engine, called in threads that nobody has to wait for at the end of the program."""

import asyncio
import concurrent.futures
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import attrs
import requests
import urllib3
from docker import APIClient
from docker.errors import APIError, DockerException
from docker.tls import TLSConfig
from docker.utils import kwargs_from_env

T = TypeVar("T")

CALL_SECONDS = 60
"""How long the engine may be silent."""

_ANY_VERSION = "1.40"
"""Of the API, to ask for the engine's own."""


class EngineError(OSError):
    """The engine cannot be reached, or does not do what it was asked for."""

    def __init__(self, what: str, why: str, *, status: int = 0) -> None:
        """Say what was tried; `status` is that of the engine's answer, 0 without one."""
        super().__init__(f"{what} failed: {why}")
        self.why = why
        self.status = status


@attrs.frozen(kw_only=True)
class EngineAddress:
    """Where the engine is; without a `host` the environment says it, as to Docker's own programs."""

    host: str = ""
    tls_cert_path: str = ""
    tls_verify: bool = False

    def connect(self) -> APIClient:
        """A client that speaks the engine's own version; raises `DockerException`."""
        with contextlib.closing(self._client(_ANY_VERSION)) as asking:
            version = asking.version(api_version=False)["ApiVersion"]
        return self._client(str(version))

    def _client(self, version: str) -> APIClient:
        where = {"base_url": self.host, "tls": self._tls} if self.host else kwargs_from_env(dict(os.environ))
        client = APIClient(version=version, timeout=CALL_SECONDS, **where)
        client.trust_env = False  # no proxy between us and the engine, no authority but the engine's own
        return client

    @property
    def _tls(self) -> TLSConfig | bool:
        if not self.tls_cert_path:
            return False
        folder = Path(self.tls_cert_path)
        files = (str(folder / "cert.pem"), str(folder / "key.pem"))
        return TLSConfig(ca_cert=str(folder / "ca.pem"), client_cert=files, verify=self.tls_verify)


@attrs.frozen
class Engine:
    """Calls of the SDK as coroutines; all raise `EngineError`."""

    _client: APIClient

    async def call(self, what: str, function: Callable[[APIClient], T]) -> T:
        """What `function` returns. Cancelled, it still waits: what is made now must not be missed later."""
        answer = in_thread(self._translated(what, function))
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            await asyncio.wait({answer})
            if not answer.cancelled():
                answer.exception()  # looked at: nobody else will
            raise

    async def abandonable(self, what: str, function: Callable[[APIClient], T]) -> T:
        """The same for what may take long and makes nothing that would have to be removed."""
        return await in_thread(self._translated(what, function))

    def _translated(self, what: str, function: Callable[[APIClient], T]) -> Callable[[], T]:
        def work() -> T:
            with translated(what):
                return function(self._client)

        return work


@contextlib.asynccontextmanager
async def connected(address: EngineAddress) -> AsyncIterator[Engine]:
    """The engine at an address; raises `EngineError` when there is none."""

    def connect() -> APIClient:
        with translated("to reach the Docker engine (does it run, is its socket at hand?)"):
            return address.connect()

    client = await in_thread(connect)
    try:
        yield Engine(client)
    finally:
        client.close()


@contextlib.contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn what the SDK and its libraries raise into `EngineError`."""
    try:
        yield
    except APIError as error:
        why = (error.explanation or str(error)).strip()
        raise EngineError(what, why, status=error.status_code or 0) from error
    except (DockerException, requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise EngineError(what, f"{type(error).__name__}: {error}") from error


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
