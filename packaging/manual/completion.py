"""Completion for shells, by shtab from the same parsers as `--help`: it is needed to build, not to run."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import shtab
from pages import arguments_of, commands_of

PLACES = {
    "bash": "usr/share/bash-completion/completions/{program}",
    "zsh": "usr/share/zsh/vendor-completions/_{program}",
    "fish": "usr/share/fish/vendor_completions.d/{program}.fish",
}
"""Where each shell looks, from the root of the file system."""

_FILES = ("CONFIG", "FILE", "PATH")
_FOLDERS = ("FOLDER", "DIR")


def completions(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """For each shell the place of a program's completion, and its text."""
    for action in arguments_of(parser):
        _mark(action)
    for _, command, line in commands_of(parser):
        command.description = line  # is what shells show
        for action in arguments_of(command):
            _mark(action)
    for shell, place in PLACES.items():
        yield place.format(program=parser.prog), shtab.complete(parser, shell=shell)


def _mark(action: argparse.Action) -> None:
    """Say where a file is meant: shtab reads it from an attribute."""
    if action.metavar in _FOLDERS:
        action.complete = shtab.DIR  # type: ignore[attr-defined]
    elif action.type is Path or action.metavar in _FILES:
        action.complete = shtab.FILE  # type: ignore[attr-defined]
