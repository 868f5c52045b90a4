"""Notices by HTTP: a signed document, or the text that Slack and Mattermost show.

No redirect is followed, and what comes back is read to a bound and thrown away. In a chat the texts of others
are text: nobody is called by an @, and no link hides where it leads.
"""

import json
from datetime import datetime
from typing import Any

from paas_pipelines.notices.notice import Notice, UndeliveredError
from paas_pipelines.notices.settings import SLACK, NotifierSettings
from paas_runner.config.notify import signing_key
from paas_runner.http import Connect
from paas_runner.loop.timing import Clock
from paas_runner.notify.address import Address
from paas_runner.notify.delivery import DeliveryError
from paas_runner.notify.webhook import signature_headers
from paas_runner.secret import Secret

VERSION = 1
"""Of the document: a receiver may rely on every field of it."""

_INVISIBLE = "\u200b"


class Posting:
    """One address."""

    def __init__(self, name: str, settings: NotifierSettings, connect: Connect, clock: Clock) -> None:
        """Raises OSError for certificates that cannot be read."""
        self._is_chat = settings.type == SLACK
        self._key = signing_key(settings.secret) if settings.secret else None
        self._clock = clock
        self._address = Address(
            name,
            settings.url or Secret(""),
            connect,
            ca_file=settings.tls_ca_file,
            within=settings.timeout_seconds,
        )

    async def deliver(self, notice: Notice) -> None:
        """As `Notifier` has it."""
        body = json.dumps(chat_message(notice) if self._is_chat else document(notice)).encode()
        signed = {} if self._is_chat else signature_headers(notice.key, self._clock(), body, self._key)
        try:
            await self._address.post(body, signed)
        except DeliveryError as error:
            raise UndeliveredError(str(error), retry_after=error.retry_after) from error

    async def aclose(self) -> None:
        await self._address.aclose()


def document(notice: Notice) -> dict[str, Any]:
    """For a program."""
    return {
        "version": VERSION,
        "id": notice.key,
        "at": _moment(notice.at),
        "subject": notice.subject,
        "text": notice.text,
        "channel": notice.channel,
        "link": notice.link,
    }


def chat_message(notice: Notice) -> dict[str, str]:
    """For people in a chat; incoming webhooks of apps ignore a channel and use their own."""
    lines = [f"*{in_chat(notice.subject)}*"] if notice.subject else []
    lines += [in_chat(notice.text)] if notice.text else []
    lines += [notice.link] if notice.link else []
    channel = {"channel": notice.channel} if notice.channel else {}
    return {"text": "\n".join(lines), **channel}


def in_chat(text: str) -> str:
    """Escaped as Slack wants it, and without what Mattermost would take for a mention or a link's name."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("@", f"@{_INVISIBLE}").replace("](", f"]{_INVISIBLE}(")


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="seconds")
