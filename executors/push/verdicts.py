"""What a remote's answers to a push mean, in the same words whoever pushes. Pure."""

import base64
import re
from collections.abc import Sequence

import attrs

from paas_runner.errors import Rejected, Transient
from paas_runner.http import git_remote_at
from paas_runner.plain_text import one_line, printable
from paas_runner.secret import Secret

OP = "push the job"
MOST_CHARACTERS = 300
"""Of a remote's own words: the author of a job reads them."""

_MOST_READ_CHARACTERS = 16_384
_MOVED_MEANWHILE = re.compile(r"reference already exists|cannot lock ref|failed to update ref")


@attrs.frozen(kw_only=True)
class Credentials:
    """Who pushes."""

    user: str
    password: Secret

    @property
    def basic(self) -> Secret:
        """The value of an Authorization header."""
        pair = f"{self.user}:{self.password.reveal()}"
        return Secret(f"Basic {base64.b64encode(pair.encode()).decode()}")


@attrs.frozen(kw_only=True)
class Verdicts:
    """The errors of one push."""

    service: str
    credentials: Credentials

    @classmethod
    def of(cls, url: str, credentials: Credentials) -> "Verdicts":
        """Those of a push to that remote, which is called by its host."""
        return cls(service=git_remote_at(url), credentials=credentials)

    def credentials_refused(self) -> Rejected:
        """401 or 403."""
        return Rejected("the credentials were refused", service=self.service, op=OP, status=401)

    def redirected(self) -> Transient:
        """Another address would get the credentials and the job."""
        text = "it redirects the push to another address, where it does not go"
        return Transient(text, service=self.service, op=OP)

    def no_repository(self) -> Transient:
        """404: the repository comes into being some time after the host does."""
        return Transient("it has no such repository", service=self.service, op=OP, status=404)

    def refused(self, reason: str, said: Sequence[str]) -> Rejected:
        """A hook of the remote's, or one of its rules; `said` are the lines of hooks."""
        words = self.quoted(said)
        return Rejected(
            f"{words} ({self.quoted([reason])})" if words else self.quoted([reason]),
            service=self.service,
            op=OP,
        )

    def failed(self, *words: str) -> Transient:
        """Whatever may be otherwise the next time."""
        return Transient(self.quoted(words) or "no reason given", service=self.service, op=OP)

    def hiding(self, error: Transient) -> Transient:
        """The same error with nothing in it that the other side may have copied from our request."""
        return Transient(
            f"answered {error.status}" if error.status else error.text,
            service=error.service,
            op=error.op,
            status=error.status,
            retry_after=error.retry_after,
            reference=self._masked(error.reference),
        )

    def quoted(self, lines: Sequence[str]) -> str:
        """The last lines of a remote's words in one: as many as there is room for, and no secret of ours."""
        kept: list[str] = []
        room = MOST_CHARACTERS
        for line in reversed(lines):
            text = one_line(printable(self._masked(line[:_MOST_READ_CHARACTERS])))
            if text and room > 0:
                kept.insert(0, text[:room])
                room -= len(text) + 1
        return " ".join(kept)

    def _masked(self, text: str) -> str:
        basic = self.credentials.basic.reveal().removeprefix("Basic ")
        for secret in (basic, self.credentials.password.reveal()):
            text = text.replace(secret, str(self.credentials.password)) if secret else text
        return text


def moved_meanwhile(reason: str) -> bool:
    """Whether somebody else, or our own push of a moment ago, was faster: not a refusal."""
    return _MOVED_MEANWHILE.search(reason) is not None
