"""A receiver of syslog on loopback, over TCP or TLS, that reads frames as RFC 5424 and RFC 6587 say."""

import contextlib
import json
import re
import socket
import threading
import time

import attrs

LINE = re.compile(
    r"<(?P<pri>\d{1,3})>1 (?P<at>\S+) (?P<host>\S+) (?P<app>\S+) (?P<process>\S+) (?P<id>\S+) "
    r"(?P<data>-|(?:\[(?:[^\]\\]|\\.)*\])+) (?P<text>.*)",
    re.DOTALL,
)
PARAMETER = re.compile(r' (\S+?)="((?:[^"\\]|\\.)*)"')


@attrs.frozen
class Line:
    """One message."""

    severity: int
    facility: int
    at: str
    host: str
    app: str
    process: str
    id: str
    data: dict
    text: dict


def parsed(message):
    found = LINE.fullmatch(message.decode())
    assert found, message
    data = {}
    for element in re.findall(r"\[((?:[^\]\\]|\\.)*)\]", found["data"]):
        name, _, rest = element.partition(" ")
        values = PARAMETER.findall(f" {rest}")
        data[name] = {key: re.sub(r"\\(.)", r"\1", value) for key, value in values}
    facility, severity = divmod(int(found["pri"]), 8)
    return Line(
        severity=severity,
        facility=facility,
        at=found["at"],
        host=found["host"],
        app=found["app"],
        process=found["process"],
        id=found["id"],
        data=data,
        text=json.loads(found["text"]),
    )


class SyslogServer:
    """Listens, on the same port after each `stop` and `start`."""

    def __init__(self, context=None):
        self.lines = []
        self.connections = 0
        self.port = 0
        self._context = context
        self._listening = None
        self._open = []

    def start(self):
        self._listening = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listening,), daemon=True).start()

    def stop(self):
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def until(self, condition, seconds=60):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, self.lines
            time.sleep(0.005)

    def ids(self):
        return [line.id for line in self.lines]

    def _accept(self, listening):
        while True:
            try:
                connection, _ = listening.accept()
                if self._context:
                    connection = self._context.wrap_socket(connection, server_side=True)
            except OSError:
                if listening.fileno() < 0:
                    return
                continue
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection):
        try:
            with connection, connection.makefile("rb") as stream:
                while length := _length(stream):
                    self.lines.append(parsed(stream.read(length)))
        except (OSError, ValueError):
            return


def _length(stream):
    digits = b""
    while (one := stream.read(1)) not in (b"", b" "):
        digits += one
    return int(digits) if digits else 0
