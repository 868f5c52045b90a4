"""The process of the helper service: what it is put together of, its signals, its end."""

import argparse
import asyncio
import contextlib
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Mapping

import attrs

from paas_runner.docker.engine import Engine, address_from
from paas_runner.errors import MissingPackagesError, RunnerError
from paas_runner.helper.access import Access
from paas_runner.helper.book import Book
from paas_runner.helper.cleaning import adopt_orphans
from paas_runner.helper.command import COMMAND, ServeError, ServeExit, Settings
from paas_runner.helper.http1 import Http1Verbs
from paas_runner.helper.http1_listener import Http1Listener
from paas_runner.helper.lease import Lease
from paas_runner.helper.machine import Machine
from paas_runner.helper.service import HelperService

_ENGINE_SECONDS = 20


def serve(chosen: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Serve until nobody wants it; returns the exit code."""
    try:
        return asyncio.run(_serve(Settings.read(chosen, environ), environ))
    except ServeError as error:
        _say(str(error))
        return error.code
    except RunnerError as error:
        _say(str(error))
        return ServeExit.UNUSABLE


async def _serve(settings: Settings, environ: Mapping[str, str]) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    adopt_orphans()
    with contextlib.ExitStack() as stack:
        book = stack.enter_context(Book.opened(settings.folder))
        engine = None
        if settings.with_engine:
            engine = stack.enter_context(
                contextlib.closing(Engine(address_from(environ), seconds=_ENGINE_SECONDS))
            )
        machine = Machine(instance=book.instance, workspace=book.workspace, environ=environ, engine=engine)
        lease = Lease(
            idle_seconds=settings.lease_seconds,
            margin_seconds=settings.margin_seconds,
            renewed_at=asyncio.get_running_loop().time(),
        )
        service = HelperService(
            book,
            machine,
            lease,
            say=_say,
            engine_url=engine.address.url if engine else "",
            with_doubts=settings.with_doubts,
        )
        access = Access(service=service, token=settings.token)
        async with service.lived(), _listening(settings, access) as port:
            _say(f"listening on {attrs.evolve(settings.place, port=port)}")
            _say(f"ends: {await _until(stop, service)}")
    return ServeExit.OVER


async def _until(stop: asyncio.Event, service: HelperService) -> str:
    """Why it has to end."""
    over = asyncio.create_task(service.until_over())
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({over, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if over.done():
        return over.result()
    over.cancel()
    return "a signal came"


@contextlib.asynccontextmanager
async def _listening(settings: Settings, access: Access) -> AsyncIterator[int]:
    """Answer within; the port. Raises `ServeError`."""
    async with contextlib.AsyncExitStack() as stack:
        try:
            yield await stack.enter_async_context(_listener(settings, access))
        except ssl.SSLError as error:
            raise ServeError(
                f"--tls-cert and --tls-key are no pair that can be used: {error.reason}"
            ) from None
        except OSError as error:
            text = (
                f"nobody can listen on {settings.place}: {error.strerror or error}; "
                "--listen-address says where else"
            )
            raise ServeError(text, ServeExit.NOT_LISTENING) from None


def _listener(settings: Settings, access: Access) -> contextlib.AbstractAsyncContextManager[int]:
    place = settings.place
    if settings.http1:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) if settings.tls else None
        if context and settings.tls:
            context.load_cert_chain(*settings.tls)
        return Http1Listener.listening(Http1Verbs(access), place.host, place.port, context)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what it would complain of is told here
    try:
        from paas_runner.helper import grpc_service
    except ModuleNotFoundError as error:
        raise MissingPackagesError(error, extra="grpc", wanted_by="gRPC (--http1 needs none)") from None
    certificate = (settings.tls[0].read_bytes(), settings.tls[1].read_bytes()) if settings.tls else None
    return grpc_service.listening(access, str(attrs.evolve(place, host=place.host or "::")), certificate)


def _say(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        print(f"paas-runner-inner {COMMAND}: {text}", file=sys.stderr, flush=True)
