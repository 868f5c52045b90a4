"""Notices by HTTP: a signed document, or the text that Slack and Mattermost show.

No redirect is followed, and what comes back is read to a bound and thrown away. In a chat the texts of others
are text: nobody is called by an @, and no link hides where it leads.
"""

import json
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from paas_pipelines.notices.notice import Notice, UndeliveredError
from paas_pipelines.notices.settings import SLACK, NotifierSettings
from paas_runner.config.notify import signing_key
from paas_runner.errors import RemoteError
from paas_runner.http import Connect, Tls, receiver_of
from paas_runner.logs import redactor
from paas_runner.loop.timing import Clock
from paas_runner.notify.webhook import signature_headers
from paas_runner.secret import Secret

VERSION = 1
"""Of the document: a receiver may rely on every field of it."""

_MOST_BYTES = 64 * 1024
_INVISIBLE = "\u200b"


class Posting:
    """One address."""

    def __init__(self, name: str, settings: NotifierSettings, connect: Connect, clock: Clock) -> None:
        """Raises OSError for certificates that cannot be read."""
        url = settings.url.reveal() if settings.url else ""
        parts = urlsplit(url)
        self._path = parts.path.lstrip("/") + (f"?{parts.query}" if parts.query else "")
        if self._path:
            redactor.add([Secret(self._path), Secret(f"/{self._path}")])
        self._is_chat = settings.type == SLACK
        self._key = signing_key(settings.secret) if settings.secret else None
        self._within = settings.timeout_seconds.total_seconds()
        self._clock = clock
        self._client = connect(
            f"{parts.scheme}://{parts.netloc}",
            service=receiver_of(f"notices {name}"),
            at_once=1,
            tls=Tls(ca_file=settings.tls_ca_file),
        )

    async def deliver(self, notice: Notice) -> None:
        """As `Notifier` has it."""
        body = json.dumps(chat_message(notice) if self._is_chat else document(notice)).encode()
        headers = {"content-type": "application/json"}
        if not self._is_chat:
            headers |= signature_headers(notice.key, self._clock(), body, self._key)
        try:
            answer = await self._client.call(
                "POST",
                self._path,
                op="deliver a notice",
                headers=headers,
                content=body,
                within=self._within,
                most_bytes=_MOST_BYTES,
                cut=True,
                redirects=False,
            )
        except RemoteError as error:
            text = f"answered {error.status}" if error.status else error.text
            raise UndeliveredError(text, retry_after=error.retry_after) from error
        if answer.status >= 300:
            raise UndeliveredError(f"answered {answer.status}" + _redirect(answer.status))

    async def aclose(self) -> None:
        await self._client.aclose()


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


def _redirect(status: int) -> str:
    return ": redirects are not followed" if status < 400 else ""


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="seconds")
