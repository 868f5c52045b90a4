"""`paas-runner list`: the runners of a configuration."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paas_runner.config import ConfigError, Runner
from paas_runner.exit_codes import Exit
from register.selection import loaded


def run(path: Path, *, as_json: bool) -> int:
    """Print a line for each runner; returns the exit code."""
    try:
        runners = loaded(path).runners
    except ConfigError as error:
        print(error, file=sys.stderr)
        return Exit.CONFIG
    print(_document(runners) if as_json else _table(runners))
    return Exit.OK


def _document(runners: Sequence[Runner]) -> str:
    return json.dumps([_facts(runner) for runner in runners], indent=2, ensure_ascii=False)


def _facts(runner: Runner) -> Mapping[str, Any]:
    return {
        "name": runner.name,
        "short_token": runner.short_token,
        "executor": runner.executor,
        "limit": runner.limit,
        "url": runner.url,
    }


def _table(runners: Sequence[Runner]) -> str:
    lines = [("NAME", "TOKEN", "EXECUTOR", "LIMIT", "COORDINATOR")]
    lines += [
        (runner.name or "-", runner.short_token, runner.executor, str(runner.limit or "-"), runner.url)
        for runner in runners
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
