"""The gRPC of the helper service over a real channel, in protobuf's own messages (rows H132 to H136)."""

import contextlib

import grpc
import grpc.aio
import pytest

from paas_runner.helper import grpc_service
from paas_runner.helper.access import Access
from paas_runner.helper.protocol import GrpcMethod
from paas_runner.secret import Secret
from tests.helper.conftest import TOKEN, launch, settled
from tests.helper.test_messages import THEIRS

ANSWERS = {
    GrpcMethod.CAN_TAKE_JOB: "CanTakeJobResponse",
    GrpcMethod.LAUNCH_JOB: "LaunchJobResponse",
    GrpcMethod.JOB_STATUS: "PAASResourceJobStatus",
    GrpcMethod.FORGET_JOB: "ForgetJobResponse",
}
SHOWN = (("authorization", f"Bearer {TOKEN}"),)
JOB = THEIRS["Job"](runner_name="r", job_id=7)


def wanted(job_id=7):
    request = launch(job_id)
    return THEIRS["LaunchJobRequest"](
        job=THEIRS["Job"](runner_name="r", job_id=job_id),
        specification=request.specification,
        config=request.config,
    )


class Client:
    """A channel, as 1.1.1's stub uses one."""

    def __init__(self, channel):
        self._channel = channel
        self.metadata = {}

    async def __call__(self, method, message=b"", metadata=SHOWN):
        body = message if isinstance(message, bytes) else message.SerializeToString()
        call = self._channel.unary_unary(method.path)(body, metadata=metadata, timeout=5)
        self.metadata = dict(await call.initial_metadata())
        return THEIRS[ANSWERS[method]].FromString(await call)

    async def refused(self, method, message=b"", metadata=SHOWN):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await self(method, message, metadata)
        return error.value


@contextlib.asynccontextmanager
async def served(world, token=TOKEN):
    async with world.alive() as service:
        access = Access(service=service, token=token and Secret(token))
        async with (
            grpc_service.listening(access, "127.0.0.1:0") as port,
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        ):
            yield service, Client(channel)


async def test_the_whole_life_of_a_job_in_the_messages_of_111(world):
    async with served(world) as (service, client):
        assert (await client(GrpcMethod.CAN_TAKE_JOB)).can_take_job
        assert client.metadata["paas-runner-instance"] == service.instance
        assert client.metadata["paas-runner-lease"] == "600"
        await client(GrpcMethod.LAUNCH_JOB, wanted())
        await client(GrpcMethod.LAUNCH_JOB, wanted())
        assert world.host.begun == [7]
        assert not (await client(GrpcMethod.CAN_TAKE_JOB)).can_take_job
        assert (await client(GrpcMethod.JOB_STATUS, JOB)).running
        world.host.child.ended.set_result(3)
        await settled()
        status = await client(GrpcMethod.JOB_STATUS, JOB)
        assert (status.running, status.exit_code) == (False, 3)
        assert (await client(GrpcMethod.FORGET_JOB, JOB)).was_known
        assert not (await client(GrpcMethod.FORGET_JOB, JOB)).was_known
        assert (await client(GrpcMethod.CAN_TAKE_JOB)).can_take_job


async def test_each_refusal_has_its_code(world):
    async with served(world) as (service, client):
        unknown = await client.refused(GrpcMethod.JOB_STATUS, JOB)
        assert (unknown.code(), unknown.details()) == (
            grpc.StatusCode.NOT_FOUND,
            "job 7 of runner r is not here",
        )
        assert dict(unknown.initial_metadata())["paas-runner-instance"] == service.instance
        other = (*SHOWN, ("paas-runner-instance", "0123"))
        elsewhere = await client.refused(GrpcMethod.LAUNCH_JOB, wanted(), other)
        assert elsewhere.code() is grpc.StatusCode.FAILED_PRECONDITION
        broken = await client.refused(GrpcMethod.LAUNCH_JOB, THEIRS["LaunchJobRequest"](job=JOB))
        assert broken.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "`config`" in broken.details()
        await client(GrpcMethod.LAUNCH_JOB, wanted())
        full = await client.refused(GrpcMethod.LAUNCH_JOB, wanted(8))
        assert full.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert dict(full.trailing_metadata())["retry-after"] == "5"


@pytest.mark.parametrize("content", [b"\xff", b"\x0a\x05", b""])
async def test_bytes_that_are_no_job_are_refused_in_words(world, content):
    async with served(world) as (_, client):
        for method in (GrpcMethod.LAUNCH_JOB, GrpcMethod.JOB_STATUS, GrpcMethod.FORGET_JOB):
            refused = await client.refused(method, content)
            assert refused.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert refused.details()


@pytest.mark.parametrize("metadata", [(), (("authorization", "Bearer wrong"),), (("authorization", TOKEN),)])
async def test_without_the_token_nobody_learns_or_does_anything(world, metadata):
    async with served(world) as (_, client):
        for method in GrpcMethod:
            refused = await client.refused(method, wanted(), metadata)
            assert refused.code() is grpc.StatusCode.UNAUTHENTICATED
            assert "paas-runner-instance" not in dict(refused.initial_metadata())
        assert world.host.begun == []


async def test_without_a_token_of_its_own_it_lets_everybody_in_as_111s_client_needs_it(world):
    async with served(world, token=None) as (_, client):
        assert (await client(GrpcMethod.CAN_TAKE_JOB, metadata=())).can_take_job


async def test_a_definition_of_many_megabytes_is_taken(world):
    request = wanted()
    request.specification = request.specification[:-1] + f', "more": "{"a" * 12_000_000}"}}'
    async with served(world) as (_, client):
        await client(GrpcMethod.LAUNCH_JOB, request)
        assert world.host.begun == [7]


async def test_a_machine_that_is_not_clean_says_so(world):
    world.host.left = "a volume"
    async with served(world) as (_, client):
        await client(GrpcMethod.LAUNCH_JOB, wanted())
        await client(GrpcMethod.FORGET_JOB, JOB)
        assert client.metadata["paas-runner-clean"] == "no"


async def test_an_address_on_which_nobody_can_listen_is_told(world):
    async with world.alive() as service:
        with pytest.raises(OSError, match=r"Failed to bind"):
            async with grpc_service.listening(Access(service=service, token=None), "192.0.2.1:1"):
                pass
