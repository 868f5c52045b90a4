"""Notifying systemd of the state of the service, and its watchdog: the protocol of sd_notify(3).

Each message is one datagram of `NAME=value` lines to the socket in $NOTIFY_SOCKET. Nothing here waits for an
answer, and nothing fails: a service without a working supervisor is still a service.
"""

import os
import socket
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Self

import attrs
import structlog

log = structlog.stdlib.get_logger(__name__)

SEND_SECONDS = 1.0  # systemd empties its queue at once, unless the machine is in deep trouble


@attrs.frozen(kw_only=True)
class ServiceManager:
    """The other end; without an address there is none, and every method does nothing."""

    address: str = ""
    """A path, or `@` and an abstract name."""

    watchdog: timedelta | None = None
    """The service is killed when it does not say `alive` for so long; None is never."""

    @classmethod
    def of(cls, environ: MutableMapping[str, str]) -> Self:
        """The one that started this process; its variables are taken out, so that no child gets them."""
        address = environ.pop("NOTIFY_SOCKET", "")
        microseconds, pid = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
        for_us = microseconds.isdecimal() and pid in ("", str(os.getpid()))
        interval = timedelta(microseconds=int(microseconds)) if address and for_us else None
        return cls(address=address, watchdog=interval or None)

    def ready(self, status: str) -> None:
        """The service is up; or, after `reloading`, works with its new configuration."""
        self._notify("READY=1", _status(status))

    def status(self, status: str) -> None:
        """One line for `systemctl status`."""
        self._notify(_status(status))

    def alive(self) -> None:
        """Put the watchdog off."""
        self._notify("WATCHDOG=1")

    def stopping(self, status: str) -> None:
        """The service is stopping, whatever the reason."""
        self._notify("STOPPING=1", _status(status))

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """A configuration is being read; then the service is ready again, with the new one or the old."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._notify("RELOADING=1", f"MONOTONIC_USEC={now}")
        try:
            yield
        finally:
            self._notify("READY=1")

    def _notify(self, *assignments: str) -> None:
        if not self.address:
            return
        name = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as ours:
                ours.settimeout(SEND_SECONDS)
                ours.sendto("\n".join(assignments).encode(), name)
        except OSError as error:
            log.warning("service_manager_unreachable", told=assignments[0], reason=str(error))


def _status(text: str) -> str:
    return f"STATUS={' '.join(text.split())}"
