"""How a command asks the running service."""

import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from paas_runner.control.server import address
from paas_runner.errors import RunnerError

ANSWER_WITHIN_SECONDS = 10.0
"""For the connection, and for each part of an answer unless the caller says otherwise."""


class ControlError(RunnerError):
    """The service could not be asked, or refused."""


class NotRunningError(ControlError):
    """No service is there to answer, or no longer."""


class RefusedError(ControlError):
    """The service's own answer: it cannot do what it was asked, and says why."""


def ask(
    path: Path, request: Mapping[str, Any], *, timeout: float | None = ANSWER_WITHIN_SECONDS
) -> Iterator[dict[str, Any]]:
    """The parts of the answer as they come; `timeout` (seconds, None is for ever) bounds each wait for one.

    Raises `NotRunningError`, `RefusedError` or another `ControlError`.
    """
    with _connected(path) as connection:
        connection.settimeout(timeout)
        try:
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as lines:
                yield from _parts(path, lines)
        except TimeoutError as error:
            raise ControlError(
                f"{path}: the service has not answered for {timeout:g} seconds: is it suspended?"
            ) from error
        except ConnectionError as error:
            raise _stopped(path) from error


def _connected(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(ANSWER_WITHIN_SECONDS)
        with address(path) as name:
            connection.connect(name)
    except (FileNotFoundError, ConnectionRefusedError) as error:  # never started; killed
        connection.close()
        raise NotRunningError(f"{path}: the service is not running") from error
    except PermissionError as error:
        connection.close()
        raise ControlError(
            f"{path}: may not be opened by this user; run the command as the service's user"
        ) from error
    except OSError as error:
        connection.close()
        raise ControlError(f"{path}: the service cannot be asked: {error.strerror or error}") from error
    return connection


def _parts(path: Path, lines: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            part = json.loads(line)
        except ValueError as error:
            raise _stopped(path) from error  # cut off in the middle of a line
        if "error" in part:
            raise RefusedError(part["error"])
        if "done" in part:
            return
        yield part
    raise _stopped(path)


def _stopped(path: Path) -> NotRunningError:
    return NotRunningError(f"{path}: the service stopped before it had answered")
