"""A terminal as far as our programs use one: what stands on it after everything that was written to it."""

import fcntl
import io
import os
import re
import struct
import subprocess
import termios

from tests.support.requirements import pseudo_terminal

_PART = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])|(\r)|(\n)|(\x1b.)|([^\x1b\r\n]+)")


class Terminal(io.StringIO):
    """A stream that takes itself for a terminal."""

    encoding = "utf-8"

    def isatty(self):
        return True


class Screen:
    """Rows of text, a cursor that may be hidden, and whether any colour or style was ever used."""

    def __init__(self, written):
        self.rows, self.styled, self.cursor_hidden = [""], False, False
        self._row = self._column = 0
        for parameters, command, carriage_return, newline, other, text in _PART.findall(written):
            if command:
                self._command(parameters, command)
            elif carriage_return:
                self._column = 0
            elif newline:
                self._to(self._row + 1)
                self._column = 0
            elif other:
                raise AssertionError(f"not understood: {other!r}")
            else:
                self._write(text)

    @property
    def lines(self):
        """What can be seen, without blanks and empty lines at the ends."""
        return "\n".join(row.rstrip() for row in self.rows).strip("\n").splitlines()

    def _write(self, text):
        row = self.rows[self._row].ljust(self._column)
        self.rows[self._row] = row[: self._column] + text + row[self._column + len(text) :]
        self._column += len(text)

    def _to(self, row):
        self._row = max(row, 0)
        self.rows += [""] * (self._row - len(self.rows) + 1)

    def _command(self, parameters, command):
        match command:
            case "m":
                self.styled = True
            case "A":
                self._to(self._row - int(parameters or 1))
            case "K":
                kept = "" if parameters == "2" else self.rows[self._row][: self._column]
                self.rows[self._row] = kept
            case "H":
                self._row = self._column = 0
            case "J":
                below = 0 if parameters == "2" else self._row + 1
                self.rows[below:] = [""] * (len(self.rows) - below)
            case "h" | "l" if parameters == "?7":
                pass  # a line is never wrapped here
            case "h" | "l" if parameters == "?25":
                self.cursor_hidden = command == "l"
            case _:
                raise AssertionError(f"not understood: {parameters}{command}")


def on_a_terminal(*command, columns=100, lines=40, once_seen=lambda: None, **environ):
    """Exit code of a program that has a terminal for all its streams, and everything that it wrote there.

    `once_seen` is called when it has written something.
    """
    ours, theirs = pseudo_terminal()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    unset = {"LINES", "COLUMNS", "NO_COLOR", "FORCE_COLOR", "TERM"}
    given = {name: value for name, value in os.environ.items() if name not in unset}
    with subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={"TERM": "xterm-256color", **given, **environ},
    ) as process:
        os.close(theirs)
        written = bytearray()
        try:
            while part := os.read(ours, 65536):
                is_first = not written
                written += part
                if is_first:
                    once_seen()
        except OSError:  # the other end is closed
            pass
        process.wait(60)
    os.close(ours)
    return process.returncode, written.decode()
