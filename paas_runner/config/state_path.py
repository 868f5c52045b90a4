"""Where the service keeps its state, told from a file that may be wrong in every other respect.

A command that asks the running service needs nothing else of the configuration: neither the secrets, which
may be readable for the service alone, nor that all of it is right, which the service decides.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from paas_runner.config.complaints import Complaint, ConfigError
from paas_runner.config.load import default_state_file
from paas_runner.config.secret_references import Surroundings
from paas_runner.config.values import SCALARS, UnfitError


def state_path(path: Path, environ: Mapping[str, str]) -> Path:
    """`state_file`, or its default where that cannot be told; raises `ConfigError` without the file."""
    folder = path.absolute().parent
    try:
        document = tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError([Complaint(path=path, found=f"cannot be read: {error.strerror}")]) from error
    except (ValueError, RecursionError):
        document = {}
    try:
        return Path(SCALARS[Path].read(document["state_file"], Surroundings(environ=environ, folder=folder)))
    except (KeyError, UnfitError):
        return default_state_file(environ, folder)
