"""systemd's journal, spoken to in its own protocol: entries with fields, so that `journalctl JOB_ID=7` works.

Facts: "Native Journal Protocol" of systemd's documents. An entry is one datagram; one that is too large for
that is handed over as a sealed file in memory. Where the journal does not take one, it is a line on standard
error that begins with its priority, so that `journalctl -p err` finds it all the same: sd-daemon(3).
"""

import array
import contextlib
import errno
import fcntl
import json
import logging
import os
import socket
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from paas_runner.logs.events import facts_of
from paas_runner.logs.levels import severity
from paas_runner.logs.redaction import Lines

SOCKET = Path("/run/systemd/journal/socket")
"""Where the journal listens for entries."""

_TOO_LARGE = (errno.EMSGSIZE, errno.ENOBUFS)
_JOURNAL_NAMES = {"job": "JOB_ID"}
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


class Journal:
    """The socket of the journal, opened at the first entry; it never waits."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket: socket.socket | None = None

    def send(self, fields: Mapping[str, str]) -> bool:
        """Hand over an entry; False when the journal does not take it now."""
        entry = b"".join(_field(name, value) for name, value in fields.items())
        try:
            self._opened().sendto(entry, socket.MSG_NOSIGNAL, str(self._path))
        except OSError as error:
            return error.errno in _TOO_LARGE and self._sent_as_file(entry)
        return True

    def close(self) -> None:
        if self._socket:
            self._socket.close()
            self._socket = None

    def _opened(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
        return self._socket

    def _sent_as_file(self, entry: bytes) -> bool:
        """The journal takes a file only when nobody can change it any more."""
        with contextlib.suppress(OSError):
            file = os.memfd_create("journal-entry", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
            try:
                with open(file, "wb", closefd=False) as writing:
                    writing.write(entry)
                fcntl.fcntl(file, fcntl.F_ADD_SEALS, _SEALS)
                rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file]))]
                self._opened().sendmsg([b""], rights, socket.MSG_NOSIGNAL, str(self._path))
            finally:
                os.close(file)
            return True
        return False


def _field(name: str, value: str) -> bytes:
    """A value of several lines is told by its length, so that nobody's text can add a field."""
    data = value.encode(errors="backslashreplace")
    if b"\n" in data:
        return name.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n"
    return name.encode() + b"=" + data + b"\n"


class JournalHandler(Lines):
    """An entry with fields; where that does not work, a line with a priority, which the journal takes off."""

    def __init__(self, stream: TextIO, journal: Journal, as_json: logging.Formatter) -> None:
        super().__init__(stream)
        self._journal = journal
        self._as_json = as_json

    def emit(self, record: logging.LogRecord) -> None:
        try:
            taken = self._journal.send(self._entry(record))
        except Exception:  # noqa: BLE001 - as the handlers of the standard library do
            self.handleError(record)
        else:
            if not taken:
                super().emit(record)

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(f"<{severity(record.levelno)}>{line}" for line in super().format(record).split("\n"))

    def close(self) -> None:
        self._journal.close()
        super().close()

    def _entry(self, record: logging.LogRecord) -> Mapping[str, str]:
        event: Mapping[str, Any] = json.loads(self._as_json.format(record))
        fields = {_JOURNAL_NAMES.get(name, name.upper()): text for name, text in facts_of(event).items()}
        return {
            "MESSAGE": super().format(record),
            "PRIORITY": str(severity(record.levelno)),
            "SYSLOG_IDENTIFIER": "paas-runner",
            "EVENT": str(event["event"]),
            **fields,
        }


def is_the_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether it is what systemd gave to this process, rather than a file or a pipe that came later.

    $JOURNAL_STREAM: systemd.exec(5).
    """
    try:
        there = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{there.st_dev}:{there.st_ino}"
