"""The helper's protocol over gRPC (core-features.md H132 to H136). Needs the extra `grpc`.

The one module of ours that speaks grpcio. Each call has its deadline; its answer's own words are shown to
nobody: they may quote what was sent.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import grpc
import grpc.aio

from executors.helper.contract import (
    ANSWER_SECONDS,
    MOST_ANSWER_BYTES,
    OPS,
    SECONDS,
    Availability,
    HelperBusyError,
    HelperReplacedError,
    Sighting,
    TokenRefusedError,
    Told,
    pause,
    told_by,
)
from paas_runner.errors import Rejected, RemoteError, Transient
from paas_runner.helper import messages
from paas_runner.helper.protocol import INSTANCE_HEADER, GrpcMethod, JobKey, LaunchRequest
from paas_runner.secret import Secret

T = TypeVar("T")

_OPTIONS = (
    ("grpc.max_receive_message_length", MOST_ANSWER_BYTES),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_metadata_size", 16 * 1024),
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),  # a channel that failed is not remembered by the next
)
_REFUSALS = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)
_TOKEN_REFUSED = frozenset({grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED})
_OF_A_JOB = frozenset({GrpcMethod.JOB_STATUS, GrpcMethod.FORGET_JOB})


class GrpcHelper:
    """A helper at `target`, a host and port."""

    def __init__(self, target: str, *, service: str, token: Secret | None, tls: bool) -> None:
        """The channel connects when it is needed."""
        self.service = service
        self._token = token
        self._channel = (
            grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(), options=_OPTIONS)
            if tls
            else grpc.aio.insecure_channel(target, options=_OPTIONS)
        )

    async def can_take_job(self) -> Availability:
        answer, told = await self._called(GrpcMethod.CAN_TAKE_JOB, messages.EMPTY)
        takes = self._read(messages.truth_from_bytes, answer, GrpcMethod.CAN_TAKE_JOB)
        return Availability(takes=takes, told=told)

    async def launch(self, request: LaunchRequest, *, instance: str = "") -> None:
        message = messages.launch_to_bytes(request)
        try:
            await self._called(GrpcMethod.LAUNCH_JOB, message, instance)
        except HelperBusyError as busy:
            await asyncio.sleep(pause(busy))
            await self._called(GrpcMethod.LAUNCH_JOB, message, instance)

    async def status(self, job: JobKey) -> Sighting | None:
        try:
            answer, told = await self._called(GrpcMethod.JOB_STATUS, messages.job_to_bytes(job))
        except _UnknownJobError:
            return None
        status = self._read(messages.status_from_bytes, answer, GrpcMethod.JOB_STATUS)
        return Sighting(status=status, told=told)

    async def forget(self, job: JobKey) -> Told:
        try:
            _, told = await self._called(GrpcMethod.FORGET_JOB, messages.job_to_bytes(job))
        except _UnknownJobError:
            return Told()
        return told

    async def aclose(self) -> None:
        await self._channel.close()

    async def _called(self, verb: GrpcMethod, request: bytes, instance: str = "") -> tuple[bytes, Told]:
        sent = {INSTANCE_HEADER.lower(): instance} if instance else {}
        if self._token:
            sent["authorization"] = f"Bearer {self._token.reveal()}"
        ask: Any = self._channel.unary_unary(verb.path, request_serializer=bytes, response_deserializer=bytes)
        call = ask(request, timeout=SECONDS.get(verb, ANSWER_SECONDS), metadata=tuple(sent.items()))
        try:
            answer = bytes(await call)
            said = _texts(await call.initial_metadata()) | _texts(await call.trailing_metadata())
        except grpc.aio.AioRpcError as error:
            raise self._meant(error, verb, placed=bool(instance)) from None
        except (grpc.RpcError, ValueError, TypeError) as error:
            raise self._failed(f"no answer ({type(error).__name__})", verb) from None
        return answer, told_by(said.get)

    def _meant(self, error: grpc.aio.AioRpcError, verb: GrpcMethod, *, placed: bool) -> RemoteError:
        code, op = error.code(), OPS[verb]
        name = code.name.lower().replace("_", " ")
        if code in _TOKEN_REFUSED:
            return TokenRefusedError(f"refuses our token ({name})", service=self.service, op=op, status=401)
        if code is grpc.StatusCode.NOT_FOUND and verb in _OF_A_JOB:
            return _UnknownJobError("knows no such job", service=self.service, op=op, status=404)
        if code is grpc.StatusCode.FAILED_PRECONDITION and placed:
            text = "the machine was started anew, or the job was there before"
            return HelperReplacedError(text, service=self.service, op=op, status=409)
        if code in _REFUSALS:
            return Rejected(f"refuses it ({name})", service=self.service, op=op)
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED and verb is GrpcMethod.LAUNCH_JOB:
            said = _texts(error.initial_metadata()) | _texts(error.trailing_metadata())
            return HelperBusyError(
                "takes no job now", service=self.service, op=op, retry_after=_seconds(said)
            )
        return self._failed(f"no answer ({name})", verb)

    def _read(self, read: Callable[[bytes], T], answer: bytes, verb: GrpcMethod) -> T:
        try:
            return read(answer)
        except ValueError:
            raise self._failed("this is no answer of a helper service", verb) from None

    def _failed(self, text: str, verb: GrpcMethod) -> Transient:
        return Transient(text, service=self.service, op=OPS[verb])


class _UnknownJobError(Rejected):
    """The helper does not know the job."""


def _texts(metadata: Any) -> dict[str, str]:
    return {str(name).lower(): value for name, value in metadata or () if isinstance(value, str)}


def _seconds(said: dict[str, str]) -> float | None:
    text = said.get("retry-after", "")
    return float(text) if text.isascii() and text.isdecimal() and len(text) < 6 else None
