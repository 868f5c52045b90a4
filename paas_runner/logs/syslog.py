"""The log beside standard error: syslog (RFC 5424) over TLS (RFC 5425), TCP (RFC 6587) or UDP (RFC 5426).

Whoever logs only appends to a queue of bounded length; one thread connects, sends, and tries again with
growing pauses. A line leaves the queue when it was sent whole: an outage may bring one twice, and loses what
the queue had no room for, which is counted and said when the receiver is back. Syslog has no acknowledgement:
what was under way when a connection broke is lost, and shows as a gap in `sequenceId`.
"""

import contextlib
import json
import logging
import os
import random
import re
import socket
import ssl
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import structlog

from paas_runner import __version__
from paas_runner.errors import Exit, RunnerError
from paas_runner.logs.events import facts_of
from paas_runner.logs.levels import severity

log = structlog.stdlib.get_logger(__name__)

MOST_WAITING = 10_000
MOST_BYTES = 16 * 1024 * 1024
"""Of all lines that wait: those of ten thousand tracebacks would be more."""

MOST_CHARACTERS = 8192
"""Of a text in a line: receivers cut long lines, or end the connection."""

MOST_DATAGRAM_BYTES = 8192
"""By UDP the rest of a line is cut off (RFC 5426 §3.2)."""

CALL_SECONDS = 10.0
CLOSE_SECONDS = 1.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0

_MESSAGE_ID = re.compile(r"[!-~]{1,32}")
_LAST_SEQUENCE = 2**31 - 1
_ENTERPRISE = 32473  # IANA's for documents: we have none of our own


class RemoteLogError(RunnerError):
    """The receiver cannot be reached in the way that the configuration says."""

    exit_code = Exit.CONFIG


@attrs.frozen(kw_only=True)
class LogReceiver:
    """Where lines go."""

    host: str
    port: int
    tls: bool
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    udp: bool = False

    def context(self) -> ssl.SSLContext | None:
        """None without TLS; raises `RemoteLogError` for certificates that cannot be read."""
        if not self.tls:
            return None
        try:
            context = ssl.create_default_context()
            if self.ca_file:
                context.load_verify_locations(self.ca_file)
            if self.cert_file:
                context.load_cert_chain(self.cert_file, self.key_file)
        except OSError as error:
            raise RemoteLogError(f"`[log_remote]`: its tls-… files cannot be used: {error}") from error
        return context


class RemoteLog(logging.Handler):
    """The handler; its formatter makes one JSON object of a line, with all secrets taken out."""

    def __init__(self, receiver: LogReceiver, *, facility: int, app_name: str) -> None:
        """Nothing is opened before the first line."""
        super().__init__()
        self._receiver = receiver
        self._context = receiver.context()
        self._facility = facility
        self._head = f"{_visible(socket.gethostname(), 255)} {app_name} {os.getpid()}"
        self._sequence = 0
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._dropped = 0
        self._news = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._connection: socket.socket | None = None
        self._pause = 0.0
        """Before the next try; 0 while lines go out."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            facts = json.loads(self.format(record))
            with self._news:
                self._sequence = self._sequence % _LAST_SEQUENCE + 1
                if len(self._waiting) >= MOST_WAITING or self._bytes >= MOST_BYTES:
                    self._dropped += 1
                    return
                frame = self._frame(record.levelno, facts)
                self._waiting.append(frame)
                self._bytes += len(frame)
                self._news.notify()
                if self._thread is None and not self._closing:
                    self._thread = self._begun()
        except Exception:  # noqa: BLE001 - the library would print the line, whose secrets are still in it
            self._dropped += 1

    def _begun(self) -> threading.Thread | None:
        """None where the machine has no more threads: the next line tries again."""
        thread = threading.Thread(target=self._run, name="remote log", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return None
        return thread

    def close(self) -> None:
        """Send what still goes within a moment, and say what has not; nothing more is taken."""
        with self._news:
            again, self._closing = self._closing, True
            self._news.notify()
        if again:
            return
        if self._thread and self._thread is not threading.current_thread():
            self._thread.join(CLOSE_SECONDS)
        super().close()
        if lost := len(self._waiting) + self._dropped:
            log.warning("remote_log_lost", lines=lost)

    # --- a line ----------------------------------------------------------------------------------------

    def _frame(self, level: int, facts: Mapping[str, Any]) -> bytes:
        event = str(facts.get("event", ""))
        message_id = event if _MESSAGE_ID.fullmatch(event) else "-"
        line = (
            f"<{8 * self._facility + severity(level)}>1 {facts.get('timestamp', '-')} {self._head} "
            f"{message_id} {self._data(facts)} {json.dumps(_cut(facts))}"
        ).encode(errors="backslashreplace")
        return line[:MOST_DATAGRAM_BYTES] if self._receiver.udp else b"%d %s" % (len(line), line)

    def _data(self, facts: Mapping[str, Any]) -> str:
        ours = "".join(f' {name}="{_escaped(text)}"' for name, text in facts_of(facts).items())
        return (
            f'[meta sequenceId="{self._sequence}"][origin software="paas-runner" swVersion="{__version__}"]'
            + (f"[paas-runner@{_ENTERPRISE}{ours}]" if ours else "")
        )

    # --- the thread ------------------------------------------------------------------------------------

    def _run(self) -> None:
        while self._has_lines():
            try:
                self._send(self._waiting[0])
            except OSError as error:
                self._failed(error)
                if self._closing:
                    break
            except Exception:
                # whatever it is, it must not keep all that follows from being sent
                log.exception("remote_log_error")
                self._disconnect()
                self._done()
            else:
                self._done()
                self._worked()
        self._disconnect()

    def _send(self, line: bytes) -> None:
        """Raises OSError."""
        if self._receiver.udp:
            self._connection = self._connection or connected(self._receiver, None)
            with contextlib.suppress(ConnectionRefusedError):  # that it once says so helps nobody
                self._connection.send(line)
            return
        if self._connection and _left_by_receiver(self._connection):
            self._disconnect()
        if self._connection is None:
            self._connection = connected(self._receiver, self._context)
        self._connection.sendall(line)

    def _done(self) -> None:
        with self._news:
            self._bytes -= len(self._waiting.popleft())

    def _failed(self, error: OSError) -> None:
        self._disconnect()
        if not self._pause and not self._closing:
            log.warning("remote_log_interrupted", reason=_reason(error))
        self._pause = min(max(FIRST_PAUSE_SECONDS, 2 * self._pause), LONGEST_PAUSE_SECONDS)

    def _worked(self) -> None:
        with self._news:
            interrupted, self._pause = bool(self._pause), 0.0
            dropped, self._dropped = self._dropped, 0
        if (interrupted or dropped) and not self._closing:
            log.info("remote_log_resumed", dropped=dropped)

    def _disconnect(self) -> None:
        if self._connection:
            with contextlib.suppress(OSError):
                self._connection.close()
            self._connection = None

    def _has_lines(self) -> bool:
        """Wait for a line, after a failure for the pause, too; False at the end."""
        with self._news:
            if self._pause:
                jitter = random.uniform(0.5, 1.0)  # noqa: S311 - no secret comes of it
                self._news.wait_for(lambda: self._closing, timeout=self._pause * jitter)
            self._news.wait_for(lambda: self._waiting or self._closing)
            return bool(self._waiting)


def connected(receiver: LogReceiver, context: ssl.SSLContext | None) -> socket.socket:
    """A connection to it; `context` is its own. Raises OSError."""
    if receiver.udp:
        return _for_datagrams(receiver)
    plain = socket.create_connection((receiver.host, receiver.port), timeout=CALL_SECONDS)
    try:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(CALL_SECONDS * 1000))
        return context.wrap_socket(plain, server_hostname=receiver.host) if context else plain
    except BaseException:
        plain.close()
        raise


def _for_datagrams(receiver: LogReceiver) -> socket.socket:
    found = socket.getaddrinfo(receiver.host, receiver.port, type=socket.SOCK_DGRAM)
    family, kind, protocol, _, address = found[0]
    made = socket.socket(family, kind, protocol)
    try:
        made.connect(address)
    except OSError:
        made.close()
        raise
    return made


def why_not_reached(receiver: LogReceiver) -> str:
    """Why no connection can be made to it; empty where one can. Raises `RemoteLogError`."""
    try:
        connected(receiver, receiver.context()).close()
    except OSError as error:
        return _reason(error)
    return ""


def _left_by_receiver(connection: socket.socket) -> bool:
    """Whether the other side has closed: a line that is written then would be lost without a word."""
    connection.settimeout(0)
    try:
        return connection.recv(1) == b""
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    finally:
        connection.settimeout(CALL_SECONDS)


def _cut(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= MOST_CHARACTERS else f"{value[:MOST_CHARACTERS]}…"
    if isinstance(value, dict):
        return {key: _cut(part) for key, part in value.items()}
    return [_cut(part) for part in value] if isinstance(value, list) else value


def _escaped(text: str) -> str:
    """As a value of structured data (RFC 5424 §6.3.3)."""
    return re.sub(r'(["\\\]])', r"\\\1", text[:MOST_CHARACTERS])


def _visible(name: str, most: int) -> str:
    """A name of the line's head: visible ASCII, or a dash."""
    return re.sub(r"[^!-~]", "-", name)[:most] or "-"


def _reason(error: OSError) -> str:
    """What the system says, which quotes nothing of a line."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return error.strerror or type(error).__name__
