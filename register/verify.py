"""`paas-runner verify`: whether the coordinators know the runners; on request, the unknown ones go."""

import asyncio
import enum
from collections.abc import Sequence
from pathlib import Path

import attrs

from paas_runner.commands.output import show
from paas_runner.config import Config
from paas_runner.coordinator.runner_records import RunnerRecords
from paas_runner.coordinator.system_id import foreseen_system_id
from paas_runner.errors import Exit, Rejected, Transient
from paas_runner.http import Http
from paas_runner.store.snapshot import shared_system_id
from register.sections import Chosen, all_of, loaded, named, section_removed


class TokenVerdict(enum.Enum):
    """What is known of a token."""

    GOOD = "✓"
    UNKNOWN = "✗"  # the coordinator says so
    UNDECIDED = "!"  # there was no answer: counted as good (spec `gitlab-runner-api.md` §1.4)


@attrs.frozen(kw_only=True)
class CheckedToken:
    """One runner, and what its coordinator says."""

    chosen: Chosen
    verdict: TokenVerdict
    text: str


def verify(path: Path, *, name: str | None, delete: bool) -> int:
    """Verify all runners, or the one of that name; returns the exit code.

    Raises `ConfigError`, `SelectionError`, `UneditableError`, `UnwritableError`.
    """
    config = loaded(path)
    chosen = named(config, name) if name else all_of(config)
    results = asyncio.run(_checked(config, chosen))
    for result in results:
        show(f"{result.verdict.value} {result.chosen.title} at {result.chosen.runner.url}: {result.text}")
    unknown = [result.chosen for result in results if result.verdict is TokenVerdict.UNKNOWN]
    if delete:
        _delete(config, unknown)
    return Exit.FAILED if unknown and not delete else Exit.OK


async def _checked(config: Config, chosen: Sequence[Chosen]) -> Sequence[CheckedToken]:
    own = foreseen_system_id((config.path.parent, config.state_file.parent))
    machine = await asyncio.to_thread(shared_system_id, config.store) or own
    return await asyncio.gather(*(_one(each, machine) for each in chosen))


async def _one(chosen: Chosen, machine: str | None) -> CheckedToken:
    runner = chosen.runner
    try:
        records = RunnerRecords(url=runner.url, connect=Http(), tls=runner.tls)
        found = await records.verify(runner.token, system_id=machine)
    except Rejected as error:
        if error.status == 403:
            return CheckedToken(
                chosen=chosen, verdict=TokenVerdict.UNKNOWN, text="the coordinator does not know it"
            )
        return CheckedToken(chosen=chosen, verdict=TokenVerdict.UNDECIDED, text=str(error))
    except (Transient, OSError) as error:
        return CheckedToken(chosen=chosen, verdict=TokenVerdict.UNDECIDED, text=str(error))
    number = "" if found.runner_id is None else f", #{found.runner_id}"
    return CheckedToken(chosen=chosen, verdict=TokenVerdict.GOOD, text=f"the coordinator knows it{number}")


def _delete(config: Config, unknown: Sequence[Chosen]) -> None:
    for each in reversed(unknown):
        with section_removed(config.path, each.index):
            show(f"  {each.title} goes from {config.path}")
