"""Both ways of pushing against a real git remote: one commit, one meaning for each of its answers."""

import asyncio
import threading
from contextlib import asynccontextmanager

import pytest
import structlog

from executors.build_context import Identity
from executors.push.built_in import HttpPush
from executors.push.objects import commit_of
from executors.push.program import ProgramPush
from paas_runner.errors import Rejected, RemoteError, Transient
from paas_runner.secret import Secret
from tests.support.git_server import git
from tests.support.push_remote import PushRemote, answered, gone, lost

TREE = {"Dockerfile": b"FROM x\n", "runner.toml": b"", "job.json": b'{"a": "\xc3\xa9"}'}
IDENTITY = Identity(name="CI of Example", email="ci@example.com")
OURS = commit_of(TREE, IDENTITY).id
ADVERTISEMENT = "application/x-git-receive-pack-advertisement"
RESULT = "application/x-git-receive-pack-result"


@pytest.fixture
def remote(tmp_path):
    return PushRemote(tmp_path)


@pytest.fixture(params=["built-in", "program"])
async def way(request, connect):
    """A push, each of the two."""
    made = HttpPush(connect) if request.param == "built-in" else ProgramPush()
    yield made
    await made.aclose()


@pytest.fixture
def push(way, remote):
    """Pushes into the remote."""
    with remote.running() as url:

        async def pushed(tree=TREE, *, password="hidden-password"):
            await way(tree, f"{url}/job.git", user="user", password=Secret(password), identity=IDENTITY)

        pushed.built_in = isinstance(way, HttpPush)
        yield pushed


async def until_settled(push):
    """As a job is launched: again while that may help; returns how often."""
    for tries in range(1, 4):
        try:
            await push()
        except Transient:
            continue
        return tries
    raise AssertionError("never settled")


async def test_a_push_is_two_requests_with_credentials_from_the_first_on(push, remote):
    await push()
    assert remote.master == OURS
    assert remote.asked == [("GET", True), ("POST", True)]
    shown = git(remote.repository, "log", "--format=%an <%ae> %ad, %cn <%ce> %cd, %B", "--date=raw", OURS)
    who = "CI of Example <ci@example.com> 946684800 +0000"
    assert shown == f"{who}, {who}, Job definition"
    names = git(remote.repository, "ls-tree", "-r", "--format=%(objectmode) %(path)", OURS)
    assert names.splitlines() == ["100644 Dockerfile", "100644 job.json", "100644 runner.toml"]
    git(remote.repository, "fsck", "--strict", "--no-dangling")


async def test_the_same_job_again_sends_nothing(push, remote):
    await push()
    await push()
    assert [method for method, _ in remote.asked] == ["GET", "POST", "GET"]
    assert remote.hooks_run == 1


async def test_another_commit_there_is_left_alone(push, remote):
    other = remote.other_commit()
    remote.move_to(other)
    with structlog.testing.capture_logs() as logs:
        await push()
    assert [entry["event"] for entry in logs if entry["event"] == "launched_before"] == ["launched_before"]
    assert remote.master == other
    assert [method for method, _ in remote.asked] == ["GET"]


@pytest.mark.parametrize("hook", ["pre-receive", "update"])
async def test_who_reads_a_refusal_reads_the_words_of_the_remotes_hook(push, remote, hook):
    remote.hook(hook, "printf 'No more builds \\033[31mthis month.\\nhidden-password\\n' >&2\nexit 1")
    with pytest.raises(Rejected) as refused:
        await push()
    assert "No more builds" in refused.value.text
    assert "this month. [secret]" in refused.value.text
    assert "hook declined)" in refused.value.text
    assert refused.value.text.isprintable()
    assert remote.master == ""


async def test_words_of_a_hook_without_end_are_cut(push, remote):
    remote.hook("pre-receive", "yes 'word word word' | head -c 200000 >&2\necho 'the end' >&2\nexit 1")
    with pytest.raises(Rejected, match="the end") as refused:
        await push()
    assert len(refused.value.text) < 400


async def test_wrong_credentials_are_refused(push, remote):
    with pytest.raises(Rejected, match="the credentials were refused") as refused:
        await push(password="another")
    assert refused.value.status == 401


async def test_a_403_is_a_refusal_of_the_credentials(push, remote):
    remote.instead["GET"] = [answered(403)]
    with pytest.raises(Rejected, match="the credentials were refused"):
        await push()


async def test_a_repository_that_is_not_there_yet_is_tried_again(push, remote):
    remote.instead["GET"] = [answered(404)]
    with pytest.raises(Transient, match="it has no such repository"):
        await push()


@pytest.mark.parametrize("status", [500, 502, 503, 429])
async def test_an_outage_is_tried_again(push, remote, status):
    remote.instead["GET"] = [answered(status)]
    with pytest.raises(Transient):
        await push()
    await push()
    assert remote.master == OURS


async def test_a_lost_answer_is_looked_at_again(push, remote):
    remote.instead["POST"] = [lost]
    assert await until_settled(push) == (1 if push.built_in else 2)
    assert remote.master == OURS
    assert remote.hooks_run == 1


async def test_a_push_that_never_arrived_is_made_again(push, remote):
    remote.instead["POST"] = [gone]
    assert await until_settled(push) == 2
    assert remote.hooks_run == 1


@pytest.mark.parametrize(
    "spoiled",
    [
        answered(200),
        answered(200, content_type=RESULT, body=b"\0\xffnonsense"),
        answered(200, content_type=RESULT, body=b"0030\1000eunpack ok\n"),
        answered(200, content_type=RESULT, body=b"0000"),
        answered(502),
    ],
)
async def test_an_answer_that_says_nothing_is_looked_at_again(push, remote, monkeypatch, spoiled):
    monkeypatch.setattr("executors.push.program.PUSH_SECONDS", 2.0)  # git waits for the rest of one of them

    def done(remote, request):
        remote.move_to(OURS)
        return spoiled(remote, request)

    await push()  # the commit is there
    git(remote.repository, "update-ref", "-d", "refs/heads/master")
    remote.instead["POST"] = [done]
    assert await until_settled(push) == (1 if push.built_in else 2)


@pytest.mark.parametrize("whose", ["ours", "another"])
async def test_a_branch_that_came_meanwhile_is_no_refusal(push, remote, whose):
    def made_before(remote, _request):
        remote.move_to(OURS if whose == "ours" else remote.other_commit())

    await push()
    git(remote.repository, "update-ref", "-d", "refs/heads/master")
    remote.instead["POST"] = [made_before]
    assert await until_settled(push) == (1 if push.built_in else 2)
    assert (remote.master == OURS) is (whose == "ours")


async def test_what_the_remote_cannot_unpack_is_tried_again(push, remote):
    objects = remote.repository / "objects"
    git(remote.repository, "config", "receive.maxInputSize", "10")
    with pytest.raises(Transient, match="could not take what was sent"):
        await push()
    assert not list(objects.rglob("*.pack"))
    git(remote.repository, "config", "--unset", "receive.maxInputSize")
    await push()
    assert remote.master == OURS


@pytest.mark.parametrize(
    ("advertised", "words"),
    [
        (answered(200), "no git remote that takes a push by HTTP is there"),
        (answered(200, content_type=ADVERTISEMENT, body=b"zzzz"), "no sequence of packets"),
        (answered(200, content_type=ADVERTISEMENT, body=b""), "does not begin as the protocol says"),
    ],
)
async def test_what_is_no_git_remote_is_tried_again_with_words(push, remote, advertised, words):
    remote.instead["GET"] = [advertised]
    with pytest.raises(Transient, match=words if push.built_in else None):
        await push()
    assert "POST" not in dict(remote.asked)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_remote_that_hangs_is_left(push, remote, monkeypatch, method):
    monkeypatch.setattr("executors.push.program.PUSH_SECONDS", 1.0)
    for name in ("LOOK_SECONDS", "SEND_SECONDS"):
        monkeypatch.setattr(f"executors.push.built_in.{name}", 0.5)
    over = threading.Event()
    remote.instead[method] = [lambda *_: over.wait(20)]
    try:
        with pytest.raises(Transient, match=r"no answer|not done within"):
            await push()
    finally:
        over.set()


async def test_a_push_may_end_anywhere_and_be_made_again(push, remote):
    """Canceled while the remote has it in hand: it is done there, and once."""
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(_remote, _request):
        loop.call_soon_threadsafe(begun.set)

    remote.instead["POST"] = [slow]
    first = asyncio.ensure_future(push())
    await begun.wait()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await until_settled(push)
    assert remote.master == OURS
    assert remote.hooks_run == 1


async def test_a_large_tree_is_pushed_whole(push, remote):
    large = TREE | {"job.json": bytes(range(256)) * 4096}
    await push(large)
    assert remote.master == commit_of(large, IDENTITY).id
    git(remote.repository, "fsck", "--strict", "--no-dangling")


@asynccontextmanager
async def remote_that(answer):
    """An HTTP server that answers each request so; yields its address and the requests."""
    asked = []

    async def serve(reader, writer):
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(answer.encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_push_follows_no_redirect(way, status):
    async with remote_that("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n") as (elsewhere, stolen):
        moved = (
            f"HTTP/1.1 {status} Moved\r\nLocation: {elsewhere}/x.git/info/refs?service=git-receive-pack\r\n"
        )
        async with remote_that(f"{moved}Content-Length: 0\r\n\r\n") as (url, asked):
            with pytest.raises(Transient, match="redirects the push to another address"):
                await way(
                    TREE, f"{url}/x.git", user="u", password=Secret("hidden-password"), identity=IDENTITY
                )
    assert "authorization: basic" in asked[0].lower()
    assert stolen == []


@pytest.mark.parametrize("kind", ["ext::sh -c touch% {marker}", "file://{remote}", "{remote}"])
async def test_a_push_speaks_http_alone(way, kind, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "ext:file:https")
    bare, marker = tmp_path / "remote.git", tmp_path / "marker"
    git(tmp_path, "init", "-q", "--bare", str(bare))
    url = kind.format(remote=bare, marker=marker)
    with pytest.raises(RemoteError):
        await way(TREE, url, user="u", password=Secret("p"), identity=IDENTITY)
    assert not marker.exists()
    assert not list((bare / "objects").rglob("*.pack"))
    assert not list((bare / "refs/heads").iterdir())


async def test_no_one_there_is_transient(way):
    with pytest.raises(Transient, match=r"git remote 127\.0\.0\.1"):
        await way(TREE, "http://127.0.0.1:9/x.git", user="u", password=Secret("p"), identity=IDENTITY)
