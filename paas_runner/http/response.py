"""An answer as a value, and what is read from it or from its absence, the same for every service. Pure.

What may be shown to a reader is chosen with care: an error's own words in one line, a cause that quotes no
address, the other side's name for the request.
"""

import email.utils
import itertools
import math
import os
import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import attrs

from paas_runner import foreign_json
from paas_runner.plain_text import one_line, printable

MOST_MESSAGE_CHARACTERS = 300
_MOST_FIELDS = 100
_MOST_READ_CHARACTERS = 4096  # of an error's own words, before blanks are taken out
LONGEST_PAUSE_SECONDS = 600.0
"""Of whatever the other side wishes: what is longer is asked for again (`gitlab-runner-api.md` §8.1)."""

MOST_ADDRESS_CHARACTERS = 200
MOST_REFERENCE_CHARACTERS = 100
REQUEST_IDS = ("sozu-id", "x-request-id")  # Clever Cloud's proxy; GitLab


@attrs.frozen(kw_only=True)
class Response:
    """What came back: any status that is not transient."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes = attrs.field(repr=False)

    def json(self) -> Any:
        """The decoded body; raises ValueError, also for what would cost too much to read."""
        return foreign_json.loads(self.body)

    def elements(self) -> Iterator[Any]:
        """Those of a list, decoded one after the other; raises ValueError, maybe after the last."""
        return foreign_json.elements(self.body)

    def pause(self, header: str) -> float | None:
        """The seconds that a header tells us to wait, within bounds; None when it does not.

        As a number or as the date of the end (RFC 9110 §10.2.3), which counts from the other side's clock.
        """
        text = self.headers.get(header, "")
        seconds, end = _number(text), _date(text)
        if seconds is None and end is not None:
            seconds = (end - (self.date or datetime.now(UTC))).total_seconds()
        return None if seconds is None else min(max(seconds, 0.0), LONGEST_PAUSE_SECONDS)

    @property
    def redirect(self) -> str:
        """Where another address is named instead of an answer: that, without what may be secret in it."""
        if self.status not in (301, 302, 303, 307, 308):
            return ""
        try:
            parts = urlsplit(self.headers.get("location", ""))
            place = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
        except ValueError:
            return ""
        return one_line(printable(place))[:MOST_ADDRESS_CHARACTERS]

    @property
    def message(self) -> str:
        """An error's own words in one line: `message`, else `error`, of a JSON object; empty without.

        Where the words are an object, as GitLab's about refused attributes, each field comes with its faults.
        """
        try:
            found = self.json()
        except ValueError:
            return ""
        words = (found.get("message") or found.get("error")) if isinstance(found, Mapping) else None
        if isinstance(words, Mapping):
            fields = itertools.islice(words.items(), _MOST_FIELDS)
            words = "; ".join(f"{field} {faults}" for field, faults in fields)
        text = one_line(printable(words[:_MOST_READ_CHARACTERS])) if isinstance(words, str) else ""
        return text[:MOST_MESSAGE_CHARACTERS].rstrip()

    @property
    def summary(self) -> str:
        """For a reader: the status, and an error's own words, or where it sends us."""
        told = f"redirects to {self.redirect}" if self.redirect else self.message
        return f"answered {self.status}" + (f": {told}" if told else "")

    @property
    def reference(self) -> str:
        """The other side's name for the request, for their support; empty without."""
        named = next((self.headers[name] for name in REQUEST_IDS if self.headers.get(name)), "")
        return one_line(printable(named))[:MOST_REFERENCE_CHARACTERS]

    @property
    def date(self) -> datetime | None:
        """The other side's clock when it answered, to the second."""
        return _date(self.headers.get("date", ""))

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait: `Retry-After`, else `RateLimit-ResetTime` (`gitlab-runner-api.md` §0.4, §8.1)."""
        wish = self.pause("retry-after")
        return self.pause("ratelimit-resettime") if wish is None else wish


def cause(error: BaseException) -> str:
    """Why there is no answer; the type says more than the text, which is empty for timeouts, may quote a URL.

    What was below it is named by the operating system or TLS, whose words quote nothing.
    """
    name, below = type(error).__name__, error.__cause__ or error.__context__
    while below is not None:
        if words := _system_words(below):
            return f"{name}: {words}"
        below = below.__cause__ or below.__context__
    return name


def _system_words(error: BaseException) -> str:
    """Refused, no such name, self-signed, …; empty for any other error."""
    match error:
        case ssl.SSLCertVerificationError():
            return error.verify_message
        case ssl.SSLError():
            return error.reason or ""
        case OSError(errno=int(number)) if number > 0:
            return os.strerror(number)
        case OSError():
            return error.strerror or ""
        case _:
            return ""


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _date(text: str) -> datetime | None:
    """A header's moment; HTTP dates are in UTC, whether they say so or not."""
    try:
        found = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
