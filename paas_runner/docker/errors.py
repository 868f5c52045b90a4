"""What the docker SDK raises, as the errors that say what to do next.

`Transient` is worth trying again; `Rejected` is not, and two kinds of it have a meaning of their own. The
`text` of an error is what the engine itself said, or what a person can do where it said nothing.
"""

import contextlib
import ssl
from collections.abc import Iterator, Sequence

import attrs
import requests
import urllib3
from docker.errors import APIError, DockerException

from paas_runner.errors import Rejected, RemoteError, Transient

OPERATORS = "ask the operators of this runner: until that is put right no retry helps"
DISK_FULL = "its disk is full: remove what is not needed there (`docker system df` shows it)"

_FULL = "no space left on device"
_WANTS_TLS = "HTTP request to an HTTPS server"
_CANNOT_START = ("OCI runtime", "failed to create shim", "failed to create task")


class AbsentError(Rejected):
    """There is no such container or image."""


class ConflictError(Rejected):
    """The name is taken, or the thing is in use."""


@attrs.frozen(kw_only=True)
class SettingNames:
    """What the reader of an error calls the parts of an engine's address: without a configuration, these."""

    host: str = "$DOCKER_HOST"
    certificates: str = "$DOCKER_CERT_PATH"
    verify: str = "$DOCKER_TLS_VERIFY"


@contextlib.contextmanager
def translated(service: str, op: str, names: SettingNames) -> Iterator[None]:
    """Turn the SDK's errors into `Transient` or `Rejected` of that service, in the reader's `names`."""
    try:
        yield
    except (DockerException, requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _judged(error, service, op, names) from error


def describe_failure(error: RemoteError) -> str:
    """For the author of a job, whom the engine's address does not concern."""
    return f"to {error.op} failed: {error.text}"


def is_full(text: str) -> bool:
    """Whether the engine complains of its disk."""
    return _FULL in text


_WORDS: Sequence[tuple[type[BaseException] | tuple[type[BaseException], ...], type[RemoteError], str]] = (
    (FileNotFoundError, Transient, "there is no engine: start Docker, or set `{host}` to where it is"),
    (
        ConnectionRefusedError,
        Transient,
        "no one listens there: start Docker, or set `{host}` to where it is",
    ),
    (
        PermissionError,
        Rejected,
        "the socket may not be used: add the service's user to its group (usually `docker`)",
    ),
    (
        (ssl.SSLError, requests.exceptions.SSLError),
        Rejected,
        "TLS failed, see `{certificates}` and `{verify}`",
    ),
    ((requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError), Transient, "no answer in time"),
)
"""What an error is called when one of its causes is of that type; the first that fits."""


def _judged(error: Exception, service: str, op: str, names: SettingNames) -> RemoteError:
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, APIError):
            return _refused(cause, service, op, names)
    last = f"{type(causes[-1]).__name__}: {causes[-1]}"
    for types, kind, text in _WORDS:
        if any(isinstance(cause, types) for cause in causes):
            advice = OPERATORS if kind is Rejected else ""
            words = text.format_map(attrs.asdict(names))
            return kind(f"{words} ({last})", service=service, op=op, advice=advice)
    return Transient(f"no usable answer ({last})", service=service, op=op)


def _refused(error: APIError, service: str, op: str, names: SettingNames) -> RemoteError:
    """An answer with an error status; what the engine itself said is its `explanation`."""
    status, text = error.status_code or 0, error.explanation or "no reason given"
    kind: type[RemoteError] = Transient if status >= 500 else Rejected
    if is_full(text):
        kind, text = Transient, DISK_FULL
    elif _WANTS_TLS in text:
        text = f"it speaks TLS only: set `{names.certificates}`"
    elif status == 404:
        kind = AbsentError
    elif status == 409:
        kind = ConflictError
    elif text.startswith(_CANNOT_START):
        kind = Rejected
    return kind(text.strip(), service=service, op=op, status=status)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that is wrapped in it, outermost first: libraries put causes into arguments, too."""
    seen: list[BaseException] = [error]
    for found in seen:
        yield found
        inner = (*found.args, getattr(found, "reason", None), found.__cause__, found.__context__)
        seen += [each for each in inner if isinstance(each, BaseException) and each not in seen]
