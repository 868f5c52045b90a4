"""Which runs are kept no longer (spec prunner-api.md §8)."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from paas_pipelines.definitions.definition import Definition
from paas_pipelines.runs.run import Run


def expired(runs: Iterable[Run], definitions: Mapping[str, Definition], now: datetime) -> Iterator[Run]:
    """Of runs that come newest first. Those that are unfinished are kept, and count for the position."""
    positions: dict[str, int] = {}
    for run in runs:
        position = positions.get(run.pipeline, 0)
        positions[run.pipeline] = position + 1
        if run.waiting or run.active:
            continue
        definition = definitions.get(run.pipeline)
        if definition is None or _over(run, definition, position, now):
            yield run


def _over(run: Run, definition: Definition, position: int, now: datetime) -> bool:
    too_old = bool(definition.retention_period) and now - run.created > definition.retention_period
    too_many = bool(definition.retention_count) and position >= definition.retention_count
    return too_old or too_many
