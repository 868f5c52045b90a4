"""The running service's answers as values."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from paas_runner.config.load import state_path
from paas_runner.control import ControlError, ask, control_path
from paas_runner.status.report import from_data

T = TypeVar("T")


def asked(config: Path, request: Mapping[str, Any], kind: type[T]) -> Sequence[T]:
    """Every part of the answer; raises `ConfigError`, `NotRunningError` or another `ControlError`."""
    socket = control_path(state_path(config, os.environ))
    parts = list(ask(socket, request))
    try:
        return [from_data(part, kind) for part in parts]
    except ValueError as error:
        raise ControlError(
            f"{socket}: the service answers what this version does not understand ({error}): "
            "restart it after an upgrade"
        ) from None
