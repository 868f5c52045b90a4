"""Who is to have which section, from what the store says after a renewal. Pure.

Every process makes the same of the same answer, so nobody has to be asked: each takes what is free and his,
and hands over what is another's.

Standby: the oldest member that holds anything is to have all that it serves, where nobody holds anything the
oldest at all. Spread: as evenly as what each serves lets it. As long as one of the members stands by, all do,
so that a change of the mode, one process after the other, comes to the same end in any order.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

import attrs

from paas_runner.job.lease import RENEWAL_SECONDS, SHORTEST_TENURE_SECONDS, Lease, Member, Mode, Tenancy

COMES_WITHIN_SECONDS = 8.0
"""After that a free section is anybody's: whoever is to have it would have come, two renewals long."""

AFTER_EXPIRY_SECONDS = 0.2
"""How long after a lease has run out it is looked at: not a moment too early."""


@attrs.frozen(kw_only=True)
class Moves:
    """What one process has to do so that everybody gets what is his."""

    take: frozenset[str] = frozenset()
    hand_over: frozenset[str] = frozenset()


def moves(tenancy: Tenancy, holder: str, free_for: Mapping[str, float]) -> Moves:
    """What `holder` does next; `free_for` says for how many seconds it has seen each free section free."""
    own = tenancy.members[holder]
    entitled = division(tenancy)
    return Moves(
        take=frozenset(
            lease.runner
            for lease in tenancy.leases.values()
            if lease.is_free
            and lease.runner in own.serves
            and (
                entitled.get(lease.runner) == holder
                or free_for.get(lease.runner, 0.0) >= COMES_WITHIN_SECONDS
            )
        ),
        hand_over=frozenset(
            lease.runner
            for lease in tenancy.held_by(holder).values()
            if entitled.get(lease.runner, holder) != holder
            and (_may_move(lease) or lease.runner not in own.serves)
        ),
    )


def next_look(tenancy: Tenancy, holder: str) -> float:
    """In how many seconds to renew: at the latest when a lease of another runs out that could be taken."""
    serves = tenancy.members[holder].serves
    others = [
        lease.seconds_left + AFTER_EXPIRY_SECONDS
        for lease in tenancy.leases.values()
        if lease.runner in serves and lease.holder != holder and not lease.is_free
    ]
    return min([RENEWAL_SECONDS, *others])


def division(tenancy: Tenancy) -> Mapping[str, str]:
    """Who is to have each section, as far as anybody serves it."""
    members = sorted(
        (member for member in tenancy.members.values() if member.is_alive),
        key=lambda member: (-member.present_seconds, member.holder),
    )
    if all(member.mode is Mode.SPREAD for member in members):
        return _spread(tenancy, members)
    return _standby(tenancy, members)


def _may_move(lease: Lease) -> bool:
    return lease.held_seconds >= SHORTEST_TENURE_SECONDS


def _able(runner: str, members: Iterable[Member]) -> Sequence[str]:
    return [member.holder for member in members if runner in member.serves]


# --- one has all --------------------------------------------------------------------------------------------


def _standby(tenancy: Tenancy, members: Sequence[Member]) -> Mapping[str, str]:
    """`members` has the oldest first."""
    holding = {lease.holder for lease in tenancy.leases.values() if not lease.is_free}
    active = [member for member in members if member.holder in holding]
    return {
        runner: able[0]
        for runner in tenancy.leases
        if (able := _able(runner, active) or _able(runner, members))
    }


# --- evenly -------------------------------------------------------------------------------------------------


def _spread(tenancy: Tenancy, members: Sequence[Member]) -> Mapping[str, str]:
    """Each section stays where it is, or goes to whoever has the fewest, until no move makes it more even."""
    able = {runner: _able(runner, members) for runner in sorted(tenancy.leases)}
    division = {
        runner: lease.holder
        for runner, lease in tenancy.leases.items()
        if not lease.is_free and lease.holder in able[runner]
    }
    sizes = Counter(division.values())
    for runner in sorted(able, key=lambda runner: len(able[runner])):
        if runner not in division and able[runner]:
            division[runner] = _fewest(able[runner], sizes)
            sizes[division[runner]] += 1
    movable = [runner for runner in able if runner in division and _may_move(tenancy.leases[runner])]
    while (move := _evening(division, movable, able, sizes)) is not None:
        runner, to = move
        sizes[division[runner]] -= 1
        sizes[to] += 1
        division[runner] = to
    return division


def _fewest(able: Collection[str], sizes: Mapping[str, int]) -> str:
    return min(able, key=lambda holder: (sizes[holder], holder))


def _evening(
    division: Mapping[str, str],
    movable: Sequence[str],
    able: Mapping[str, Sequence[str]],
    sizes: Mapping[str, int],
) -> tuple[str, str] | None:
    """The one section whose move evens out most, and where it goes; None where none does."""
    gains = {
        (runner, to): sizes[division[runner]] - sizes[to]
        for runner in movable
        for to in [_fewest(able[runner], sizes)]
    }
    best = max(gains, key=lambda move: gains[move], default=None)
    return best if best and gains[best] > 1 else None
