"""`paas-runner unregister`: the coordinator forgets a runner, and its section goes."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import attrs

from paas_runner.commands.output import show
from paas_runner.config import Config
from paas_runner.coordinator.runner_records import RunnerRecords
from paas_runner.coordinator.system_id import foreseen_system_id
from paas_runner.errors import RunnerError
from paas_runner.http import Http
from paas_runner.job.known_runner import created_there
from paas_runner.secret import Secret
from paas_runner.store import NoStoreError, StoreError
from paas_runner.store.snapshot import Snapshot, shared_system_id, take
from register.sections import Chosen, SelectionError, all_of, loaded, named, section_removed, with_token


class TrackedJobsError(RunnerError):
    """Jobs of the runner are tracked, or it cannot be found out whether any are."""


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


def unregister(request: Request) -> None:
    """Unregister what was asked for, one runner after the other.

    Raises `SelectionError`, `TrackedJobsError`, and what `_unregister` raises.
    """
    config = loaded(request.config)
    chosen = request.chosen(config)
    if not request.forced:
        _refuse_tracked(config, chosen)
    for each in reversed(chosen):  # from the end, so that the numbers of the others stay
        _unregister(config, each)
        show(f"✓ {each.title} is unregistered, and no longer in {config.path}")
    if len(chosen) == len(config.runners):
        show(f"  {config.path} has no runners now: the service does not start with it")


def _unregister(config: Config, chosen: Chosen) -> None:
    """A runner that was created at the coordinator stays there, it only loses this machine (§1.5).

    Raises `RemoteError`, `UneditableError`, `UnwritableError`, `StoreError`.
    """
    runner = chosen.runner
    records = RunnerRecords(url=runner.url, connect=Http(), tls=runner.tls)
    with section_removed(config.path, chosen.index):
        if not created_there(runner.token.reveal()):
            asyncio.run(records.unregister(runner.token))
        elif machine := _machine(config):
            asyncio.run(records.unregister_machine(runner.token, machine))


def _machine(config: Config) -> str | None:
    """By which id the coordinator knows this service; raises `StoreError`."""
    own = foreseen_system_id((config.path.parent, config.state_file.parent))
    return shared_system_id(config.store) or own


def _refuse_tracked(config: Config, chosen: Sequence[Chosen]) -> None:
    """Jobs whose runner is gone could not be followed to their end, nor their hosts removed."""
    try:
        snapshot = take(config.store)
    except NoStoreError:
        return
    except StoreError as error:
        raise TrackedJobsError(str(error)) from error
    for each in chosen:
        if jobs := _tracked(snapshot, each.runner.short_token):
            raise TrackedJobsError(
                f"{each.title}: {jobs} of its jobs are tracked, with their hosts: `paas-runner pause`, wait "
                "until `paas-runner status` shows none, and try again; or --force, and remove the hosts"
            )


def _tracked(snapshot: Snapshot, short_token: str) -> int:
    keys = {short_token, *(known.key for known in snapshot.runners if short_token in known.tokens)}
    return sum(job.key.runner in keys for job in snapshot.jobs)
