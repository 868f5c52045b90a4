"""A remote may say to whoever reads it what it was sent: our credentials are in no text, whole or in part."""

import base64

import pytest

from executors.build_context import Identity
from executors.push.built_in import HttpPush
from executors.push.program import ProgramPush
from paas_runner.errors import RemoteError
from paas_runner.secret import Secret
from tests.support.push_remote import PushRemote, answered

PASSWORD = "a-password-that-is-hidden"
BASIC = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
RESULT = "application/x-git-receive-pack-result"


@pytest.fixture(params=["built-in", "program"])
async def push(request, connect, tmp_path):
    way = HttpPush(connect) if request.param == "built-in" else ProgramPush()
    remote = PushRemote(tmp_path)
    remote.allowed = {("user", PASSWORD)}
    with remote.running() as url:

        async def pushed(method, answer):
            remote.instead[method] = [answer]
            identity = Identity(name="CI", email="ci@example.com")
            with pytest.raises(RemoteError) as caught:
                await way(
                    {"a": b""}, f"{url}/job.git", user="user", password=Secret(PASSWORD), identity=identity
                )
            return caught.value

        yield pushed
    await way.aclose()


def packets(*lines):
    return b"".join(b"%04x%s" % (len(line) + 4, line) for line in lines) + b"0000"


def shown(error):
    """The pieces of the credentials that are in an error's text."""
    text = f"{error} {error.text} {error.reference}"
    return [
        secret[at : at + 6]
        for secret in (PASSWORD, BASIC)
        for at in range(len(secret) - 6)
        if secret[at : at + 6] in text
    ]


@pytest.mark.parametrize("secret", [PASSWORD, BASIC])
@pytest.mark.parametrize("before", [*range(160, 200, 9), *range(250, 300, 9)])
async def test_a_reason_that_quotes_them_is_masked_before_it_is_shortened(push, secret, before):
    said = b"ng refs/heads/master %s%s\n" % (b"x" * before, secret.encode())
    report = packets(b"unpack ok\n", said)
    body = packets(b"\1" + report)
    assert shown(await push("POST", answered(200, content_type=RESULT, body=body))) == []


@pytest.mark.parametrize("status", [400, 422, 500, 503])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_error_that_quotes_them_is_masked(push, method, status):
    message = b'{"message": "no such header: Basic %s of %s"}' % (BASIC.encode(), PASSWORD.encode())
    answer = answered(status, content_type="application/json", body=message, X_Request_Id=BASIC)
    assert shown(await push(method, answer)) == []


async def test_a_last_word_that_quotes_them_is_masked(push):
    body = packets(b"\3" + b"x" * 190 + BASIC.encode())
    assert shown(await push("POST", answered(200, content_type=RESULT, body=body))) == []
