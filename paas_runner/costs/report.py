"""The answer to `paas-runner costs` before anybody sees it: charges cut to a window, grouped, added up."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

import attrs

from paas_runner.costs.window import Window
from paas_runner.job.cost import Charge, Total, so_far, totals
from paas_runner.store.snapshot import Accounts

Group: TypeAlias = tuple[str | int, ...]


@attrs.frozen
class Grouping:
    """What one row stands for: the columns that say so, and their values for a charge."""

    columns: tuple[str, ...]
    of: Callable[[Charge], Group]


@attrs.frozen(kw_only=True)
class Report:
    """Rows by their group, the longest host time first; days in their order."""

    window: Window
    by: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[Group, Total]]
    total: Total


def groupings(names: Mapping[str, str]) -> Mapping[str, Grouping]:
    """All that `--by` knows; `names` are those of the configured runners by short token."""
    return {
        "tenant": Grouping(("tenant",), lambda charge: (charge.tenant,)),
        "runner": Grouping(
            ("runner", "name"), lambda charge: (charge.key.runner, names.get(charge.key.runner, ""))
        ),
        "flavor": Grouping(("flavor",), lambda charge: (charge.flavor,)),
        "job": Grouping(
            ("runner", "job", "tenant", "flavor", "host"),
            lambda charge: (
                charge.key.runner,
                charge.key.job_id,
                charge.tenant,
                charge.flavor,
                charge.host,
            ),
        ),
        "day": Grouping(("day",), lambda charge: (charge.since.date().isoformat(),)),
    }


def report(accounts: Accounts, window: Window, by: str, *, names: Mapping[str, str], now: datetime) -> Report:
    """What all hosts have cost in the window, those that are still there until `now`."""
    charges = list(_cut(_all(accounts, now), window))
    parts = (part for charge in charges for part in charge.days()) if by == "day" else charges
    grouping = groupings(names)[by]
    rows = sorted(totals(parts, grouping.of).items())
    if by != "day":
        rows.sort(key=lambda row: row[1].time, reverse=True)
    return Report(
        window=window,
        by=by,
        columns=grouping.columns,
        rows=rows,
        total=totals(charges, lambda _: None).get(None, Total()),
    )


def _all(accounts: Accounts, now: datetime) -> Iterable[Charge]:
    yield from accounts.charges
    yield from filter(None, (so_far(job, now) for job in accounts.jobs))


def _cut(charges: Iterable[Charge], window: Window) -> Iterable[Charge]:
    return filter(None, (charge.within(window.since, window.until) for charge in charges))
