"""The verbs over gRPC, as 1.1.1 asks for them (rows H132 to H136); the only module that knows the library.

Requests come as streams of one message, which is the same on the wire: so none is read of who has not shown
the token, and none in a way that leaves its errors to the library.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import NoReturn, TypeAlias

import grpc
import grpc.aio

from paas_runner.helper import messages
from paas_runner.helper.access import Access
from paas_runner.helper.protocol import (
    GRPC_SERVICE,
    INSTANCE_HEADER,
    MOST_REQUEST_BYTES,
    RETRY_AFTER_SECONDS,
    GrpcMethod,
)
from paas_runner.helper.service import Reason, RefusedError

Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"
Handler: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"
Verb = Callable[[bytes, Mapping[str, str]], Awaitable[bytes]]

_REQUEST_SECONDS = 120.0
_AT_ONCE = 32
_CODES = {
    Reason.UNUSABLE: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.UNKNOWN: grpc.StatusCode.NOT_FOUND,
    Reason.OTHER_INSTANCE: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.BEFORE: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.BROKEN: grpc.StatusCode.INTERNAL,
    Reason.NOT_NOW: grpc.StatusCode.RESOURCE_EXHAUSTED,
}


@contextlib.asynccontextmanager
async def listening(
    access: Access, address: str, certificate: tuple[bytes, bytes] | None = None
) -> AsyncIterator[int]:
    """Answer within, on `host:port`; the port, if any was meant. Raises OSError.

    `certificate` is a chain and its key; without it the wire is plain.
    """
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", MOST_REQUEST_BYTES),
            ("grpc.so_reuseport", 0),
        ],
        maximum_concurrent_rpcs=_AT_ONCE,
    )
    verbs = _Verbs(access)
    handlers: dict[str, Handler] = {
        str(method): grpc.stream_unary_rpc_method_handler(_answering(access, verb))
        for method, verb in verbs.by_method().items()
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(GRPC_SERVICE, handlers),))
    try:
        if certificate is None:
            port = server.add_insecure_port(address)
        else:
            chain, key = certificate
            port = server.add_secure_port(address, grpc.ssl_server_credentials([(key, chain)]))
    except RuntimeError as error:
        raise OSError(str(error).partition(";")[0]) from None
    await server.start()
    try:
        yield port
    finally:
        await server.stop(grace=None)


class _Verbs:
    """Each takes a message and the request's metadata, and gives the answer's message."""

    def __init__(self, access: Access) -> None:
        self._service = access.service

    def by_method(self) -> Mapping[GrpcMethod, Verb]:
        return {
            GrpcMethod.CAN_TAKE_JOB: self._can_take_job,
            GrpcMethod.LAUNCH_JOB: self._launch,
            GrpcMethod.JOB_STATUS: self._status,
            GrpcMethod.FORGET_JOB: self._forget,
        }

    async def _can_take_job(self, _message: bytes, _metadata: Mapping[str, str]) -> bytes:
        return messages.truth_to_bytes(await self._service.can_take_job())

    async def _launch(self, message: bytes, metadata: Mapping[str, str]) -> bytes:
        wanted = messages.launch_from_bytes(message)
        await self._service.launch(wanted, metadata.get(INSTANCE_HEADER.lower()))
        return messages.EMPTY

    async def _status(self, message: bytes, _metadata: Mapping[str, str]) -> bytes:
        return messages.status_to_bytes(self._service.status(messages.job_from_bytes(message)))

    async def _forget(self, message: bytes, _metadata: Mapping[str, str]) -> bytes:
        forgotten = await self._service.forget(messages.job_from_bytes(message))
        return messages.truth_to_bytes(forgotten.was_known)


def _answering(access: Access, verb: Verb) -> Callable[[AsyncIterator[bytes], Context], Awaitable[bytes]]:
    async def answer(requests: AsyncIterator[bytes], context: Context) -> bytes:
        metadata = {str(name): value for name, value in context.invocation_metadata() or ()}
        texts = {name: value for name, value in metadata.items() if isinstance(value, str)}
        if not access.admits(texts.get("authorization")):
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "the helper service's token is needed")
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                message = await anext(aiter(requests), b"")
            found = await verb(message, texts)
        except TimeoutError:
            await _refused(access, context, grpc.StatusCode.DEADLINE_EXCEEDED, "the request took too long")
        except ValueError as error:
            await _refused(access, context, grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except RefusedError as error:
            await _refused(access, context, _CODES[error.reason], str(error))
        await context.send_initial_metadata(_metadata(access))
        return found

    return answer


async def _refused(access: Access, context: Context, code: grpc.StatusCode, text: str) -> NoReturn:
    await context.send_initial_metadata(_metadata(access))
    later = (("retry-after", str(RETRY_AFTER_SECONDS)),) if code is _CODES[Reason.NOT_NOW] else ()
    await context.abort(code, text, later)


def _metadata(access: Access) -> tuple[tuple[str, str], ...]:
    return tuple((name.lower(), value) for name, value in access.told().items())
