"""What hosts have cost in some time, by tenant, runner, flavor, job or day: charges cut, grouped, added up.

The time is given in a person's words: dates, and spans before now.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any, TypeAlias

import attrs

from paas_runner.errors import UsageError
from paas_runner.job.cost import Charge, Total, so_far, totals
from paas_runner.job.tracked import TrackedJob

Group: TypeAlias = tuple[str | int, ...]

_SPAN = re.compile(r"(\d+(?:\.\d+)?)([mhdw])")
_UNITS = {
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_A_MOMENT = timedelta(microseconds=1)
_BEGINNING = datetime.min.replace(tzinfo=UTC)


@attrs.frozen(kw_only=True)
class Window:
    """From `since` to right before `until`, both in UTC."""

    since: datetime
    until: datetime


def window(since: str | None, until: str | None, now: datetime) -> Window:
    """What `--since` and `--until` mean: by default since the month began, until now. Raises `UsageError`."""
    end = now if until is None else _moment("--until", until, now)
    begin = _month(end) if since is None else _moment("--since", since, now)
    if begin >= end:
        raise UsageError(f"nothing lies between --since ({begin:%F %R}) and --until ({end:%F %R})")
    return Window(since=begin, until=end)


def _month(end: datetime) -> datetime:
    """A month that has just ended is meant as a whole."""
    inside = end - _A_MOMENT if end > _BEGINNING else end
    return inside.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _moment(option: str, text: str, now: datetime) -> datetime:
    try:
        if span := _SPAN.fullmatch(text):
            return now - float(span[1]) * _UNITS[span[2]]
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise UsageError(
            f'{option}: "{text}" is no date (2026-03-01), date and time (2026-03-01T08:00) or span before '
            "now (90m, 24h, 7d, 4w)"
        ) from None


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


def report(
    charges: Iterable[Charge],
    jobs: Iterable[TrackedJob],
    window: Window,
    by: str,
    *,
    names: Mapping[str, str],
    now: datetime,
) -> Report:
    """What all hosts have cost in the window: the ledger's charges, and those of tracked jobs until `now`."""
    running = filter(None, (so_far(job, now) for job in jobs))
    charged = list(_cut(chain(charges, running), window))
    parts = (part for charge in charged for part in charge.days()) if by == "day" else charged
    grouping = groupings(names)[by]
    rows = sorted(totals(parts, grouping.of).items())
    if by != "day":
        rows.sort(key=lambda row: row[1].time, reverse=True)
    return Report(
        window=window,
        by=by,
        columns=grouping.columns,
        rows=rows,
        total=totals(charged, lambda _: None).get(None, Total()),
    )


NUMBERS = ("jobs", "running", "host_seconds", "estimated_cost", "unpriced_jobs")
"""Fields of a row, after those that say what it stands for."""


def document(report: Report) -> Mapping[str, Any]:
    """The window, the rows and their sum, as `--json` and the API have them."""
    return {
        "since": report.window.since.isoformat(),
        "until": report.window.until.isoformat(),
        "by": report.by,
        "rows": [
            {**dict(zip(report.columns, group, strict=True)), **numbers(total)}
            for group, total in report.rows
        ],
        "total": numbers(report.total),
    }


def numbers(total: Total) -> Mapping[str, int | float | None]:
    """By their fields."""
    values = (total.jobs, total.running, total.time.total_seconds(), total.cost, total.unpriced)
    return dict(zip(NUMBERS, values, strict=True))


def _cut(charges: Iterable[Charge], window: Window) -> Iterable[Charge]:
    return filter(None, (charge.within(window.since, window.until) for charge in charges))
