"""Which store it is: the file of one process, or a database that several share, which is imported for those.

A database may come up later than we do, after a power cut above all: at a start it is waited for a while.
"""

import asyncio
from importlib import import_module
from pathlib import Path
from typing import Any

import structlog

from paas_runner.database_url import StorePlace
from paas_runner.errors import Exit, MissingPackagesError, RunnerError
from paas_runner.store.protocol import Store, StoreUnreachableError
from paas_runner.store.sqlite import SqliteStore

log = structlog.stdlib.get_logger(__name__)

PATIENCE_SECONDS = 30.0
"""For so long a service that starts waits for its database."""

SECONDS_BETWEEN_TRIES = 1.0


class MissingStorePackagesError(MissingPackagesError):
    """The configuration wants a store for which this installation has no packages."""

    exit_code = Exit.CONFIG


class MissingLibraryError(MissingStorePackagesError):
    """The packages are there, and the system's library below them is not."""

    def __init__(self) -> None:
        """Say what to install."""
        RunnerError.__init__(
            self,
            "`state_store` needs libpq, PostgreSQL's library: apt-get install libpq5, or beside psycopg "
            "the package psycopg-binary",
        )


async def open_store(place: StorePlace) -> Store:
    """Open or create the store; raises `StoreError`, or `MissingStorePackagesError`."""
    if isinstance(place, Path):
        return await SqliteStore.open(place)
    opened: Store = await postgres("store").PostgresStore.open(place.url)
    return opened


def postgres(module: str) -> Any:
    """A module of the store on PostgreSQL, imported now; raises `MissingStorePackagesError`."""
    try:
        return import_module(f"paas_runner.store.postgres.{module}")
    except ModuleNotFoundError as error:
        raise MissingStorePackagesError(error, extra="postgres", wanted_by="`state_store`") from error
    except ImportError as error:  # psycopg itself is there
        raise MissingLibraryError from error


async def open_patiently(place: StorePlace, stopping: asyncio.Event) -> Store:
    """The same; a database that cannot be reached is tried again, for as long as a start may take.

    Raises `StoreUnreachableError` when that is over, or when `stopping` is set.
    """
    loop = asyncio.get_running_loop()
    over = loop.time() + PATIENCE_SECONDS
    told = False
    while True:
        try:
            return await open_store(place)
        except StoreUnreachableError as error:
            if stopping.is_set() or loop.time() >= over:
                raise
            if not told:
                log.warning("store_awaited", reason=str(error), seconds=PATIENCE_SECONDS)
                told = True
        try:
            await asyncio.wait_for(stopping.wait(), SECONDS_BETWEEN_TRIES)
        except TimeoutError:
            continue
