"""Notices on the wire: mail by SMTP, signed webhooks, chats; also to receivers that fail and hang."""

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from paas_pipelines.notices.notice import Notice, UndeliveredError
from paas_pipelines.notices.notifiers import notifiers_of
from paas_pipelines.notices.settings import NotifierSettings

from paas_runner.http import Http
from paas_runner.secret import Secret
from tests.support.mail_server import mail_server
from tests.support.records import NOW

NOTICE = Notice(
    key="r/blocked/ok",
    to="n",
    at=NOW,
    subject="deploy: approval of ok is asked for\nBcc: evil@example.com",
    text="<!channel> @here & [click](https://evil.example) ü",
    channel="#ops",
    link="https://ci.example.com/approval?id=1",
)
KEY = "a-secret-of-the-webhook"


async def delivered(notice=NOTICE, **settings):
    found = NotifierSettings(**settings)
    assert list(found.problems()) == []
    notifier = notifiers_of({"n": found}, Http(), lambda: datetime.now(UTC))["n"]
    try:
        await notifier.deliver(notice)
    finally:
        await notifier.aclose()


# --- mail ------------------------------------------------------------------------------------------------


def mail(server, **changes):
    return {
        "type": "mail",
        "host": "127.0.0.1",
        "port": server.port,
        "tls": "none",
        "sender": "ci@example.com",
        "to": ("ops@example.com", "ada@example.com"),
        **changes,
    }


async def test_a_mail_has_its_text_its_link_and_no_headers_of_others():
    async with mail_server() as server:
        for _ in range(2):
            await delivered(**mail(server))
    first, second = server.mails
    assert first["Subject"] == "deploy: approval of ok is asked for Bcc: evil@example.com"
    assert (first["To"], first["Bcc"]) == ("ops@example.com, ada@example.com", None)
    assert server.recipients[0] == ["ops@example.com", "ada@example.com"]
    assert first["Message-ID"] == second["Message-ID"]
    text = first.get_payload(decode=True).decode().replace("\r\n", "\n")
    assert text == f"{NOTICE.text}\n\n{NOTICE.link}\n"


@pytest.mark.parametrize("how", ["starttls", "tls"])
async def test_a_mail_goes_encrypted_and_logged_in(certificates, how):
    login, tls = ("ci", "canary-password"), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificates / "server-cert.pem", certificates / "server-key.pem")
    ca_file = certificates / "ca.pem"
    async with mail_server(tls=tls, login=login, from_the_beginning=how == "tls") as server:
        settings = mail(server, tls=how, username="ci", tls_ca_file=ca_file)
        await delivered(**settings, password=Secret("canary-password"))
        assert (server.was_encrypted, server.logins) == ([True], ["ci"])
        with pytest.raises(UndeliveredError) as refused:
            await delivered(**settings, password=Secret("canary-other"))
        assert str(refused.value) == "the mail server refuses the log-in (535)"
        with pytest.raises(UndeliveredError, match="certificate") as refused:
            await delivered(**{**settings, "tls_ca_file": None}, password=Secret("canary-password"))
        assert "canary" not in str(refused.value)


async def test_a_mail_server_without_encryption_gets_nothing_that_should_be_encrypted():
    async with mail_server() as server:
        with pytest.raises(UndeliveredError, match="STARTTLS"):
            await delivered(**mail(server, tls="starttls"))
        assert server.mails == []


async def test_a_mail_that_is_refused_or_never_answered_is_not_delivered():
    async with mail_server(refuses=["451 come later"]) as server:
        with pytest.raises(UndeliveredError, match="the mail server answered 451 come later"):
            await delivered(**mail(server))
    with pytest.raises(UndeliveredError, match="refused"):
        await delivered(**mail(server))
    async with mail_server(hangs=True) as server:
        begun = time.monotonic()
        with pytest.raises(UndeliveredError, match=r"within 0\.2 s|timed out|TimeoutError"):
            await delivered(**mail(server, timeout_seconds=timedelta(seconds=0.2)))
        assert time.monotonic() - begun < 20


# --- HTTP ------------------------------------------------------------------------------------------------


@asynccontextmanager
async def receiver(*answers):
    """It keeps what it gets, and answers in turn; None is never an answer."""
    got, answers = [], list(answers)

    async def serve(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = [line.partition(": ") for line in head.split("\r\n")[1:] if line]
        headers = {name.lower(): value for name, _, value in lines}
        got.append((headers, await reader.readexactly(int(headers["content-length"]))))
        answer = answers.pop(0) if answers else "200 OK"
        if answer is None:
            await reader.read()
        else:
            writer.write(f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield Secret(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook?key=canary-1"), got
        await asyncio.sleep(0.01)


async def test_a_webhook_gets_a_document_that_is_signed_as_standard_webhooks_are():
    async with receiver() as (url, got):
        await delivered(type="webhook", url=url, secret=Secret(KEY))
    [(headers, body)] = got
    assert json.loads(body) == {
        "version": 1,
        "id": NOTICE.key,
        "at": NOW.isoformat(timespec="seconds"),
        "subject": NOTICE.subject,
        "text": NOTICE.text,
        "channel": "#ops",
        "link": NOTICE.link,
    }
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = base64.b64encode(hmac.new(KEY.encode(), signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{digest}"
    assert headers["webhook-id"] == NOTICE.key


async def test_in_a_chat_nobody_is_called_and_no_link_hides():
    async with receiver() as (url, got):
        await delivered(type="slack", url=url)
    told = json.loads(got[0][1])
    assert told["channel"] == "#ops"
    title, *_ = told["text"].split("\n")
    assert title.startswith("*deploy: approval")
    assert "&lt;!channel&gt; @\u200bhere &amp; [click]\u200b(https://evil.example) ü" in told["text"]
    assert told["text"].endswith(NOTICE.link)


@pytest.mark.parametrize(
    ("answer", "says", "retry_after"),
    [
        ("500 Oh", "answered 500", None),
        ("404 No", "answered 404", None),
        ("429 Slow\r\nRetry-After: 120", "answered 429", 120),
        ("302 There\r\nLocation: http://127.0.0.1:1/", "answered 302: redirects are not followed", None),
    ],
)
async def test_an_address_that_does_not_take_it_says_why_but_not_where(answer, says, retry_after):
    async with receiver(*[answer] * 9) as (url, _):
        with pytest.raises(UndeliveredError) as refused:
            await delivered(type="webhook", url=url)
    assert (str(refused.value), refused.value.retry_after) == (says, retry_after)


async def test_an_address_that_hangs_ends_in_time():
    async with receiver(None) as (url, _):
        begun = time.monotonic()
        with pytest.raises(UndeliveredError) as refused:
            await delivered(type="webhook", url=url, timeout_seconds=timedelta(seconds=0.3))
        assert time.monotonic() - begun < 20
        assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "complaints"),
    [
        ({"type": "webhook"}, ["url: is needed by a notifier of type webhook"]),
        ({"type": "slack", "url": Secret("ftp://x")}, ["url: "]),
        (
            {"type": "slack", "url": Secret("https://x/y"), "secret": Secret("x" * 20), "host": "h"},
            ["host: has no place in a notifier of type slack", "secret: has no place"],
        ),
        (
            {"type": "webhook", "url": Secret("https://x/y"), "secret": Secret("short")},
            ["secret: is too sho"],
        ),
        ({"type": "mail"}, ["host: ", "from: ", "to: "]),
        (
            {
                "type": "mail",
                "host": "h",
                "sender": "a@b",
                "to": ["c@d"],
                "tls": "none",
                "username": "u",
                "password": Secret("p"),
            },
            ["tls: is `none`: a password is not sent unencrypted"],
        ),
        (
            {"type": "mail", "host": "h", "sender": "a@b", "to": ["c@d"], "username": "u"},
            ["username: and `password` need each other"],
        ),
    ],
)
def test_settings_that_do_not_fit_together_are_complained_of(settings, complaints):
    found = [f"{key}: {text}" for key, text in NotifierSettings(**settings).problems()]
    assert len(found) == len(complaints)
    for text, beginning in zip(found, complaints, strict=True):
        assert text.startswith(beginning)
