"""`paas-runner verify`: whether the coordinators know the runners; on request, the unknown ones go."""

import asyncio
import enum
import sys
from collections.abc import Sequence
from pathlib import Path

import attrs

from paas_runner.config import Config, ConfigError
from paas_runner.coordinator.runner_records import verify
from paas_runner.coordinator.system_id import foreseen_system_id
from paas_runner.errors import Exit, Rejected, RunnerError, Transient
from paas_runner.http import Http
from register.document import UneditableError
from register.removal import section_removed
from register.selection import Chosen, SelectionError, all_of, loaded, named
from register.terminal import InterruptedByUserError, raise_when_ended


class Verdict(enum.Enum):
    """What is known of a token."""

    GOOD = "✓"
    UNKNOWN = "✗"  # the coordinator says so
    UNDECIDED = "!"  # nobody answered: counted as good (spec `gitlab-runner-api.md` §1.4)


@attrs.frozen(kw_only=True)
class Verified:
    """One runner, and what its coordinator says."""

    chosen: Chosen
    verdict: Verdict
    text: str


def run(path: Path, *, name: str | None, delete: bool) -> int:
    """Verify all runners, or the one of that name; returns the exit code."""
    raise_when_ended()
    try:
        config = loaded(path)
        chosen = named(config, name) if name else all_of(config)
        results = asyncio.run(_verified(config, chosen))
        for result in results:
            print(
                f"{result.verdict.value} {result.chosen.title} at {result.chosen.runner.url}: {result.text}"
            )
        unknown = [result.chosen for result in results if result.verdict is Verdict.UNKNOWN]
        if delete:
            _delete(config, unknown)
    except SelectionError as error:
        return _ended(error, Exit.USAGE)
    except (ConfigError, UneditableError) as error:
        return _ended(error, Exit.CONFIG)
    except (RunnerError, InterruptedByUserError) as error:
        return _ended(error, Exit.FAILED)
    return Exit.FAILED if unknown and not delete else Exit.OK


async def _verified(config: Config, chosen: Sequence[Chosen]) -> Sequence[Verified]:
    machine = foreseen_system_id((config.path.parent, config.state_file.parent))
    return await asyncio.gather(*(_one(each, machine) for each in chosen))


async def _one(chosen: Chosen, machine: str | None) -> Verified:
    runner = chosen.runner
    try:
        found = await verify(
            runner.url, token=runner.token, connect=Http(), system_id=machine, tls=chosen.tls
        )
    except Rejected as error:
        if error.status == 403:
            return Verified(chosen=chosen, verdict=Verdict.UNKNOWN, text="the coordinator does not know it")
        return Verified(chosen=chosen, verdict=Verdict.UNDECIDED, text=str(error))
    except (Transient, OSError) as error:
        return Verified(chosen=chosen, verdict=Verdict.UNDECIDED, text=str(error))
    number = "" if found.runner_id is None else f", #{found.runner_id}"
    return Verified(chosen=chosen, verdict=Verdict.GOOD, text=f"the coordinator knows it{number}")


def _delete(config: Config, unknown: Sequence[Chosen]) -> None:
    for each in reversed(unknown):
        with section_removed(config.path, each.index):
            print(f"  {each.title} goes from {config.path}")


def _ended(error: BaseException, code: Exit) -> int:
    print(f"paas-runner verify: {error}", file=sys.stderr)
    return code
