"""The command: configuration and store in, text out. The service may run meanwhile; nothing is written."""

import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from paas_runner.config import ConfigError, load
from paas_runner.costs.report import Report, report
from paas_runner.costs.views import document, sheet, table
from paas_runner.costs.window import window
from paas_runner.errors import Exit
from paas_runner.executor.contract import installed
from paas_runner.store import StoreError
from paas_runner.store.snapshot import accounts

FORMS: Mapping[str, Callable[[Report], str]] = {"text": table, "json": document, "csv": sheet}


def run(path: Path, *, since: str | None, until: str | None, by: str, form: str) -> int:
    """Print what hosts have cost; returns the exit code. `by` and `form` are those of `--help`."""
    now = datetime.now(UTC)
    try:
        asked = window(since, until, now)
    except ValueError as error:
        return _refused(error, Exit.USAGE)
    try:
        config = load(path, environ=os.environ, executors=installed())
        found = accounts(config.store_path, asked.since, asked.until)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return Exit.CONFIG
    except StoreError as error:
        return _refused(error, Exit.STATE)
    config, _ = config.recognised(found.runners)
    names = {runner.short_token: runner.name for runner in config.runners}
    print(FORMS[form](report(found, asked, by, names=names, now=now)))
    return Exit.OK


def _refused(error: Exception, code: Exit) -> Exit:
    print(f"paas-runner costs: {error}", file=sys.stderr)
    return code
