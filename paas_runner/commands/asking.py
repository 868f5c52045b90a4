"""What the commands have in common that ask the running service to do something."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from paas_runner.errors import Exit

Parts = Iterator[dict[str, Any]]

PATIENCE_SECONDS = 60.0

EXIT_CODES = """\
exit codes:
  0   done
  1   refused, nothing has changed; or the service is not running
  2   wrong arguments
  78  there is no such configuration file
"""


def asked(
    request: Mapping[str, Any],
    config: Path,
    tell: Callable[[Parts], int],
    *,
    patience: float | None = PATIENCE_SECONDS,
) -> int:
    """Ask the service that runs with this file; `tell` gets the answer's parts and returns the exit code.

    `patience` (seconds, None is for ever) bounds the wait for each part.
    """
    from paas_runner.config import ConfigError
    from paas_runner.config.load import state_path
    from paas_runner.control import ControlError, ask, control_path

    try:
        socket = control_path(state_path(config, os.environ))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return Exit.CONFIG
    try:
        return tell(ask(socket, request, patience=patience))
    except ControlError as error:
        print(f"paas-runner {request['ask']}: {error}", file=sys.stderr)
        return Exit.FAILED
