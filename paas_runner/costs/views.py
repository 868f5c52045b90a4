"""The same report for people, as JSON and as CSV."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta

from paas_runner.costs.report import Group, Report
from paas_runner.job.cost import Total

_NUMBERS = ("jobs", "running", "host_seconds", "estimated_cost", "unpriced_jobs")


def table(report: Report) -> str:
    """Aligned columns, a line with the sum, and what has to be known of the numbers at hand."""
    window = report.window
    title = f"{window.since:%F %R} to {window.until:%F %R} UTC, by {report.by}"
    if not report.rows:
        return f"{title}: no hosts"
    head = (*map(str.upper, report.columns), "JOBS", "RUNNING", "TIME", "COST ")
    rows = [(*_named(group), *_shown(total)) for group, total in report.rows]
    sum_line = ("total", *[""] * (len(report.columns) - 1), *_shown(report.total))
    aligned = _aligned([head, *rows, sum_line], left=len(report.columns))
    return "\n".join([title, "", *aligned, *_notes(report.total)])


def document(report: Report) -> str:
    """One JSON object: the window, the rows and their sum."""
    content = {
        "since": report.window.since.isoformat(),
        "until": report.window.until.isoformat(),
        "by": report.by,
        "rows": [
            {**dict(zip(report.columns, group, strict=True)), **_numbers(total)}
            for group, total in report.rows
        ],
        "total": _numbers(report.total),
    }
    return json.dumps(content, indent=2)


def sheet(report: Report) -> str:
    """CSV with a header and without a sum; an unknown cost is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*report.columns, *_NUMBERS])
    writer.writerows([*group, *_numbers(total).values()] for group, total in report.rows)
    return text.getvalue().rstrip("\n")


def _numbers(total: Total) -> Mapping[str, int | float | None]:
    values = (total.jobs, total.running, total.time.total_seconds(), total.cost, total.unpriced)
    return dict(zip(_NUMBERS, values, strict=True))


def _named(group: Group) -> Sequence[str]:
    return [str(value) or "-" for value in group]


def _shown(total: Total) -> Sequence[str]:
    cost = "- " if total.cost is None else f"{total.cost:.4f}{'+' if total.unpriced else ' '}"
    return str(total.jobs), str(total.running or ""), _clock(total.time), cost


def _clock(time: timedelta) -> str:
    """Hours and minutes, to the nearest minute."""
    hours, minutes = divmod(round(time / timedelta(minutes=1)), 60)
    return f"{hours}:{minutes:02}"


def _aligned(lines: Sequence[Sequence[str]], *, left: int) -> Sequence[str]:
    """The first columns to the left, the numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if number < left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def _notes(total: Total) -> Sequence[str]:
    notes = ["TIME in hours:minutes; COST is an upper estimate in the provider's own unit."]
    if total.running:
        notes.append("RUNNING hosts are counted until now.")
    if total.unpriced and total.cost is not None:
        notes.append(f"+ and what {total.unpriced} jobs cost on hosts without a known price.")
    return ["", *notes]
