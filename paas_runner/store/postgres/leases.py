"""The SQL of leases and members: one script for a renewal and all that is asked for with it.

Only the database's clock counts. When it has gone back, as after a fail-over to another machine, what was
good until a moment far ahead is cut to the usual time. All who tend do it one after the other, by an advisory
lock: what one may use of the bounds follows from what all others have. Nobody stands still with it, as the
script is one message. It locks leases in the order in which arrivals are counted in them: so no two wait for
each other.
"""

from collections.abc import Mapping
from typing import Any

import attrs

from paas_runner.job.lease import LEASE_SECONDS, Allotment, Lease, Member, Mode, Tenancy, Tending, Word
from paas_runner.store.postgres.database import Result
from paas_runner.store.postgres.listening import CHANNEL

_LOCK = 0x70617374656E64
"""A number of ours among advisory locks."""

_GOOD = f"clock_timestamp() + interval '{LEASE_SECONDS:g} seconds'"
_COUNTS = "(until > clock_timestamp() OR EXISTS (SELECT FROM lease WHERE lease.holder = member.holder))"

_USES = """(until > clock_timestamp() OR EXISTS (
    SELECT FROM lease WHERE lease.holder = member.holder AND (
        runner = ANY(%(serves)s::text[]) OR EXISTS (
            SELECT FROM member AS other WHERE until > clock_timestamp() AND runner = ANY(other.serves)
        )
    )
))"""
"""Present, or somebody who is will take over what it had: a runner that nobody has keeps no other waiting."""


def _part(name: str) -> str:
    """How much of one bound we get: what we want, or what the others leave, but what we use in any case."""
    left = f"greatest(0, %({name}_total)s::float8 - coalesce(sum({name}), 0))"
    left = f"CASE WHEN %({name}_total)s::float8 = 'infinity' THEN 'infinity' ELSE {left} END"
    return f"greatest(%({name}_least)s::float8, least(%({name}_wanted)s::float8, {left}))"


LEASES = """
SELECT
    runner, holder, epoch, extract(epoch FROM until - clock_timestamp())::float8,
    extract(epoch FROM clock_timestamp() - since)::float8, arrivals
FROM lease
"""
MEMBERS = """
SELECT
    holder, name, version, mode, serves, jobs, provisioning, weight,
    extract(epoch FROM until - clock_timestamp())::float8,
    extract(epoch FROM clock_timestamp() - since)::float8
FROM member
"""
_IN_ORDER = "SELECT FROM lease WHERE holder = %(holder)s ORDER BY runner FOR NO KEY UPDATE"
TEND = f"""
SELECT pg_advisory_xact_lock({_LOCK});
INSERT INTO lease (runner) SELECT unnest(%(known)s::text[]) ON CONFLICT DO NOTHING;
{_IN_ORDER};
WITH released AS (
    UPDATE lease SET holder = '' WHERE holder = %(holder)s AND runner = ANY(%(release)s::text[])
    RETURNING runner
)
SELECT pg_notify('{CHANNEL}', '{Word.CHANGED} ' || %(holder)s) FROM released;
UPDATE lease SET until = {_GOOD} WHERE holder = %(holder)s OR until > {_GOOD};
UPDATE member SET until = {_GOOD} WHERE until > {_GOOD};
WITH free AS MATERIALIZED (
    SELECT runner FROM lease
    WHERE runner = ANY(%(take)s::text[]) AND holder <> %(holder)s
        AND (holder = '' OR until <= clock_timestamp())
    FOR UPDATE SKIP LOCKED
)
UPDATE lease SET holder = %(holder)s, epoch = epoch + 1, until = {_GOOD}, since = clock_timestamp()
FROM free WHERE lease.runner = free.runner;
INSERT INTO member (holder, name, version, mode, serves, jobs, provisioning, weight, until, since)
SELECT
    %(holder)s, %(name)s, %(version)s, %(mode)s, %(serves)s::text[],
    {_part("jobs")}, {_part("provisioning")}, {_part("weight")}, {_GOOD}, now()
FROM member WHERE holder <> %(holder)s AND {_USES}
ON CONFLICT (holder) DO UPDATE SET
    name = excluded.name, version = excluded.version, mode = excluded.mode, serves = excluded.serves,
    jobs = excluded.jobs, provisioning = excluded.provisioning, weight = excluded.weight,
    until = excluded.until;
SELECT pg_notify('{CHANNEL}', '{Word.CHANGED} ' || holder) FROM member
WHERE holder = %(holder)s AND since = now();
DELETE FROM member WHERE NOT {_COUNTS};
{LEASES};
{MEMBERS}
"""
CONFIRM = "SELECT FROM lease WHERE runner = %s AND holder = %s AND epoch = %s"
LEAVE = f"""
{_IN_ORDER};
UPDATE lease SET holder = '' WHERE holder = %(holder)s;
DELETE FROM member WHERE holder = %(holder)s;
SELECT pg_notify('{CHANNEL}', '{Word.CHANGED} ' || %(holder)s)
"""
TELL = f"SELECT pg_notify('{CHANNEL}', %(word)s || ' ' || %(holder)s)"


def values(holder: str, asked: Tending) -> Mapping[str, Any]:
    """What `TEND` needs."""
    bounds = {
        f"{part}_{bound}": float(value)
        for bound in ("total", "wanted", "least")
        for part, value in attrs.asdict(getattr(asked, bound)).items()
    }
    return {
        "holder": holder,
        "name": asked.name,
        "version": asked.version,
        "mode": str(asked.mode),
        "serves": sorted(asked.serves),
        "known": sorted(asked.serves | asked.take),
        "take": sorted(asked.take - asked.release),
        "release": sorted(asked.release),
        **bounds,
    }


def tenancy(leases: Result, members: Result) -> Tenancy:
    """What the last two statements of `TEND` tell."""
    return Tenancy(
        leases={
            runner: Lease(
                runner=runner,
                holder=holder,
                epoch=epoch,
                seconds_left=left,
                held_seconds=held,
                arrivals=arrivals,
            )
            for runner, holder, epoch, left, held, arrivals in leases
        },
        members={row[0]: _member(row) for row in members},
    )


def _member(row: tuple[Any, ...]) -> Member:
    holder, name, version, mode, serves, jobs, provisioning, weight, left, present = row
    return Member(
        holder=holder,
        name=name,
        version=version,
        mode=Mode(mode) if mode in list(Mode) else Mode.STANDBY,  # a later version may know more
        serves=frozenset(serves),
        allotment=Allotment(jobs=jobs, provisioning=provisioning, weight=weight),
        seconds_left=left,
        present_seconds=present,
    )
