"""`[pipelines.notifiers.N]`: whom notices reach, and how; addresses of hooks are credentials."""

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta

import attrs

from paas_runner.config.notify import address_problems, secret_problems
from paas_runner.secret import Secret
from paas_runner.setting_types import ReadableFile
from paas_runner.settings import setting

MAIL, WEBHOOK, SLACK = "mail", "webhook", "slack"
_OF_HOOKS = ("url", "secret")
_OF_MAIL = ("host", "port", "username", "password", "sender", "to")
_KEYS = {"sender": "from"}
_ADDRESS = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+")


@attrs.frozen(kw_only=True)
class NotifierSettings:
    """One of them; which keys belong together `problems` says."""

    type: str = setting("How it tells.", choices=(MAIL, WEBHOOK, SLACK))
    url: Secret | None = setting("Where notices are sent by POST; the address is a secret.", default=None)
    secret: Secret | None = setting(
        "With it each request is signed: HMAC-SHA256, as in Standard Webhooks.", default=None
    )
    host: str = setting("The mail server.", default="")
    port: int | None = setting(
        "Its port; by default 587, with `tls` 465, without 25.", default=None, minimum=1, maximum=65535
    )
    tls: str = setting(
        "Whether the connection is encrypted after a greeting, from its beginning, or never.",
        default="starttls",
        choices=("starttls", "tls", "none"),
    )
    tls_ca_file: ReadableFile | None = setting(
        "Certificates to trust instead of the system's (mail) or beside them.",
        default=None,
        key="tls-ca-file",
    )
    username: str = setting("Who logs in at the mail server.", default="")
    password: Secret | None = setting("With which password.", default=None)
    sender: str = setting("Whose mail it is.", default="", key="from")
    to: Sequence[str] = setting("Who gets the mail.", default=())
    timeout_seconds: timedelta = setting(
        "How long one delivery may take.", default=timedelta(seconds=20), minimum=1, maximum=300
    )

    def problems(self) -> Iterator[tuple[str, str]]:
        """What contradicts: as `paas_runner.settings.setting` has it."""
        for field in _OF_HOOKS if self.type == MAIL else _OF_MAIL:
            if getattr(self, field):
                yield _KEYS.get(field, field), f"has no place in a notifier of type {self.type}"
        if self.type == MAIL:
            yield from self._problems_of_mail()
            return
        if self.url is None:
            yield "url", f"is needed by a notifier of type {self.type}"
        else:
            yield from address_problems(self.url)
        if self.type == SLACK and self.secret:
            yield "secret", "has no place in a notifier of type slack"
        if self.secret:
            yield from secret_problems(self.secret)

    def _problems_of_mail(self) -> Iterator[tuple[str, str]]:
        if not self.host:
            yield "host", "is needed by a notifier of type mail"
        if not _ADDRESS.fullmatch(self.sender):
            yield "from", "needs one address, such as ci@example.com"
        if not self.to or not all(_ADDRESS.fullmatch(each) for each in self.to):
            yield "to", 'needs a list of addresses, such as ["ops@example.com"]'
        if bool(self.username) != bool(self.password):
            yield "username", "and `password` need each other"
        if self.password and self.tls == "none":
            yield "tls", "is `none`: a password is not sent unencrypted"
