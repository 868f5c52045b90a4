"""The `[[notify]]` sections: who is told when something is wrong, of what, and how.

A receiver is known by its name, in logs as in the store: its address is a credential.
"""

import base64
import binascii
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import attrs

from paas_runner.addresses import AddressError, parsed
from paas_runner.config.lines import KeyPath, dotted
from paas_runner.config.reader import Reader, described
from paas_runner.config.spelling import spelled
from paas_runner.job.notice import TOLD, NoticeKind
from paas_runner.plain_text import did_you_mean
from paas_runner.secret import Secret
from paas_runner.setting_types import ReadableFile
from paas_runner.settings import keys_of, setting

STANDARD_SECRET = "whsec_"  # noqa: S105 - what one in the form of Standard Webhooks begins with
_SHORTEST_SECRET = 16


@attrs.frozen(kw_only=True)
class Receiver:
    """One `[[notify]]` section."""

    name: str = setting("What the receiver is called, in logs and in answers of commands.")
    url: Secret | None = setting("Where notices are sent by POST; the address is a secret.", default=None)
    format: str = setting(
        "What is sent to `url`: a document, or the text that Slack and Mattermost show.",
        default="json",
        choices=("json", "slack"),
    )
    secret: Secret | None = setting(
        "With it each request is signed: HMAC-SHA256, as in Standard Webhooks.", default=None
    )
    tls_ca_file: ReadableFile | None = setting(
        "Certificates to trust beside the system's.", default=None, key="tls-ca-file"
    )
    command: Sequence[str] = setting(
        "A program and its arguments instead of `url`; it gets the document on its standard input.",
        default=(),
    )
    timeout_seconds: timedelta = setting(
        "How long one delivery may take.", default=timedelta(seconds=20), minimum=1, maximum=300
    )
    on: Sequence[str] = setting(f"What is told, of {', '.join(TOLD)}; by default everything.", default=())
    runners: Sequence[str] = setting(
        "Names of the runners whose troubles are told; by default all.", default=()
    )
    tenants: Sequence[str] = setting("The tenants of whose jobs is told; by default all.", default=())
    group_seconds: timedelta = setting(
        "What happens several times within it is one notice, and what is over within it is none.",
        default=timedelta(minutes=2),
        minimum=1,
    )
    repeat_seconds: timedelta = setting(
        "Least distance of two notices of the same thing.", default=timedelta(hours=1), minimum=1
    )
    quota_seconds: timedelta = setting(
        "For how long the quota must be exhausted before it is told.",
        default=timedelta(minutes=30),
        minimum=1,
    )
    most_per_hour: int = setting("Notices an hour at most; more of them wait.", default=20, minimum=1)
    cost_per_hour: float | None = setting(
        "What all present hosts together may cost an hour, in the provider's unit.", default=None, minimum=0
    )
    cost_per_day: float | None = setting(
        "What all hosts may have cost in the last 24 hours, in the provider's unit.", default=None, minimum=0
    )

    def problems(self) -> Iterator[tuple[str, str]]:
        """What contradicts: as `paas_runner.settings.setting` has it."""
        if self.url and self.command:
            yield "command", "there is a `url`, too: one section tells one of both"
        if not (self.url or self.command):
            yield "name", "needs either `url` or `command`"
        if self.url:
            yield from address_problems(self.url)
        if self.command and not self.command[0].startswith("/"):
            yield "command", "begins with no absolute path of a program"
        for key in ("secret", "tls_ca_file"):
            if getattr(self, key) and not self.url:
                yield key.replace("tls_ca_file", "tls-ca-file"), "is for a `url` alone"
        if self.secret:
            yield from secret_problems(self.secret)
        for kind in self.on:
            if kind not in TOLD:
                near = did_you_mean(kind, TOLD)
                yield "on", f"has a word that is none of {', '.join(TOLD)}" + (near and f"; {near}")
        if NoticeKind.COST_ABOVE in self.on and not self.bounds:
            yield "on", f"`{NoticeKind.COST_ABOVE}` needs `cost_per_hour` or `cost_per_day`"

    @property
    def bounds(self) -> Sequence[float]:
        """Those of costs that are set."""
        return [bound for bound in (self.cost_per_hour, self.cost_per_day) if bound is not None]

    @property
    def kinds(self) -> frozenset[NoticeKind]:
        """What is told."""
        return frozenset(map(NoticeKind, self.on or TOLD))


def address_problems(url: Secret) -> Iterator[tuple[str, str]]:
    """What comes after a question mark may be anything that has no blank."""
    address, _, query = url.reveal().partition("?")
    try:
        parsed(address, ("https", "http"))
    except AddressError as error:
        yield "url", str(error)
    if "#" in query:
        yield "url", "a fragment has no place in this address"


def secret_problems(secret: Secret) -> Iterator[tuple[str, str]]:
    try:
        if len(signing_key(secret)) < _SHORTEST_SECRET:
            yield "secret", f"is too short to sign with: {_SHORTEST_SECRET} characters are the least"
    except binascii.Error:
        yield "secret", f"is no base64 after `{STANDARD_SECRET}`"


def signing_key(secret: Secret) -> bytes:
    """The bytes with which is signed; raises `binascii.Error` for one that is half in the standard's form."""
    text = secret.reveal()
    if text.startswith(STANDARD_SECRET):
        return base64.b64decode(text.removeprefix(STANDARD_SECRET), validate=True)
    return text.encode()


def read_receivers(
    document: Mapping[str, Any], reader: Reader, runners: Collection[str]
) -> tuple[Receiver, ...]:
    """All of `[[notify]]`, as far as they are right; `runners` are the names of those that there are."""
    tables = document.get("notify", [])
    if not isinstance(tables, list):
        reader.findings.wrong(("notify",), described(tables, quote=False), expected="[[notify]] sections")
        return ()
    found: dict[str, KeyPath] = {}
    receivers = []
    for index, table in enumerate(tables):
        at: KeyPath = ("notify", index)
        receiver = _read_receiver(table, at, reader)
        if receiver is None:
            continue
        if receiver.name in found:
            reader.findings.wrong((*at, "name"), f"the same name as {dotted(found[receiver.name])}")
        found.setdefault(receiver.name, at)
        for name in receiver.runners:
            if name not in runners:
                hint = did_you_mean(name, runners)
                reader.findings.wrong((*at, "runners"), "names no runner of this file", hint=hint)
        receivers.append(receiver)
    return tuple(receivers)


def _read_receiver(table: Any, at: KeyPath, reader: Reader) -> Receiver | None:
    if not isinstance(table, dict):
        reader.findings.wrong(at, described(table, quote=False), expected="a table")
        return None
    known = keys_of(Receiver)
    table = spelled(table, at, known, reader.findings)
    reader.refuse_unknown(table, at, known)
    receiver = reader.instance(Receiver, table, at)
    return receiver if isinstance(receiver, Receiver) else None
