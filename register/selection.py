"""Which of a configuration's runners a command is about.

`paas-runner list`: the runners of a configuration.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from paas_runner.config import Config, ConfigError, Runner, load
from paas_runner.errors import Exit, RunnerError
from paas_runner.executor.contract import installed
from paas_runner.http import Tls
from paas_runner.logs import configure, redactor
from paas_runner.secret import Secret


class SelectionError(RunnerError):
    """It cannot be told which runner is meant."""


@attrs.frozen
class Chosen:
    """A runner, and the number of its section, from 0."""

    index: int
    runner: Runner

    @property
    def title(self) -> str:
        """How it is called in answers."""
        return f"{self.runner.name or '(no name)'} ({self.runner.short_token})"

    @property
    def tls(self) -> Tls:
        """Certificates for its coordinator."""
        runner = self.runner
        return Tls(ca_file=runner.tls_ca_file, cert_file=runner.tls_cert_file, key_file=runner.tls_key_file)


def loaded(path: Path) -> Config:
    """The configuration, with the log quiet and its secrets hidden; raises `ConfigError`."""
    config = load(path, environ=os.environ, executors=installed())
    configure(level="error", form="runner")
    redactor.add(config.secrets)
    return config


def all_of(config: Config) -> Sequence[Chosen]:
    """Every runner."""
    return [Chosen(index, runner) for index, runner in enumerate(config.runners)]


def named(config: Config, name: str) -> Sequence[Chosen]:
    """The runner with that name or short token; raises `SelectionError` for none and for several."""
    wanted = [each for each in all_of(config) if name in (each.runner.name, each.runner.short_token)]
    return _only_one(config, f'"{name}"', wanted)


def with_token(config: Config, token: Secret, url: str) -> Sequence[Chosen]:
    """The runner with that token at that coordinator; raises `SelectionError`."""
    wanted = (token, url.rstrip("/"))
    found = [each for each in all_of(config) if (each.runner.token, each.runner.url) == wanted]
    return _only_one(config, "that token and address", found)


def _only_one(config: Config, wanted: str, found: Sequence[Chosen]) -> Sequence[Chosen]:
    if len(found) == 1:
        return found
    known = ", ".join(each.title for each in all_of(config))
    if found:
        raise SelectionError(f"{wanted}: several runners; give the short token of one: {known}")
    raise SelectionError(f"{wanted}: no such runner in {config.path}; there are {known}")


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
