"""`paas-runner-inner serve` as it is called: arguments, environment, exit codes. It imports little."""

import argparse
import enum
import os
import time
from collections.abc import Mapping
from pathlib import Path

import attrs

from paas_runner.addresses import AddressError, ListenPlace, listen_place
from paas_runner.errors import RunnerError
from paas_runner.helper import protocol
from paas_runner.secret import Secret

COMMAND = "serve"
USUAL_ADDRESS = "127.0.0.1:8000"
USUAL_FOLDER = "/var/lib/paas-runner-helper"
_FOLDER_VARIABLE = "STATE_DIRECTORY"


class ServeExit(enum.IntEnum):
    """Documented in --help; the large numbers are those of sysexits.h."""

    OVER = 0
    NOT_LISTENING = 69
    TOO_LATE = 75
    UNUSABLE = 78


class ServeError(RunnerError):
    """The service cannot begin; `code` is how the program ends."""

    def __init__(self, text: str, code: ServeExit = ServeExit.UNUSABLE) -> None:
        super().__init__(text)
        self.code = code


EPILOG = f"""\
The helper service takes one job after the other from a service that has hosts which stay, and runs each with
`exec-fetched-job`. It speaks gRPC, or HTTP/1 with --http1, as heptapod-paas-runner 1.1.1 expects it.

When a job is forgotten, what it may have left is removed: processes, containers, networks, volumes, files.
What cannot be known to be gone ends the taking of jobs. That is so after any job of executor = "shell", and
after one in containers that have more than the job's own (privileged, `volumes` of the host).

Environment:
  {protocol.TOKEN_VARIABLE}  what clients have to show
  {protocol.LEASE_VARIABLE}   end after so long without a request and without a job
                              ({protocol.DEFAULT_LEASE_SECONDS}; 0: never)
  {protocol.MARGIN_VARIABLE}  end a job so long after its time limit ({protocol.DEFAULT_MARGIN_SECONDS})
  {protocol.START_UNTIL_VARIABLE}     the Unix time after which the service does not start any more
  DOCKER_HOST                 the engine, as for Docker's own programs

Signals:
  SIGTERM, SIGINT  end the job in good order, remove what it has, and end

Exit codes:
  {ServeExit.OVER:<4} nobody has asked for anything for too long, or a signal came
  2    the arguments are wrong
  {ServeExit.NOT_LISTENING:<4} nobody can listen on the address
  {ServeExit.TOO_LATE:<4} it is later than {protocol.START_UNTIL_VARIABLE}
  {ServeExit.UNUSABLE:<4} environment, files or packages are missing or make no sense
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of the command."""
    parser.add_argument("--http1", action="store_true", help="speak HTTP/1 instead of gRPC")
    parser.add_argument(
        "--listen-address",
        type=_place,
        default=USUAL_ADDRESS,
        metavar="HOST:PORT",
        help=f"where to listen (default: {USUAL_ADDRESS})",
    )
    parser.add_argument(
        "--state",
        type=Path,
        metavar="FOLDER",
        help=f"what is to be known after a restart (default: ${_FOLDER_VARIABLE}, else {USUAL_FOLDER})",
    )
    parser.add_argument("--no-token", action="store_true", help="let everybody in who reaches the address")
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificate chain, for TLS")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its key")
    parser.add_argument(
        "--without-engine",
        action="store_true",
        help='there is no Docker engine here, and jobs have executor = "shell"',
    )
    parser.add_argument(
        "--reuse-with-doubts",
        action="store_true",
        help="take other jobs even after one that may have left something where nobody looks",
    )


@attrs.frozen(kw_only=True)
class Settings:
    """What arguments and environment say."""

    place: ListenPlace
    http1: bool
    folder: Path
    token: Secret | None
    lease_seconds: float
    margin_seconds: float
    tls: tuple[Path, Path] | None
    with_engine: bool
    with_doubts: bool

    @classmethod
    def read(cls, chosen: argparse.Namespace, environ: Mapping[str, str]) -> "Settings":
        """Raises `ServeError`."""
        until = _number(environ, protocol.START_UNTIL_VARIABLE, 0)
        if until and time.time() > until:
            text = f"it is later than {protocol.START_UNTIL_VARIABLE} says: this host is wanted no more"
            raise ServeError(text, ServeExit.TOO_LATE)
        if bool(chosen.tls_cert) != bool(chosen.tls_key):
            raise ServeError("--tls-cert and --tls-key go together")
        for option, file in (("--tls-cert", chosen.tls_cert), ("--tls-key", chosen.tls_key)):
            if file and not os.access(file, os.R_OK):
                raise ServeError(f"{option}: {file} is not there, or cannot be read")
        return cls(
            place=chosen.listen_address,
            http1=chosen.http1,
            folder=(chosen.state or Path(environ.get(_FOLDER_VARIABLE) or USUAL_FOLDER)).absolute(),
            token=_token(environ, wanted=not chosen.no_token),
            lease_seconds=_number(environ, protocol.LEASE_VARIABLE, protocol.DEFAULT_LEASE_SECONDS),
            margin_seconds=_number(environ, protocol.MARGIN_VARIABLE, protocol.DEFAULT_MARGIN_SECONDS),
            tls=(chosen.tls_cert, chosen.tls_key) if chosen.tls_cert else None,
            with_engine=not chosen.without_engine,
            with_doubts=chosen.reuse_with_doubts,
        )


def _place(text: str) -> ListenPlace:
    try:
        place = listen_place(text)
    except AddressError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if place.path:
        raise argparse.ArgumentTypeError("host and port are expected")
    return place


def _token(environ: Mapping[str, str], *, wanted: bool) -> Secret | None:
    if not wanted:
        return None
    token = environ.get(protocol.TOKEN_VARIABLE, "").strip()
    if not token:
        raise ServeError(
            f"{protocol.TOKEN_VARIABLE} is not set: give it the token that clients show; "
            "--no-token lets everybody in who reaches the address"
        )
    return Secret(token)


def _number(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name, "").strip()
    try:
        number = float(text or default)
    except ValueError:
        number = -1
    if not 0 <= number < 1e12:
        raise ServeError(f"{name} is `{text}`, which is no number of seconds")
    return number
