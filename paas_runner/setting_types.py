"""The types that a setting may have: what each accepts in the file, and how it is read.

The type alone decides. What is more exact than a type of the language has a name of its own here: `Url`,
`GoDuration`, `ReadableFile`, `Fraction`. Texts may refer to the environment, secrets to other places, too.
"""

import math
import os
import re
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NewType, Protocol, get_args, get_origin

import attrs

from paas_runner.addresses import AddressError, listen_place, parsed
from paas_runner.database_url import EXPECTED, DatabaseUrl, database_url
from paas_runner.job.durations import nanoseconds
from paas_runner.plain_text import did_you_mean
from paas_runner.secret import Secret

Url = NewType("Url", str)
"""A base address over http or https, without trailing slash, credentials, query or fragment.

Its scheme is in lower case, and every client takes it."""

GoDuration = NewType("GoDuration", timedelta)
"""Written as GitLab Runner does: "1h30m", or a whole number of nanoseconds."""

ReadableFile = NewType("ReadableFile", Path)
"""An existing file that we can read; a relative one is found beside the configuration."""

Fraction = NewType("Fraction", float)
"""More than 0, at most 1."""

InstallationId = NewType("InstallationId", str)
"""8 to 64 letters, digits, `-` and `_`."""

ListenAddress = NewType("ListenAddress", str)
"""`host:port`, `:port`, `[::1]:port` or `unix:/path`, for `addresses.listen_place`; empty is nowhere."""

SecretText = NewType("SecretText", Secret)
"""A secret of any number of lines: a key in PEM, a file."""

TEXTS = Sequence[str]
TABLE_OF_LISTS = Mapping[str, Sequence[str]]

_REFERENCE = re.compile(r"\$(?:(?P<bare>[A-Za-z_]\w*)|\{(?P<braced>[A-Za-z_]\w*)\})", re.ASCII)
_INSTALLATION_ID = re.compile(r"[0-9A-Za-z_-]{8,64}")
LARGEST_INTEGER = 2**63

LONGEST_SPAN = timedelta(days=366)
"""Of what is waited for: a longer one is a mistake, and clocks and calendars end somewhere."""

_COPY_AGAIN = ": copy it again, without what stands around it"
_TOO_LONG = f"longer than {LONGEST_SPAN.days} days, which is the most"
_LONGEST_PATH, _LONGEST_NAME = 4096, 255  # bytes, on Linux


class UnfitError(Exception):
    """A value is not what its type accepts; a text, where there is one, says more than that."""


class References(Protocol):
    """What values may refer to."""

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment."""

    @property
    def folder(self) -> Path:
        """Where relative paths begin."""

    def dereferenced(self, raw: str) -> str | None:
        """The secret that `raw` refers to, None when it refers to none; raises `UnfitError`."""


@attrs.frozen
class Scalar:
    """A type of single values: what it expects, in words, and how it is read, raising `UnfitError`.

    What may hold a credential, if only by mistake, is not `quotable`.
    """

    expects: str
    read: Callable[[Any, References], Any]
    quotable: bool = True


def near(name: str, known: Collection[str]) -> str:
    """What may be meant by a name that is unknown, to be put behind the complaint."""
    hint = did_you_mean(name, known)
    return f"; {hint}" if hint else ""


def _text(raw: Any, around: References) -> str:
    def value(reference: re.Match[str]) -> str:
        name = reference["bare"] or reference["braced"]
        if name not in around.environ:
            raise UnfitError(f"the environment variable {name} is not set{near(name, around.environ)}")
        return around.environ[name]

    if not isinstance(raw, str):
        raise UnfitError
    return _REFERENCE.sub(value, raw)


def _secret_text(raw: Any, around: References) -> SecretText:
    referred = around.dereferenced(raw) if isinstance(raw, str) else None
    try:
        value = referred or _text(raw, around)
    except UnfitError as error:
        if error.args:  # what looks like a name may be a part of the secret
            is_reference = _REFERENCE.fullmatch(raw) and raw.isupper()
            hint = near(raw.strip("${}"), around.environ) if is_reference else ""
            raise UnfitError(f"refers to an environment variable that is not set{hint}") from None
        raise
    if not value:
        raise UnfitError("must not be empty")
    return SecretText(Secret(value))


def _secret(raw: Any, around: References) -> Secret:
    value = _secret_text(raw, around).reveal()
    if value != value.strip():
        raise UnfitError(f"has white space at its beginning or end{_COPY_AGAIN}")
    for character in value:
        if character != " " and unicodedata.category(character)[0] in "CZ":
            raise UnfitError(f"has an invisible character in it (U+{ord(character):04X}){_COPY_AGAIN}")
    return Secret(value)


def _database_url(raw: Any, around: References) -> DatabaseUrl:
    try:
        return database_url(_secret(raw, around).reveal())
    except AddressError as error:
        raise UnfitError(str(error)) from None


def check_token(secret: Secret) -> None:
    """Raise `UnfitError` for what is no token, since it fits into no header of a request."""
    if not all("!" <= character <= "~" for character in secret.reveal()):
        raise UnfitError(f"has a blank or a letter in it that no token has{_COPY_AGAIN}")


def _boolean(raw: Any, _: References) -> bool:
    if not isinstance(raw, bool):
        raise UnfitError
    return raw


def _integer(raw: Any, _: References) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int) or abs(raw) >= LARGEST_INTEGER:
        raise UnfitError
    return raw


def _number(raw: Any, around: References) -> float:
    value = raw if isinstance(raw, float) else float(_integer(raw, around))
    if not math.isfinite(value):
        raise UnfitError
    return value


def _fraction(raw: Any, around: References) -> Fraction:
    value = _number(raw, around)
    if not 0 < value <= 1:
        raise UnfitError
    return Fraction(value)


def _seconds(raw: Any, around: References) -> timedelta:
    value = _number(raw, around)
    if abs(value) > LONGEST_SPAN.total_seconds():
        raise UnfitError(_TOO_LONG)
    return timedelta(seconds=value)


def _go_duration(raw: Any, around: References) -> GoDuration:
    try:
        written = 0 if raw == "0" else raw  # needs no unit in Go
        span = nanoseconds(written) if isinstance(written, str) else _integer(written, around)
    except ValueError:
        raise UnfitError from None
    if span < 0:  # good in Go, and never meant
        raise UnfitError
    if span > LONGEST_SPAN.total_seconds() * 1e9:
        raise UnfitError(_TOO_LONG)
    return GoDuration(timedelta(microseconds=span / 1000))


def _moment(raw: Any, _: References) -> datetime:
    try:
        found = datetime.fromisoformat(raw) if isinstance(raw, str) else raw
    except ValueError:
        raise UnfitError from None
    if not isinstance(found, datetime):
        raise UnfitError
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _path(raw: Any, around: References) -> Path:
    value = _text(raw, around)
    path = around.folder / value
    if not value or "\0" in value or not path.name:
        raise UnfitError
    if len(os.fsencode(path)) >= _LONGEST_PATH or any(
        len(os.fsencode(p)) > _LONGEST_NAME for p in path.parts
    ):
        raise UnfitError("is longer than a path may be")
    return path


def _readable_file(raw: Any, around: References) -> ReadableFile:
    path = _path(raw, around)
    try:
        if not path.is_file():
            raise UnfitError
        path.open("rb").close()
    except OSError as error:
        raise UnfitError(f"cannot be read: {error.strerror}") from None
    return ReadableFile(path)


def _installation_id(raw: Any, around: References) -> InstallationId:
    value = _text(raw, around)
    if not _INSTALLATION_ID.fullmatch(value):
        raise UnfitError
    return InstallationId(value)


def _url(raw: Any, around: References) -> Url:
    value = _text(raw, around)
    try:
        return Url(str(parsed(value, ("https", "http"))).rstrip("/"))
    except AddressError as error:
        raise UnfitError(str(error)) from None


def _listen_address(raw: Any, around: References) -> ListenAddress:
    value = _text(raw, around)
    try:
        return ListenAddress(str(listen_place(value)) if value else "")
    except AddressError as error:
        raise UnfitError(str(error)) from None


SCALARS: Mapping[Any, Scalar] = {
    str: Scalar("a text", _text),
    bool: Scalar("true or false", _boolean),
    int: Scalar("a whole number", _integer),
    float: Scalar("a number", _number),
    timedelta: Scalar("a number of seconds", _seconds),
    datetime: Scalar("a date and time", _moment),
    Secret: Scalar("a non-empty text", _secret, quotable=False),
    SecretText: Scalar("a non-empty text", _secret_text, quotable=False),
    DatabaseUrl: Scalar(EXPECTED, _database_url, quotable=False),
    Path: Scalar("a path", _path),
    InstallationId: Scalar("8 to 64 letters, digits, - and _", _installation_id),
    Url: Scalar("an http or https address", _url, quotable=False),
    ListenAddress: Scalar("a host and port such as 127.0.0.1:9252, or unix:/path", _listen_address),
    GoDuration: Scalar('a duration such as "1h30m"', _go_duration),
    ReadableFile: Scalar("a readable file", _readable_file),
    Fraction: Scalar("a number above 0, at most 1", _fraction),
}


def class_of_tables(kind: Any) -> type[Any] | None:
    """The settings class of each table in `Mapping[str, C]`, whose names are the operator's; else None."""
    inner = get_args(kind)[1:] if get_origin(kind) is Mapping else ()
    return inner[0] if inner and attrs.has(inner[0]) else None
