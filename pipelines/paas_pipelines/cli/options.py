"""The options: one table for both command lines, and how their values are read (seed, "CLI Reference").

A value comes from the command line, else from the option's variable, else it is the default. What Go would
take, `1` and `t` for a switch or `1m30s` for a span, is taken; anything else is refused before the start.
"""

import argparse
import enum
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs

from paas_pipelines.definitions.durations import parse_duration
from paas_pipelines.server.settings import Settings
from paas_runner.errors import UsageError
from paas_runner.secret import Secret


class Kind(enum.StrEnum):
    """What a value is."""

    TEXT = "text"
    PATH = "path"
    SWITCH = "switch"
    SPAN = "span"
    NAMES = "names"  # accepted again and again, or with commas
    SECRET = "secret"  # noqa: S105 - the word itself
    NUMBER = "number"


@attrs.frozen
class Option:
    """One of them; those beside prunner's are `ours`."""

    name: str
    kind: Kind
    help: str
    shown: str = ""
    """The default, as the help has it."""

    short: str = ""
    ours: bool = False

    @property
    def variable(self) -> str:
        prefix = "PAAS_PIPELINES" if self.ours else "PRUNNER"
        return f"{prefix}_{self.name.replace('-', '_').upper()}"

    @property
    def field(self) -> str:
        """Of `Settings`."""
        return "most_log_bytes" if self.name == "max-log-bytes" else self.name.replace("-", "_")


OPTIONS: Sequence[Option] = (
    Option("verbose", Kind.SWITCH, "Enable verbose log output", "false", short="v"),
    Option("enable-profiling", Kind.SWITCH, "Enable the profiling endpoints below /debug/pprof", "false"),
    Option("disable-ansi", Kind.SWITCH, "Force disable ANSI log output and output log in logfmt", "false"),
    Option(
        "config",
        Kind.PATH,
        "Dynamic config filename (will be created on first run if jwt-secret is not set)",
        '".prunner.yml"',
    ),
    Option(
        "jwt-secret",
        Kind.SECRET,
        "Pre-generated shared secret for JWT authentication (at least 16 characters); better by its "
        "variable, since everybody on this machine sees arguments",
    ),
    Option("data", Kind.PATH, "Base directory for metadata and job outputs", '".prunner"'),
    Option(
        "pattern",
        Kind.TEXT,
        "Search pattern (glob) for pipeline configuration scan",
        '"**/pipelines.{yml,yaml}"',
    ),
    Option("path", Kind.PATH, "Base directory to use for pipeline configuration scan", '"."'),
    Option("address", Kind.TEXT, "Listen address for HTTP API", '"localhost:9009"'),
    Option(
        "env-files",
        Kind.NAMES,
        "Filenames with environment variables for tasks (dotenv style), override existing ones, set empty "
        "to skip loading (accepts multiple inputs)",
        '".env", ".env.local"',
    ),
    Option("watch", Kind.SWITCH, "Watch for pipeline configuration changes and reload them", "false"),
    Option("poll-interval", Kind.SPAN, "Poll interval for pipeline configuration changes", "30s"),
    Option("external-url", Kind.TEXT, "How other machines reach this server, for tasks elsewhere", ours=True),
    Option(
        "runners",
        Kind.PATH,
        'A config.toml whose runners with url = "local:" are served in this process',
        ours=True,
    ),
    Option("max-log-bytes", Kind.NUMBER, "Most that is kept of a task's stream", "67108864", ours=True),
)

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})  # as strconv.ParseBool
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})


def settings_of(given: Mapping[str, Sequence[str]], environ: Mapping[str, str]) -> Settings:
    """From values by option name, in the order in which they were given; raises `UsageError`."""
    values: dict[str, Any] = {}
    for option in OPTIONS:
        if option.name in given:
            texts, where = given[option.name], f"--{option.name}"
        elif option.variable in environ:
            texts, where = [environ[option.variable]], f"${option.variable}"
            if not texts[0] and option.kind is not Kind.NAMES:  # as good as absent
                continue
        else:
            continue
        try:
            values[option.field] = _value(option.kind, texts)
        except ValueError as error:
            raise UsageError(f"{where}: {error}") from None
    return Settings(**values)


def add_options(parser: argparse.ArgumentParser) -> None:
    """For the command line of `paas-runner`; what is given is an attribute of that name, a list or None."""
    for option in OPTIONS:
        names = [f"--{option.name}", *([f"-{option.short}"] if option.short else [])]
        shown = f" (default: {option.shown})" if option.shown else ""
        told = f"{option.help}{shown} [${option.variable}]"
        if option.kind is Kind.SWITCH:
            parser.add_argument(*names, action="append", nargs="?", const="true", metavar="BOOL", help=told)
        else:
            parser.add_argument(*names, action="append", metavar=option.kind.upper(), help=told)


def given_in(arguments: argparse.Namespace) -> Mapping[str, Sequence[str]]:
    """What `settings_of` wants, from arguments of `add_options`."""
    found = {option.name: getattr(arguments, option.name.replace("-", "_")) for option in OPTIONS}
    return {name: texts for name, texts in found.items() if texts is not None}


def _value(kind: Kind, texts: Sequence[str]) -> Any:
    text = texts[-1]
    match kind:
        case Kind.SWITCH:
            if text not in _TRUE | _FALSE:
                raise ValueError(f'could not parse "{text}" as bool value: true or false')
            return text in _TRUE
        case Kind.SPAN:
            span = parse_duration(text)
            if not span > timedelta():
                raise ValueError(f"{text} is no time to wait")
            return span
        case Kind.NAMES:
            names = (name.strip() for each in texts for name in each.split(","))
            return tuple(name for name in names if name)
        case Kind.SECRET:
            return Secret(text)
        case Kind.PATH:
            return Path(text)
        case Kind.NUMBER:
            if not re.fullmatch("[1-9][0-9]{0,15}", text):
                raise ValueError(f'"{text}" is no number of bytes above 0')
            return int(text)
        case Kind.TEXT:
            return text
