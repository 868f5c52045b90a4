"""Notices by mail: SMTP in a thread of its own, encrypted and logged in where the settings say so.

A mail's `Message-ID` is that of its notice, so that a mail system may drop one that comes twice.
"""

import asyncio
import hashlib
import smtplib
import ssl
import threading
from collections.abc import Callable
from email.message import EmailMessage

from paas_pipelines.notices.notice import Notice, UndeliveredError
from paas_pipelines.notices.settings import NotifierSettings
from paas_runner.plain_text import short_line

_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_MOST_SUBJECT = 200


class Mail:
    """One mail server and those whom it reaches."""

    def __init__(self, settings: NotifierSettings) -> None:
        """Raises OSError for certificates that cannot be read."""
        self._settings = settings
        ca_file = str(settings.tls_ca_file) if settings.tls_ca_file else None
        self._tls = ssl.create_default_context(cafile=ca_file) if settings.tls != "none" else None

    async def deliver(self, notice: Notice) -> None:
        """As `Notifier` has it."""
        within = self._settings.timeout_seconds.total_seconds()
        message = self.message(notice)
        try:
            async with asyncio.timeout(within):
                await _in_thread(lambda: self._send(message, within))
        except TimeoutError:
            raise UndeliveredError(f"the mail server did not answer within {within:g} s") from None
        except smtplib.SMTPException as error:
            raise UndeliveredError(_said(error)) from None
        except (OSError, UnicodeError) as error:
            raise UndeliveredError(f"{type(error).__name__}: {_words(error)}") from None

    async def aclose(self) -> None:
        """There is a connection for each mail alone."""

    def message(self, notice: Notice) -> EmailMessage:
        """What is sent."""
        message = EmailMessage()
        message["From"] = self._settings.sender
        message["To"] = ", ".join(self._settings.to)
        message["Subject"] = short_line(notice.subject or notice.text, _MOST_SUBJECT) or "Notice"
        message["Date"] = notice.at
        domain = self._settings.sender.rpartition("@")[2]
        message["Message-ID"] = f"<{hashlib.sha256(notice.key.encode()).hexdigest()[:40]}@{domain}>"
        message["Auto-Submitted"] = "auto-generated"
        link = f"\n\n{notice.link}" if notice.link else ""
        message.set_content(f"{notice.text or notice.subject}{link}\n")
        return message

    def _send(self, message: EmailMessage, within: float) -> None:
        settings, port = self._settings, self._settings.port or _PORTS[self._settings.tls]
        smtp: smtplib.SMTP
        if settings.tls == "tls":
            smtp = smtplib.SMTP_SSL(settings.host, port, timeout=within, context=self._tls)
        else:
            smtp = smtplib.SMTP(settings.host, port, timeout=within)
        with smtp:
            if settings.tls == "starttls":
                smtp.starttls(context=self._tls)
            if settings.password:
                smtp.login(settings.username, settings.password.reveal())
            smtp.send_message(message)


async def _in_thread(work: Callable[[], None]) -> None:
    """In one that the end of the process does not wait for; cancelled, it is left to its own deadline."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def tell(error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def called() -> None:
        error: BaseException | None = None
        try:
            work()
        except BaseException as raised:  # noqa: BLE001 - whatever it is, it is raised where it is awaited
            error = raised
        if not loop.is_closed():
            loop.call_soon_threadsafe(tell, error)

    threading.Thread(target=called, name="mail", daemon=True).start()
    await done


def _said(error: smtplib.SMTPException) -> str:
    """Which answer it was; what a server says of a log-in may quote the log-in."""
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return f"the mail server refuses the log-in ({error.smtp_code})"
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        return short_line(f"the mail server answered {error.smtp_code} {text}", 200)
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = ", ".join(str(code) for code, _ in error.recipients.values())
        return f"the mail server refuses all recipients ({codes})"
    return short_line(f"{type(error).__name__}: {error}", 200)


def _words(error: Exception) -> str:
    return short_line(str(error), 200) or "no answer"
