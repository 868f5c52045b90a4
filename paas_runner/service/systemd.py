"""Notifying systemd of the state of the service, and its watchdog: the protocol of sd_notify(3).

Each message is one datagram of `NAME=value` lines to the socket in $NOTIFY_SOCKET. Nothing here waits, and
nothing fails: a service without a working supervisor is still a service. While the kernel has no room for
another datagram (it keeps `net.unix.max_dgram_qlen`, by default 10), the last message of each kind waits.
"""

import asyncio
import os
import socket
import time
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Self

import attrs
import structlog

log = structlog.stdlib.get_logger(__name__)

RETRY_SECONDS = 0.5  # systemd empties its queue at once, unless the machine is in deep trouble


@attrs.frozen(kw_only=True)
class ServiceManager:
    """The other end; without an address there is none, and every method does nothing."""

    address: str = ""
    """A path, or `@` and an abstract name."""

    watchdog: timedelta | None = None
    """The service is killed when it does not say `alive` for so long; None is never."""

    _outbox: "_Outbox" = attrs.field(init=False, eq=False, repr=False)

    @_outbox.default
    def _new_outbox(self) -> "_Outbox":
        return _Outbox(f"\0{self.address[1:]}" if self.address.startswith("@") else self.address)

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
        if self.address:
            self._outbox.put(assignments)


def _status(text: str) -> str:
    return f"STATUS={' '.join(text.split())}"


@attrs.define
class _Outbox:
    """Sends in the order in which it was said; of two messages of a kind that both wait, the later one."""

    _name: str
    _waiting: dict[str, str] = attrs.field(factory=dict, init=False)
    _retry: asyncio.TimerHandle | None = attrs.field(default=None, init=False)

    def put(self, assignments: Sequence[str]) -> None:
        kind = assignments[0].partition("=")[0]
        self._waiting.pop(kind, None)
        self._waiting[kind] = "\n".join(assignments)
        self._send()

    def _send(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as ours:
            ours.setblocking(False)
            for kind, message in list(self._waiting.items()):
                try:
                    ours.sendto(message.encode(), self._name)
                except BlockingIOError:
                    self._send_later()
                    return
                except OSError as error:
                    told = message.partition("\n")[0]
                    log.warning("service_manager_unreachable", told=told, reason=str(error))
                del self._waiting[kind]

    def _send_later(self) -> None:
        """With the next message, and in a running loop at the latest in a moment."""
        if self._retry is None:
            with suppress(RuntimeError):  # there is no loop yet, or no more
                self._retry = asyncio.get_running_loop().call_later(RETRY_SECONDS, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self._send()
