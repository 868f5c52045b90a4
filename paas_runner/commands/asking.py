"""What commands ask: the running service, over its control socket; else the store that it left behind.

Everything that is asked for may raise `ConfigError` (no such file), `ControlError` (the service cannot be
asked, or refuses) and, where the store is read, `StoreError`.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from paas_runner.status.report import StatusReport
    from paas_runner.status.views import JobExplanation

T = TypeVar("T")
Parts = Iterator[dict[str, Any]]

LONGEST_WAIT_SECONDS = 60.0
"""For what the service has to do before it answers."""

QUICK_SECONDS = 10.0
"""For what it only has to tell."""


def answer(
    request: Mapping[str, Any], config: Path, *, timeout: float | None = LONGEST_WAIT_SECONDS
) -> Parts:
    """The parts of the answer of the service that runs with this file, as they come.

    `timeout` (seconds, None is for ever) bounds the wait for each part.
    """
    from paas_runner.control import NotRunningError, ask

    try:
        yield from ask(_socket(config), request, timeout=timeout)
    except NotRunningError as error:
        if not _has_others(config):
            raise
        text = "another that shares its store can be asked where it runs: `paas-runner status` says where"
        raise NotRunningError(f"{error}; {text}") from error


def report(config: Path) -> "StatusReport":
    """How the service is."""
    from paas_runner.control import NotRunningError
    from paas_runner.status.report import StatusReport
    from paas_runner.status.stored import stored_report

    try:
        [found] = _values({"ask": "status"}, config, StatusReport)
    except NotRunningError:
        return stored_report(config)
    return found


def explanations(config: Path, job_id: int) -> "Sequence[JobExplanation]":
    """What is known of the tracked jobs of that id; those of other processes are in the store they share."""
    from paas_runner.config import ConfigError
    from paas_runner.control import NotRunningError
    from paas_runner.status.stored import is_shared, stored_explanations
    from paas_runner.status.views import JobExplanation
    from paas_runner.store import StoreError

    try:
        found = _values({"ask": "explain", "job": job_id}, config, JobExplanation)
    except NotRunningError:
        return stored_explanations(config, job_id)
    try:
        if not is_shared(config):
            return found
        return [*found, *stored_explanations(config, job_id, but=[each.key for each in found])]
    except (ConfigError, StoreError):  # the database is away, or its password for the service alone
        if found:
            return found
        raise


def _has_others(config: Path) -> bool:
    """Whether the configuration, as far as it can be read, is that of several processes."""
    from paas_runner.config import ConfigError
    from paas_runner.status.stored import is_shared

    try:
        return is_shared(config)
    except ConfigError:
        return False


def _values(request: Mapping[str, Any], config: Path, kind: type[T]) -> Sequence[T]:
    from paas_runner.control import ControlError
    from paas_runner.status.report import from_data

    parts = list(answer(request, config, timeout=QUICK_SECONDS))
    try:
        return [from_data(part, kind) for part in parts]
    except ValueError as error:
        raise ControlError(
            f"{_socket(config)}: the service answers what this version does not understand ({error}): "
            "restart it after an upgrade"
        ) from None


def _socket(config: Path) -> Path:
    from paas_runner.config.load import state_path
    from paas_runner.control import control_path

    return control_path(state_path(config, os.environ))
