"""The log of an execution: logfmt or JSON here, and syslog over UDP beside it (spec kog-jobs.md §9)."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import attrs

from paas_runner.addresses import AddressError, parsed
from paas_runner.errors import UsageError
from paas_runner.logs import configure
from paas_runner.logs.syslog import LogReceiver, RemoteLog

LEVEL = "info"
DEFAULT_PORT = 514
_USER = 1  # syslog's facility of programs that people start


@attrs.frozen(kw_only=True)
class LogSettings:
    """In the words of the command line."""

    formatter: str = "logfmt"
    remote_logger: str = ""
    remote_addr: str = ""

    @contextmanager
    def configured(self) -> Iterator[None]:
        """The log is written so inside; raises `UsageError` for an address that is none."""
        remote = self._remote()
        configure(level=LEVEL, form=self.formatter, beside=remote)
        try:
            yield
        finally:
            if remote:
                logging.getLogger().removeHandler(remote)
                remote.close()

    def for_context(self) -> Mapping[str, Any]:
        """What steps find under `log`."""
        own = {"format": self.formatter, "level": LEVEL}
        return own | ({"remote": self.remote_logger, "addr": self.remote_addr} if self.remote_logger else {})

    def _remote(self) -> logging.Handler | None:
        if not self.remote_logger:
            if self.remote_addr:
                raise UsageError("--remote-logger-addr has a meaning with --remote-logger alone")
            return None
        try:
            address = parsed(f"udp://{self.remote_addr or 'localhost'}", ["udp"])
        except AddressError as error:
            raise UsageError(f"--remote-logger-addr {self.remote_addr}: {error}") from None
        receiver = LogReceiver(host=address.host, port=address.port or DEFAULT_PORT, tls=False, udp=True)
        return RemoteLog(receiver, facility=_USER, app_name="paas-workflows")
