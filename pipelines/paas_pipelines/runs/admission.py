"""The wait list's rules: who may start, who waits, who gives way (spec prunner-api.md §2)."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import attrs

from paas_pipelines.definitions.definition import Definition, QueueStrategy
from paas_pipelines.runs.run import Run

DISABLED = "concurrency exceeded and queueing disabled for pipeline"
FULL = "concurrency exceeded and queue limit reached for pipeline"


@attrs.frozen(kw_only=True)
class Admission:
    """What a new run may do."""

    starts: bool = False
    """At once, since there is a slot; else it waits."""

    replaces: Run | None = None
    """The waiting run that gives way to it."""

    refusal: str = ""


def admission(definition: Definition, waiting: Sequence[Run], active: int, partition: str) -> Admission:
    """For one more run, with those that wait in their order, and the number of slots in use."""
    if not definition.start_delay and active < definition.concurrency:
        return Admission(starts=True)
    match definition.queue_strategy:
        case QueueStrategy.APPEND:
            return _appended(definition.queue_limit, waiting)
        case QueueStrategy.REPLACE:
            return _replacing(1 if definition.queue_limit is None else definition.queue_limit, waiting)
        case QueueStrategy.PARTITIONED_REPLACE:
            mine = [run for run in waiting if run.partition == partition]
            return _replacing(definition.queue_partition_limit or 1, mine)


def startable(waiting: Sequence[Run], free: int, now: datetime) -> Iterator[Run]:
    """Those that start now, in order; one whose delay goes on does not block those behind it."""
    ready = (run for run in waiting if run.not_before is None or run.not_before <= now)
    for _, run in zip(range(free), ready, strict=False):
        yield run


def _appended(limit: int | None, waiting: Sequence[Run]) -> Admission:
    if limit == 0:
        return Admission(refusal=DISABLED)
    if limit is not None and len(waiting) >= limit:
        return Admission(refusal=FULL)
    return Admission()


def _replacing(limit: int, waiting: Sequence[Run]) -> Admission:
    if limit == 0:
        return Admission(refusal=DISABLED)
    return Admission(replaces=waiting[-1] if len(waiting) >= limit else None)
