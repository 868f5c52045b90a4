"""One store copied into another of any kind: all or nothing, and read back before anybody can use it.

While that goes on no service works on either. A copy that was killed is begun anew; one that is whole already
is left alone.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping

import attrs

from paas_runner.errors import Exit
from paas_runner.store.copying.content import TABLES, Content, Digest, Row, Table, Target, digest
from paas_runner.store.protocol import StoreError

Progress = Callable[[str, int, int], None]
"""Is told what goes on, how many rows of it are done, and of how many."""

ROWS_PER_SIGN = 500
"""So often progress is told."""


class NotEmptyError(StoreError):
    """The target has other records than the source."""

    exit_code = Exit.FAILED


@attrs.frozen(kw_only=True)
class Copied:
    """What has been done."""

    rows: Mapping[str, int]
    """By table."""

    left: Mapping[str, int]
    """Rows that a store of the target's kind cannot have, by table."""

    was_there: bool
    """The target was a whole copy already."""


def copy(source: Content, target: Target, progress: Progress) -> Copied:
    """Make the target's content that of the source; raises `NotEmptyError` or another `StoreError`."""
    wanted: dict[str, Digest] = {}
    for table in TABLES:
        wanted[table.name] = Digest()
        rows = _told(source.rows(table), table.name, source.count(table), progress)
        carried = wanted[table.name].of(target.carried(table, rows))
        if target.is_new:
            target.put(table, carried)
        else:
            deque(carried, maxlen=0)
    for table in TABLES:
        rows = _told(target.rows(table), f"{table.name}, read back", target.count(table), progress)
        if digest(rows) != wanted[table.name]:
            raise _not_written(source, target, table) if target.is_new else _not_empty(source, target)
    left = {table.name: source.count(table) - wanted[table.name].rows for table in TABLES}
    return Copied(
        rows={name: each.rows for name, each in wanted.items()},
        left={name: count for name, count in left.items() if count},
        was_there=not target.is_new,
    )


def _not_empty(source: Content, target: Target) -> NotEmptyError:
    return NotEmptyError(
        f"{target.title}: is not empty, and no copy of {source.title}: nothing was written. Name another "
        "place, or remove what is there, once you know that it is not needed"
    )


def _not_written(source: Content, target: Target, table: Table) -> StoreError:
    return StoreError(
        f"{target.title}: what is read back is not what {source.title} has ({table.name}): nothing was kept"
    )


def _told(rows: Iterable[Row], what: str, count: int, progress: Progress) -> Iterator[Row]:
    for number, row in enumerate(rows):
        if number % ROWS_PER_SIGN == 0:
            progress(what, number, count)
        yield row
