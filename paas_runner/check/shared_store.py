"""What a service needs of the database that several processes share, and what they have to agree on."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from paas_runner.config import Config
from paas_runner.database_url import DatabaseUrl
from paas_runner.errors import RunnerError
from paas_runner.executor.checks import CheckResult, fault, fine, warning
from paas_runner.job.lease import LEASE_SECONDS, Member, Mode, Tenancy
from paas_runner.store import StoreUnreachableError
from paas_runner.store.opening import postgres

if TYPE_CHECKING:
    from paas_runner.store.postgres.examining import Examined

_STORE = "state_store"
"""The subject of the results."""


_LET_IN = (
    "is that the address, is `state_store_password` that of the user, and lets its pg_hba.conf this machine "
    "in? How database and user are made: docs/high-availability.md"
)


def check_server(place: DatabaseUrl) -> Sequence[CheckResult]:
    """Whether it can be reached, takes records and keeps them, and whether we may do there what we do."""
    try:
        examining = postgres("examining")
        found: Examined = examining.examine(place.url)
    except StoreUnreachableError as error:
        return [fault(_STORE, str(error), _LET_IN)]
    except RunnerError as error:
        return [fault(_STORE, str(error))]
    return [
        fine(_STORE, f"{place}: PostgreSQL {found.server_version}, as {found.user}"),
        *_writing(found),
        *_tables(found, examining.OUR_VERSION),
    ]


def _writing(found: "Examined") -> Iterator[CheckResult]:
    if found.read_only:
        yield fault(
            _STORE,
            "it takes no records: it is a replica, or read-only",
            "name all hosts in the address: the one that takes records is found among them",
        )
    if not found.durable:
        yield warning(
            _STORE,
            "what it has confirmed can be lost with its machine's power: fsync or full_page_writes is off",
            "switch both on in its postgresql.conf",
        )
    if found.forbidden:
        yield fault(
            _STORE,
            f"{found.user} may not use its tables as is needed: {', '.join(found.forbidden)}",
            "make that user their owner",
        )


def _tables(found: "Examined", ours: int) -> Iterator[CheckResult]:
    if found.oldest_reader > ours:
        text = f"its tables are of a newer version of this program (schema {found.schema})"
        yield fault(_STORE, f"{text}, beside which this one cannot work", "install that version")
    elif found.schema >= ours:
        newer = f", newer than ours ({ours}), with which we can work" if found.schema > ours else ""
        yield fine(_STORE, f"its tables have schema {found.schema}{newer}")
    elif not found.may_prepare:
        text = f"{found.user} may neither make its tables nor bring them up to date"
        yield fault(_STORE, text, "GRANT CREATE ON DATABASE … TO it, or make it the owner of the schema")
    else:
        of_old = f"brings its tables from schema {found.schema} to {ours}"
        yield fine(_STORE, f"the next start {of_old if found.schema else 'makes its tables'}")


def check_members(config: Config, tenancy: Tenancy, *, runs_here: bool = False) -> Iterator[CheckResult]:
    """Who works on it now, and where they and this configuration differ; its keys are recognised.

    `runs_here` is whether one of them is the service of this configuration.
    """
    members = sorted(
        (member for member in tenancy.members.values() if member.is_alive), key=lambda member: member.name
    )
    if not members:
        yield fine(_STORE, "no process works on it at this moment")
        return
    told = [f"{each.name} ({each.version}, runners: {len(tenancy.held_by(each.holder))})" for each in members]
    yield fine(_STORE, f"works on it: {', '.join(told)}")
    if config.state_store and not runs_here and config.member in [member.name for member in members]:
        yield warning(
            _STORE,
            f"another process is called {config.member}, too: nobody could tell the two apart",
            "give this one a `state_store_member` of its own; of this one itself, killed just now, it is "
            f"said for {LEASE_SECONDS:g} seconds",
        )
    yield from _differences(config, members)
    if config.mode is Mode.SPREAD and len(config.runners) < len(members):
        yield fine(
            _STORE,
            f"spread over {len(members)} processes, but whole [[runners]] are divided, and there "
            f"{'is one' if len(config.runners) == 1 else f'are {len(config.runners)}'}: the others stand by",
        )
    if config.mode is Mode.SPREAD and config.concurrent < len(members):
        yield warning(
            _STORE,
            f"spread over {len(members)} processes, but `concurrent` is {config.concurrent}: some get no job",
            "raise `concurrent`, or let one have all (standby)",
        )


def _differences(config: Config, members: Sequence[Member]) -> Iterator[CheckResult]:
    here = {runner.short_token: runner.title for runner in config.runners}
    everywhere = frozenset(here).intersection(*(member.serves for member in members))
    for key in sorted(frozenset(here).union(*(member.serves for member in members)) - everywhere):
        having = [*(["this configuration"] if key in here else [])]
        having += [f"that of {member.name}" for member in members if key in member.serves]
        yield warning(
            _STORE,
            f"the runner {here.get(key, key)} is not in every configuration, only in {', '.join(having)}: "
            "where that process ends nobody goes on with its jobs",
            "give all processes of one store the same [[runners]]",
        )
    if others := [member for member in members if member.mode is not config.mode]:
        modes = ", ".join(f"{member.mode} at {member.name}" for member in others)
        yield warning(
            _STORE,
            f"`state_store_mode` is {config.mode} here, {modes}",
            "set the same for all, and restart one after the other",
        )
