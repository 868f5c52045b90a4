"""The sections of a configuration: which of them a command is about, and how one goes."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs

from paas_runner.config import Config, Runner, load
from paas_runner.errors import UsageError
from paas_runner.executor.contract import installed
from paas_runner.logs import configure, redactor
from paas_runner.secret import Secret
from register import document, private_file
from register.target import UnwritableError
from register.terminal import held_back


class SelectionError(UsageError):
    """Which runner is meant cannot be found out."""


@attrs.frozen
class Chosen:
    """A runner, and the number of its section, from 0."""

    index: int
    runner: Runner

    @property
    def title(self) -> str:
        """How it is called in answers."""
        return f"{self.runner.name or '(no name)'} ({self.runner.short_token})"


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


@contextmanager
def section_removed(path: Path, index: int) -> Iterator[None]:
    """The section is gone when the block is left without an exception; signals wait meanwhile.

    Raises `UneditableError` before the block is entered, and `UnwritableError`.
    """
    try:
        with held_back(), private_file.locked_folder(path.resolve().parent):
            text = document.without_section(private_file.content(path) or "", index)
            with private_file.candidate(path, text) as new:
                yield
                private_file.put_in_place(new, path)
    except OSError as error:
        raise UnwritableError(f"{path} cannot be written: {error.strerror}") from error
