"""Notices on the wire: signed, never twice by mistake, and no receiver in nobody's way."""

import asyncio
import base64
import hashlib
import hmac
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from paas_runner.config.notify import Receiver
from paas_runner.http import Http
from paas_runner.job.notice import JobMention, Notice, NoticeKind, NoticeState
from paas_runner.notify.delivery import DeliveryError, Parcel, courier_to
from paas_runner.notify.document import Sender, document, slack_text
from paas_runner.secret import Secret
from tests.support.records import NOW

SENDER = Sender(installation="i" * 8, machine="ci.example.org", version="1")
NOTICE = Notice(
    kind=NoticeKind.LAUNCH_FAILED,
    state=NoticeState.HAPPENED,
    subject="clever",
    since=NOW,
    until=NOW,
    count=7,
    jobs=[JobMention(runner="clever", job=number, host=f"app_{number}") for number in range(5)],
    why="image <evil> @channel `x` [text](http://evil.test)\nmore",
)


@asynccontextmanager
async def receiver(*answers):
    """A real one on loopback: it keeps what it gets, and answers in turn; None is never an answer."""
    got, answers = [], list(answers)

    async def serve(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = [line.partition(": ") for line in head.split("\r\n")[1:] if line]
        headers = {name.lower(): value for name, _, value in lines}
        body = await reader.readexactly(int(headers["content-length"]))
        got.append((head.split(" ")[1], headers, body))
        answer = answers.pop(0) if answers else "200 OK"
        if answer is None:
            await reader.read()
        else:
            writer.write(f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook/T0/xyz?key=1", got
        await asyncio.sleep(0.01)  # the other side of a connection learns of its end


def parcel(number="n-1"):
    return Parcel(number=number, document=document(NOTICE, number, SENDER), at=NOW)


async def delivered(url, *, number="n-1", **settings):
    courier = courier_to(Receiver(name="ops", url=Secret(url), **settings), Http())
    try:
        return await courier.deliver(parcel(number))
    finally:
        await courier.aclose()


async def test_the_document_arrives_with_its_id_and_time_at_the_whole_address():
    async with receiver() as (url, got):
        assert await delivered(url) == "answered 200"
    [(target, headers, body)] = got
    assert target == "/hook/T0/xyz?key=1"
    assert headers["content-type"] == "application/json"
    assert headers["webhook-id"] == "n-1"
    assert int(headers["webhook-timestamp"]) == int(NOW.timestamp())
    assert "webhook-signature" not in headers
    told = json.loads(body)
    assert told["id"] == "n-1"
    assert told["version"] == 1
    assert told["summary"] == "7 jobs of runner clever could not be launched (jobs 0, 1, 2, 3, 4 and others)"
    assert told["why"] == "image <evil> @channel `x` [text](http://evil.test) more"
    assert told["service"]["machine"] == "ci.example.org"
    assert datetime.fromisoformat(told["since"]) == NOW.astimezone(UTC)


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        ("a plain secret of an operator", b"a plain secret of an operator"),
        ("whsec_" + base64.b64encode(bytes(range(24))).decode(), bytes(range(24))),
    ],
)
async def test_the_signature_is_that_of_standard_webhooks(secret, key):
    async with receiver() as (url, got):
        await delivered(url, secret=Secret(secret))
    [(_, headers, body)] = got
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert secret not in str(headers)


async def test_a_chat_gets_a_text_in_which_nothing_foreign_does_anything():
    async with receiver() as (url, got):
        await delivered(url, format="slack")
    [(_, _, body)] = got
    text = json.loads(body)["text"]
    assert "7 jobs of runner clever" in text
    assert "<" not in text
    assert "@channel" not in text
    assert text.count("`") == 2  # what is foreign stands between them
    assert text.index("`") < text.index("[text]") < text.rindex("`")


@pytest.mark.parametrize("answer", ["400 Bad", "404 Not Found", "500 Broken", "302 Found", "429 Slow down"])
async def test_whatever_is_no_success_is_said_without_the_address(answer):
    async with receiver(answer) as (url, got):
        with pytest.raises(DeliveryError) as raised:
            await delivered(url)
    assert f"answered {answer[:3]}" in str(raised.value)
    assert "xyz" not in str(raised.value)
    assert len(got) == 1


async def test_a_receiver_that_hangs_is_left_at_the_deadline():
    async with receiver(None) as (url, _):
        with pytest.raises(DeliveryError, match="no answer"):
            await delivered(url, timeout_seconds=timedelta(seconds=0.2))


async def test_a_receiver_that_is_not_there_is_an_error_in_words():
    with pytest.raises(DeliveryError, match="no answer") as raised:
        await delivered("http://127.0.0.1:9/hook/xyz")
    assert "xyz" not in str(raised.value)


def test_what_was_never_told_in_this_version_makes_a_text_all_the_same():
    assert slack_text({"state": "odd", "summary": "something"}) == "something ()"
