"""The options: one table for both command lines, and how their values are read (seed, "CLI Reference").

A value comes from the command line, else from the option's variable, else it is the default. What Go would
take, `1` and `t` for a switch or `1m30s` for a span, is taken; anything else is refused before the start.
"""

import argparse
from collections.abc import Container, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs

from paas_pipelines.definitions.durations import parse_duration
from paas_pipelines.server.settings import Settings
from paas_runner.errors import UsageError
from paas_runner.plain_text import did_you_mean
from paas_runner.secret import Secret


@attrs.frozen
class Option:
    """One of them; `kind` is that of its value, `shown` its default as the help has it."""

    name: str
    kind: str
    shown: str
    help: str

    @property
    def variable(self) -> str:
        prefix = "PAAS_PIPELINES" if self.name in _OURS else "PRUNNER"
        return f"{prefix}_{self.name.replace('-', '_').upper()}"


_PREFIXES = ("PRUNNER_", "PRUNER_", "PAAS_PIPELINE")
_OURS = frozenset({"external-url", "runners", "settings", "max-log-bytes"})

_TABLE = """
verbose          | switch | false            | Enable verbose log output
enable-profiling | switch | false            | Does nothing: there is no /debug here (see py-spy)
disable-ansi     | switch | false            | Force disable ANSI log output and output log in logfmt format
config           | path   | ".prunner.yml"   | Dynamic config filename (made on first run without jwt-secret)
jwt-secret       | secret |                  | Shared secret for JWT authentication (at least 16 characters)
data             | path   | ".prunner"       | Base directory for storing data (metadata and job outputs)
pattern          | text   | "**/pipelines.{yml,yaml}" | Search pattern (glob) for pipeline configuration scan
path             | path   | "."              | Base directory to use for pipeline configuration scan
address          | text   | "localhost:9009" | Listen address for HTTP API
env-files        | names  | ".env", ".env.local" | Filenames with environment variables for tasks (dotenv), \
will override existing env vars, set empty to skip loading (accepts multiple inputs)
watch            | switch | false            | Watch for pipeline configuration changes and reload them
poll-interval    | span   | 30s              | Poll interval for pipeline configuration changes (with watch)
external-url     | url    |                  | How other machines reach this server, for tasks elsewhere
runners          | path   |                  | A config.toml whose runners with url = "local:" are served, too
settings         | path   |                  | A TOML with [pipelines]: access, credentials, log-in
max-log-bytes    | number | 67108864         | Most that is kept of each stream of a task
"""
OPTIONS: Sequence[Option] = [
    Option(*(cell.strip() for cell in row.split("|"))) for row in _TABLE.strip().splitlines()
]

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")
"""As Go's strconv.ParseBool has them."""


def settings_of(given: Mapping[str, Sequence[str]], environ: Mapping[str, str]) -> Settings:
    """From values by option name, in the order in which they were given; raises `UsageError`."""
    values: dict[str, Any] = {}
    for option in OPTIONS:
        where, texts = f"--{option.name}", given.get(option.name, ())
        if not texts and (text := environ.get(option.variable)) is not None:
            where, texts = f"${option.variable}", [text] if text or option.kind == "names" else []
        try:
            if texts:
                values[option.name.replace("-", "_")] = _value(option.kind, texts)
        except ValueError as error:
            raise UsageError(f"{where}: {error}") from None
    return Settings(**values)


def doubts_of(given: Mapping[str, Sequence[str]], environ: Mapping[str, str]) -> Sequence[str]:
    """What is strange about how the server was called."""
    known = [option.variable for option in OPTIONS]
    found = []
    if given.get("jwt-secret"):
        found.append("everybody on this machine sees --jwt-secret: give it as $PRUNNER_JWT_SECRET")
    for name in sorted(environ):
        hint = did_you_mean(name, known) if name.startswith(_PREFIXES) and name not in known else ""
        if hint:
            found.append(f"${name} is no option; {hint}")
    return found


def add_options(parser: argparse.ArgumentParser, only: Container[str] | None = None) -> None:
    """For the command line of `paas-runner`: all, or only those of these names."""
    for option in (each for each in OPTIONS if only is None or each.name in only):
        names = [f"--{option.name}"] + ["-v"] * (option.name == "verbose")
        shown = f" (default: {option.shown})" if option.shown else ""
        told = f"{option.help}{shown} [${option.variable}]"
        if option.kind == "switch":
            parser.add_argument(*names, action="append", nargs="?", const="true", metavar="BOOL", help=told)
        else:
            parser.add_argument(*names, action="append", metavar=option.kind.upper(), help=told)


def given_in(arguments: argparse.Namespace) -> Mapping[str, Sequence[str]]:
    """What `settings_of` wants, from arguments of `add_options`."""
    return {option.name: getattr(arguments, option.name.replace("-", "_"), None) or () for option in OPTIONS}


def _value(kind: str, texts: Sequence[str]) -> Any:
    text = texts[-1]
    match kind:
        case "switch":
            if text not in _TRUE + _FALSE:
                raise ValueError(f'could not parse "{text}" as bool value: true or false')
            return text in _TRUE
        case "span":
            if (span := parse_duration(text)) <= timedelta():
                raise ValueError(f"{text} is no time to wait")
            return span
        case "names":
            return tuple(name for each in texts for part in each.split(",") if (name := part.strip()))
        case "secret":
            return Secret(text)
        case "path":
            return Path(text)
        case "url":
            from paas_runner.addresses import parsed

            return str(parsed(text, ("https", "http")))
        case "number":
            if not (text.isascii() and text.isdigit() and int(text[:20]) > 0):
                raise ValueError(f'"{text}" is no number of bytes above 0')
            return int(text[:20])
    return text
