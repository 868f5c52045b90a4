"""Clients of the helper service, both protocols by the same tests: H132 to H140."""

import asyncio
import random
from datetime import timedelta

import pytest

from executors.helper import contract
from executors.helper.contract import HelperBusyError, HelperReplacedError, TokenRefusedError
from executors.helper.jobs import launch, lost
from executors.helper.opening import Place
from paas_runner.addresses import parsed
from paas_runner.errors import MissingPackagesError, Rejected, RemoteError, Transient
from paas_runner.helper.protocol import GrpcMethod, JobKey, JobStatus, LaunchRequest
from paas_runner.http import Http
from paas_runner.job.tracked import Host
from paas_runner.sandbox.faults import Answer, DropAfter, Garbage, Hang
from paas_runner.secret import Secret
from tests.support.missing_packages import take_away
from tests.support.reference_helper import TOKEN, ReferenceHelper, served

JOB = JobKey("abc123xyz", 42)
REQUEST = LaunchRequest(job=JOB, specification='{"id": 42, "token": "canary-of-the-job"}', config="é")
HOST = Host(ref="host")


@pytest.fixture(params=[True, False], ids=["http1", "grpc"])
def http1(request):
    return request.param


@pytest.fixture
async def helper(http1):
    return ReferenceHelper()


@pytest.fixture
async def client(helper, http1):
    async with served(helper, http1=http1) as url:
        client = _client(url, http1, TOKEN)
        yield client
        await client.aclose()


def _client(url, http1, token):
    place = Place(address=parsed(url, ["http"]), http1=http1, token=token, service="helper")
    return place.opened(Http(rng=random.Random(1)))


async def test_a_job_from_its_launch_to_its_end(helper, client):
    assert (await client.can_take_job()).takes
    await client.launch(REQUEST)
    assert helper.launched == [REQUEST]
    assert not (await client.can_take_job()).takes
    assert (await client.status(JOB)).status == JobStatus(running=True)
    helper.end(-7)
    assert (await client.status(JOB)).status == JobStatus(running=False, exit_code=-7)
    await client.forget(JOB)
    assert helper.forgotten == [JOB]
    assert await client.status(JOB) is None
    assert (await client.can_take_job()).takes


async def test_every_verb_twice(helper, client):
    for _ in range(2):
        await client.can_take_job()
        await launch(client, REQUEST, HOST)
    assert len(helper.launched) == 1
    for _ in range(2):
        await client.forget(JOB)
    assert helper.forgotten == [JOB]


async def test_a_launch_whose_answer_was_lost_is_found_by_its_status(helper, client):
    """A helper of the reference's protocol would begin the job again."""
    helper.fail(GrpcMethod.LAUNCH_JOB, DropAfter(), times=1)
    with pytest.raises(Transient):
        await launch(client, REQUEST, HOST)
    await launch(client, REQUEST, HOST)
    assert len(helper.launched) == 1


async def test_a_host_that_was_replaced_does_not_get_the_job_again(helper, client):
    helper.instance = "first"
    told = (await client.can_take_job()).told
    assert (told.instance, told.lease, told.unclean) == ("first", timedelta(minutes=10), False)
    host = Host(ref="host", details={"instance": told.instance})
    for _ in range(2):
        await launch(client, REQUEST, host)
    assert len(helper.launched) == 1
    helper.replace("second")
    with pytest.raises(HelperReplacedError):
        await launch(client, REQUEST, host)
    assert len(helper.launched) == 1
    assert "started anew" in (await lost(client, JOB, host, look_again_after=0)).account


async def test_a_helper_that_cannot_be_cleaned_says_so(helper, client):
    helper.instance, helper.clean = "first", False
    assert (await client.can_take_job()).told.unclean


@pytest.mark.parametrize(("after", "pauses"), [("0", 0), ("3", 3), ("86400", 5), ("soon", 5), (None, 5)])
async def test_a_busy_helper_is_asked_once_more_after_at_most_five_seconds(
    helper, client, monkeypatch, after, pauses
):
    """H138."""
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr("executors.helper.http1.asyncio", _Asyncio(sleep))
    monkeypatch.setattr("executors.helper.grpc.asyncio", _Asyncio(sleep))
    headers = {"Retry-After": after} if after else {}
    helper.fail(GrpcMethod.LAUNCH_JOB, Answer(503, headers=headers), times=1)
    await client.launch(REQUEST)
    assert (slept, len(helper.launched)) == ([pauses], 1)
    helper.fail(GrpcMethod.LAUNCH_JOB, Answer(503, headers=headers), times=2)
    with pytest.raises(HelperBusyError):
        await client.launch(REQUEST)
    assert slept == [pauses] * 2


class _Asyncio:
    def __init__(self, sleep):
        self.sleep = sleep


async def test_another_job_waits_until_the_helper_is_free(helper, client):
    await client.launch(REQUEST)
    other = LaunchRequest(job=JobKey("abc123xyz", 43), specification="{}", config="")
    with pytest.raises(Transient):
        await client.launch(other)
    await client.forget(JOB)
    await client.launch(other)
    assert helper.launched == [REQUEST, other]


async def test_a_wrong_token_is_refused_in_words_without_it(helper, http1, caplog):
    async with served(helper, http1=http1) as url:
        client = _client(url, http1, Secret("canary-of-a-wrong-token"))
        for verb in _verbs(client):
            with pytest.raises(TokenRefusedError) as caught:
                await verb()
            assert "refuses our token" in str(caught.value)
            assert "canary" not in f"{caught.value!r}{caught.value}{caught.value.__cause__!r}{caplog.text}"
        await client.aclose()


def _verbs(client):
    return [
        client.can_take_job,
        lambda: client.launch(REQUEST),
        lambda: client.status(JOB),
        lambda: client.forget(JOB),
    ]


HUGE = Answer(200, body=b'"' + b"canary" * 50_000 + b'"')


@pytest.mark.parametrize("fault", [Garbage(), HUGE, Answer(500, body=b"")], ids=["garbage", "huge", "500"])
@pytest.mark.parametrize("verb", [GrpcMethod.CAN_TAKE_JOB, GrpcMethod.JOB_STATUS])
async def test_what_is_no_answer_is_tried_again_later(helper, client, caplog, fault, verb):
    await client.launch(REQUEST)
    helper.fail(verb, fault)
    ask = client.can_take_job if verb is GrpcMethod.CAN_TAKE_JOB else lambda: client.status(JOB)
    with pytest.raises(Transient) as caught:
        await ask()
    assert "canary" not in f"{caught.value}{caplog.text}"


@pytest.mark.parametrize("status", [400, 501])
async def test_a_refused_launch_is_final_and_quotes_nothing(helper, client, status):
    body = {"body": b'{"message": "canary-quoted"}'} if status == 400 else {}
    fault = Answer(status) if status == 501 else Answer(status, **({} if _is_grpc(client) else body))
    helper.fail(GrpcMethod.LAUNCH_JOB, fault)
    with pytest.raises(RemoteError) as caught:
        await client.launch(REQUEST)
    assert isinstance(caught.value, Rejected) == (status == 400 or _is_grpc(client))
    assert "canary" not in str(caught.value)
    assert helper.launched == []


def _is_grpc(client):
    return type(client).__module__.endswith("grpc")


@pytest.mark.parametrize("verb", list(GrpcMethod))
async def test_a_helper_that_hangs_has_its_time_and_no_more(helper, client, monkeypatch, verb):
    for module in ("http1", "grpc"):
        monkeypatch.setattr(f"executors.helper.{module}.ANSWER_SECONDS", 0.1)
        monkeypatch.setattr(f"executors.helper.{module}.SECONDS", {})
    monkeypatch.setattr("executors.helper.http1.QUICK_TRIES", 1)
    helper.fail(verb, Hang())
    asked = dict(zip(GrpcMethod, _verbs(client), strict=True))[verb]
    async with asyncio.timeout(10):
        with pytest.raises(Transient):
            await asked()


async def test_nobody_listening_is_tried_again_later(http1):
    async with served(ReferenceHelper(), http1=http1) as url:
        pass
    client = _client(url, http1, TOKEN)
    with pytest.raises(Transient):
        await client.launch(REQUEST)
    await client.aclose()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed_with_the_token(status):
    helper, other = ReferenceHelper(), ReferenceHelper()
    async with served(helper, http1=True) as url, served(other, http1=True) as elsewhere:
        for place in (elsewhere, url):
            helper.fail(
                GrpcMethod.LAUNCH_JOB, Answer(status, headers={"location": f"{place}/launch-job"}), times=1
            )
            client = _client(url, True, TOKEN)
            with pytest.raises(Rejected):
                await client.launch(REQUEST)
            await client.aclose()
    assert other.asked == []
    assert helper.launched == []


async def test_a_job_that_ended_behind_the_coordinators_back_is_lost(helper, client):
    await client.launch(REQUEST)
    assert await lost(client, JOB, HOST, look_again_after=0) is None
    helper.end(3)
    assert "exit code 3" in (await lost(client, JOB, HOST, look_again_after=0)).account


async def test_a_verdict_needs_two_looks(helper, client):
    await client.launch(REQUEST)
    helper.fail(GrpcMethod.JOB_STATUS, Answer(404), times=1)
    assert await lost(client, JOB, HOST, look_again_after=0) is None


def test_no_header_of_a_helper_is_believed_that_is_none():
    def told(**headers):
        return contract.told_by({f"paas-runner-{name}": value for name, value in headers.items()}.get)

    assert told(instance="a" * 201).instance == told(instance="é").instance == ""
    assert [told(lease=text).lease for text in ("-1", "0", "1e9", "", "٣", "9" * 12)] == [None] * 6
    assert told(lease="999999999").lease == timedelta(days=1)
    assert told(clean="yes").unclean is False


def test_without_grpcio_what_needs_it_says_so(monkeypatch):
    take_away(monkeypatch, "grpc", "executors.helper.grpc")
    with pytest.raises(MissingPackagesError, match=r"\[grpc\]"):
        _client("http://127.0.0.1:1", False, None)
