"""What a command is to the command line."""

import argparse
from collections.abc import Callable
from pathlib import Path

import attrs


@attrs.frozen(kw_only=True)
class Command:
    """One command of `paas-runner`."""

    name: str
    help: str
    """One line, for the list of commands."""
    description: str
    epilog: str
    """Exit codes, and whatever else a reader of `--help` needs."""
    arguments: Callable[[argparse.ArgumentParser], None]
    call: Callable[[argparse.Namespace], int]
    """Does it, and returns the exit code."""


def add_config(parser: argparse.ArgumentParser) -> None:
    """The argument that nearly all have."""
    parser.add_argument("config", type=Path, metavar="CONFIG", help="the configuration file (TOML)")
