"""The configuration file: everything that the service would say about it, in the same words."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from paas_runner.check_result import CheckResult, fault, fine, warning
from paas_runner.config import Config, ConfigError, load
from paas_runner.config.sections import Executors

SUBJECT = "configuration"


def read(
    path: Path, *, environ: Mapping[str, str], executors: Executors
) -> tuple[Config | None, Sequence[CheckResult]]:
    """The configuration, if it can be used, and what is to be said about it."""
    try:
        config = load(path, environ=environ, executors=executors)
    except ConfigError as error:
        return None, [fault(SUBJECT, str(complaint)) for complaint in error.complaints]
    runners = ", ".join(runner.title for runner in config.runners)
    said = fine(SUBJECT, f"{path}: runners: {runners}")
    return config, [said, *(warning(SUBJECT, text) for text in config.warnings)]
