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
    from paas_runner.control import ask

    return ask(_socket(config), request, timeout=timeout)


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
    """What is known of the tracked jobs of that id."""
    from paas_runner.control import NotRunningError
    from paas_runner.status.stored import stored_explanations
    from paas_runner.status.views import JobExplanation

    try:
        return _values({"ask": "explain", "job": job_id}, config, JobExplanation)
    except NotRunningError:
        return stored_explanations(config, job_id)


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
