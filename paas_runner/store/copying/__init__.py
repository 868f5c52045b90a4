"""Stores copied: from a file to a database and back, and to the state file in which jobs travel."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import attrs

from paas_runner.database_url import DatabaseUrl, StorePlace
from paas_runner.store.copying import sqlite_end, state_file_end
from paas_runner.store.copying.content import Content, Target
from paas_runner.store.copying.copying import Copied, NotEmptyError, copy
from paas_runner.store.opening import postgres

__all__ = ["Copied", "NotEmptyError", "StateFile", "copy", "source", "target"]


@attrs.frozen(kw_only=True)
class StateFile:
    """A state file as one end of a copy."""

    path: Path
    names: Mapping[str, str]
    """For each runner's short token what heptapod-paas-runner calls it."""

    def __str__(self) -> str:
        return str(self.path)


def source(place: StorePlace | StateFile) -> AbstractContextManager[Content]:
    """What is copied; no service works on it meanwhile. Raises `StoreError` and `StateFileError`."""
    match place:
        case StateFile():
            return state_file_end.source(place.path, place.names)
        case DatabaseUrl():
            found: AbstractContextManager[Content] = postgres("copying").source(place.url)
            return found
        case _:
            return sqlite_end.source(place)


def target(place: StorePlace | StateFile) -> AbstractContextManager[Target]:
    """What is made, once its block ends without an error. Raises `StoreError` and `StateFileError`."""
    match place:
        case StateFile():
            return state_file_end.target(place.path, place.names)
        case DatabaseUrl():
            found: AbstractContextManager[Target] = postgres("copying").target(place.url)
            return found
        case _:
            return sqlite_end.target(place)
