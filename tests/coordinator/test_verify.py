"""Whether a runner's token is good (spec gitlab-runner-api.md §1.4), and the id that goes with that."""

import json
import random
from datetime import UTC, datetime

import httpx
import pytest

from paas_runner.coordinator.runner_records import RunnerRecords, Verified
from paas_runner.coordinator.system_id import FILE, foreseen_system_id, system_id
from paas_runner.errors import Rejected, Transient
from paas_runner.http import Http
from paas_runner.secret import Secret

URL = "https://gitlab.test/below"
TOKEN = Secret("glrt-token-canary")


async def verified(status, body=b"", *, asked=None, **more):
    def answer(request):
        if asked is not None:
            asked.append(request)
        return httpx.Response(status, content=body)

    connect = Http(transport=lambda _: httpx.MockTransport(answer), rng=random.Random(1))
    return await RunnerRecords(url=URL, connect=connect).verify(TOKEN, **more)


async def test_a_good_token_is_answered_with_the_runners_number_and_the_tokens_end():
    body = b'{"id": 7, "token": "t", "token_expires_at": "2030-01-02T03:04:05.000Z"}'
    asked = []
    assert await verified(200, body, asked=asked, system_id="s_0123456789ab") == Verified(
        runner_id=7, expires_at=datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    )
    [request] = asked
    assert str(request.url) == f"{URL}/api/v4/runners/verify"
    sent = json.loads(request.content)
    assert sent["token"] == TOKEN.reveal()
    assert sent["system_id"] == "s_0123456789ab"
    assert sent["info"]["name"] == "paas-runner"


@pytest.mark.parametrize(
    "body", [b"200", b'{"id": "7", "token_expires_at": null}', b'{"token_expires_at": "soon"}', b"[]"]
)
async def test_an_old_coordinator_tells_nothing_but_that_it_is_good(body):
    assert await verified(200, body) == Verified(runner_id=None, expires_at=None)


async def test_without_an_id_none_is_sent():
    asked = []
    await verified(200, b"200", asked=asked)
    assert "system_id" not in json.loads(asked[0].content)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (403, b"{}", "does not know this token"),
        (422, b"{}", "project or group is gone"),
        (404, b"<html>", "answered 404: is the address complete?"),
        (302, b"", "answered 302"),
        (200, b"<html>", "is the address that of a coordinator?"),
    ],
)
async def test_a_refusal_is_told_in_words_without_the_token(status, body, words):
    with pytest.raises(Rejected, match="verify the runner's token") as told:
        await verified(status, body)
    assert words in str(told.value)
    assert told.value.status == status
    assert "canary" not in str(told.value)


async def test_a_coordinator_in_trouble_says_nothing_about_the_token():
    with pytest.raises(Transient):
        await verified(503)


def test_the_id_is_foreseen_without_writing_it(tmp_path):
    machine = tmp_path / "machine-id"
    machine.write_text("0123456789abcdef\n")
    folder = tmp_path / "state"
    folder.mkdir()
    foreseen = foreseen_system_id([folder], machine)
    assert not list(folder.iterdir())
    assert system_id([folder], random.Random(1), machine) == foreseen
    machine.unlink()
    assert foreseen_system_id([folder], machine) == foreseen, "it is kept by now"
    (folder / FILE).unlink()
    assert foreseen_system_id([folder], machine) is None
