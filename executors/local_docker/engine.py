"""One Docker engine, called in threads: bounded in number and in time, with its errors translated."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from docker import APIClient
from docker.tls import TLSConfig
from docker.utils import version_lt

from executors.local_docker.settings import Address
from executors.local_docker.troubles import translated
from paas_runner.errors import Rejected, Transient

CALLS_AT_ONCE = 16
CALL_SECONDS = 60
OLDEST_API = "1.40"  # Docker 19.03

_VERSION_REFUSED = "client version "  # begins the engine's refusal after it was replaced by another version

Result = TypeVar("Result")


class Engine:
    """Connected at the first call and not before; a cancelled call leaves its thread to the time limit."""

    def __init__(self, address: Address, *, seconds: int = CALL_SECONDS) -> None:
        """Nothing outside is touched yet; `seconds` is how long the engine may be silent."""
        self.address = address
        self._seconds = seconds
        self._threads = ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="docker")
        self._connecting = threading.Lock()
        self._client: APIClient | None = None

    async def call(self, op: str, function: Callable[[APIClient], Result]) -> Result:
        """What `function` returns; raises `Transient`, `Rejected` and its kinds in `troubles`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._call, op, function)

    async def aclose(self) -> None:
        """Close the connections; calls that nobody waits for any more are not waited for either."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._client:
            self._client.close()

    def _call(self, op: str, function: Callable[[APIClient], Result]) -> Result:
        try:
            with translated(self.address.url, op):
                return function(self._connected(op))
        except Rejected as error:
            if _VERSION_REFUSED not in str(error):
                raise
            self._client = None
            raise Transient(str(error), service=error.service, op=op) from error

    def _connected(self, op: str) -> APIClient:
        with self._connecting:
            if self._client is None:
                self._client = self._connect(op)
            return self._client

    def _connect(self, op: str) -> APIClient:
        probe = self._client_for(OLDEST_API)
        with contextlib.closing(probe):
            version = str(probe.version(api_version=False).get("ApiVersion", "0"))
        if version_lt(version, OLDEST_API):
            text = f"it is too old: it speaks API {version}, {OLDEST_API} (Docker 19.03) or newer is needed"
            raise Rejected(text, service=f"Docker engine at {self.address.url}", op=op)
        return self._client_for(version)

    def _client_for(self, version: str) -> APIClient:
        tls: TLSConfig | bool = False
        if self.address.certificates:
            files = self.address.client_files
            tls = TLSConfig(ca_cert=self.address.ca_file, client_cert=files, verify=self.address.verify)
        client = APIClient(
            base_url=self.address.url,
            version=version,
            timeout=self._seconds,
            tls=tls,
            max_pool_size=CALLS_AT_ONCE,
        )
        client.trust_env = False  # no proxy between us and the engine
        return client
