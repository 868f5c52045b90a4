"""`paas-runner unregister`: the coordinator forgets a runner, and its section goes."""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs

from paas_runner.config import Config, ConfigError
from paas_runner.coordinator.runner_records import Enrolment
from paas_runner.coordinator.system_id import foreseen_system_id
from paas_runner.errors import Exit, RunnerError
from paas_runner.http import Http
from paas_runner.secret import Secret
from paas_runner.store import StoreError
from paas_runner.store.snapshot import Snapshot, take
from register import document, private_file
from register.selection import Chosen, SelectionError, all_of, loaded, named, with_token
from register.target import UnwritableError
from register.terminal import InterruptedByUserError, held_back, raise_when_ended

_CREATED_THERE = "glrt-"


@attrs.frozen(kw_only=True)
class Request:
    """What is to go: one runner, by name or by token and address, or all."""

    config: Path
    name: str | None
    token: Secret | None
    url: str | None
    every: bool
    forced: bool
    """Whether tracked jobs do not matter."""

    def chosen(self, config: Config) -> Sequence[Chosen]:
        """Those that are meant; raises `SelectionError`."""
        if self.every:
            return all_of(config)
        if self.name:
            return named(config, self.name)
        if self.token and self.url:
            return with_token(config, self.token, self.url)
        raise SelectionError("which runner? give --name, --all-runners, or --token and --url")


def run(request: Request) -> int:
    """Unregister; returns the exit code."""
    raise_when_ended()
    try:
        config = loaded(request.config)
        chosen = request.chosen(config)
        if not request.forced:
            _refuse_tracked(config, chosen)
        for each in reversed(chosen):  # from the end, so that the numbers of the others stay
            _unregister(config, each)
            print(f"✓ {each.title} is unregistered, and no longer in {config.path}")
    except SelectionError as error:
        return _ended(error, Exit.USAGE)
    except (ConfigError, document.UneditableError) as error:
        return _ended(error, Exit.CONFIG)
    except (RunnerError, InterruptedByUserError) as error:
        return _ended(error, Exit.FAILED)
    if len(chosen) == len(config.runners):
        print(f"  {config.path} has no runners now: the service does not start with it")
    return Exit.OK


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


def _unregister(config: Config, chosen: Chosen) -> None:
    """A runner that was created at the coordinator stays there, it only loses this machine (§1.5)."""
    runner = chosen.runner
    enrolment = Enrolment(url=runner.url, connect=Http(), tls=chosen.tls)
    with section_removed(config.path, chosen.index):
        if not runner.token.reveal().startswith(_CREATED_THERE):
            asyncio.run(enrolment.remove(runner.token))
        elif machine := foreseen_system_id((config.path.parent, config.state_file.parent)):
            asyncio.run(enrolment.remove_machine(runner.token, machine))


def _refuse_tracked(config: Config, chosen: Sequence[Chosen]) -> None:
    """Jobs whose runner is gone could not be followed to their end, nor their hosts removed."""
    store = config.store_path
    if not store.exists():
        return
    snapshot = take(store)
    for each in chosen:
        if jobs := _tracked(snapshot, each.runner.short_token):
            raise StoreError(
                f"{each.title}: {jobs} of its jobs are tracked, with their hosts: `paas-runner pause`, wait "
                "until `paas-runner status` shows none, and try again; or --force, and remove the hosts"
            )


def _tracked(snapshot: Snapshot, short_token: str) -> int:
    keys = {short_token, *(known.key for known in snapshot.runners if short_token in known.tokens)}
    return sum(job.key.runner in keys for job in snapshot.jobs)


def _ended(error: BaseException, code: Exit) -> int:
    print(f"paas-runner unregister: {error}", file=sys.stderr)
    return code
