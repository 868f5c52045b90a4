"""What the stores on SQL have in common: tables, statements, and a plan as a row of one.

Times are microseconds since 1970, as exact as Python's; words of users are bytes, for not every str is UTF-8.
"""

import asyncio
import itertools
import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

import attrs

from paas_plans.errors import NoSuchPlanError, PlanExistsError, StoreError, StoreInUseError
from paas_plans.plan import Reason, Status
from paas_plans.secret import Cipher
from paas_plans.stores.protocol import Changes, Document, Filter, Summary

Row: TypeAlias = tuple[Any, ...]
Many: TypeAlias = tuple[str, Sequence[Row]]
"""A statement, and the values that it is repeated with."""

SCHEMA = (
    """CREATE TABLE plans (id TEXT PRIMARY KEY, group_id TEXT, submitted BIGINT NOT NULL, name BLOB NOT NULL,
        description BLOB NOT NULL, name_folded BLOB NOT NULL, status INTEGER NOT NULL,
        reason INTEGER NOT NULL, started BIGINT, ended BIGINT, updated BIGINT NOT NULL,
        stop_asked INTEGER NOT NULL DEFAULT 0);
    CREATE INDEX plans_submitted ON plans (submitted, id);
    CREATE INDEX plans_group_id ON plans (group_id);
    CREATE INDEX plans_status ON plans (status);
    CREATE INDEX plans_ended ON plans (ended);
    CREATE INDEX plans_stop_asked ON plans (id) WHERE stop_asked = 1;
    CREATE TABLE definitions (plan TEXT PRIMARY KEY REFERENCES plans ON DELETE CASCADE,
        definition TEXT NOT NULL);
    CREATE TABLE states (plan TEXT REFERENCES plans ON DELETE CASCADE, object TEXT, state TEXT NOT NULL,
        PRIMARY KEY (plan, object))""",
)
"""What makes each version out of the one before; the first is made out of nothing."""


def steps_missing(place: object, version: int, schema: Sequence[str], *, may_add: bool) -> Sequence[str]:
    """Raises `StoreError` for a newer version, and for an older one where nothing may be changed."""
    if version > len(schema):
        raise StoreError(
            f"{place}: its schema is version {version}, of a newer paas-plans; this one knows {len(schema)}: "
            "use the newer one, or give the store another place"
        )
    if version < len(schema) and not may_add:
        raise StoreError(f"{place}: no store is here, or an older one: a workstream has to open it first")
    return schema[version:]


_CREATE = "INSERT INTO plans VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0) ON CONFLICT DO NOTHING"
_DEFINE = "INSERT INTO definitions VALUES (?, ?)"
_SAVE = "UPDATE plans SET status = ?, reason = ?, started = ?, ended = ?, updated = ? WHERE id = ?"
_SAVE_STATE = (
    "INSERT INTO states VALUES (?, ?, ?) ON CONFLICT (plan, object) DO UPDATE SET state = excluded.state"
)
_READ = "SELECT plans.*, definition FROM plans JOIN definitions ON plan = id WHERE id = ?"
_READ_STATES = "SELECT object, state FROM states WHERE plan = ?"
_LIST = "SELECT * FROM plans WHERE {where} ORDER BY submitted DESC, id DESC LIMIT {limit}"
_DELETE_ENDED = "DELETE FROM plans WHERE id IN (SELECT id FROM plans WHERE ended < ? LIMIT 200)"

_PAGE = 200
_CLOSING_SECONDS = 5.0  # for what waits to be written by a database that hangs
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@attrs.frozen
class Write:
    """One caller's: `others` are done if `first` changes any row."""

    first: tuple[str, Row]
    others: Sequence[Many]
    answer: "asyncio.Future[int]"
    """How many rows `first` changed."""


class SQLStore(ABC):
    """`Store` but for how it reaches its database."""

    has: str
    """How the dialect says where a name has something."""

    def __init__(self, title: str, cipher: Cipher | None) -> None:
        self.title, self.cipher = title, cipher
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: list[Write] = []
        self._writer: asyncio.Task[None] | None = None

    @abstractmethod
    async def _commit(self, batch: Sequence[Write]) -> list[int]:
        """In one transaction; raises `StoreError` if the database is to blame, else anything."""

    @abstractmethod
    async def _selected(self, selects: Sequence[tuple[str, Row]]) -> list[list[Row]]:
        """Of each, all at the same moment."""

    @abstractmethod
    def _prepare(self, *, running_plans: bool) -> None:
        """What has to be before anything is read; raises `StoreError`."""

    async def open(self, *, running_plans: bool) -> None:
        if self._loop and not self._loop.is_closed():
            raise StoreInUseError(f"{self.title}: the store is open already: close it, or make another")
        await self.close()  # what a loop that ended has left
        self._prepare(running_plans=running_plans)
        self._loop = asyncio.get_running_loop()
        try:
            await self._rows()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        self._loop = None
        if self._writer and not self._writer.done():
            await asyncio.wait([self._writer], timeout=_CLOSING_SECONDS)

    def _must_be_open(self) -> None:
        if self._loop is None:
            raise StoreError(f"{self.title}: the store is not open")
        if self._loop is not asyncio.get_running_loop():
            raise StoreError(f"{self.title}: the store is open in another event loop, and of use there alone")

    async def _rows(self, *selects: tuple[str, Row]) -> list[list[Row]]:
        self._must_be_open()
        return await self._selected(selects)

    async def _write(self, first: tuple[str, Row], *others: Many) -> int:
        """With all that is waiting; a canceled caller's is written all the same."""
        self._must_be_open()
        write = Write(first, others, asyncio.get_running_loop().create_future())
        self._waiting.append(write)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_waiting(), name="plans written")
        return await write.answer

    async def _write_waiting(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            for write, result in zip(batch, await self._results(batch), strict=True):
                if write.answer.done():  # canceled
                    continue
                if isinstance(result, Exception):
                    write.answer.set_exception(result)
                else:
                    write.answer.set_result(result)

    async def _results(self, batch: Sequence[Write]) -> Sequence[int | Exception]:
        """One whose values cannot be stored fails alone, but a database fails all."""
        try:
            return await self._commit(batch)
        except StoreError as error:
            return [type(error)(*error.args) for _ in batch]
        except Exception as error:  # noqa: BLE001 - of values
            if len(batch) == 1:
                return [error]
            return [result for write in batch for result in await self._results([write])]

    async def create(self, document: Document) -> None:
        key = str(document.summary.id)
        define = (_DEFINE, [(key, document.definition)])
        states = (_SAVE_STATE, [(key, str(one), state) for one, state in document.states.items()])
        if not await self._write((_CREATE, _row_of(document.summary)), define, states):
            raise PlanExistsError(document.summary.id)

    async def save(self, changes: Changes) -> None:
        key = str(changes.summary.id)
        states = (_SAVE_STATE, [(key, str(one), state) for one, state in changes.states.items()])
        if not await self._write((_SAVE, (*_progress_of(changes.summary), key)), states):
            raise NoSuchPlanError(changes.summary.id)

    async def read(self, plan_id: UUID) -> Document:
        key = (str(plan_id),)
        plans, states = await self._rows((_READ, key), (_READ_STATES, key))
        if not plans:
            raise NoSuchPlanError(plan_id)
        by_object = {UUID(one): state for one, state in states}
        return Document(summary=_summary_of(plans[0]), definition=plans[0][-1], states=by_object)

    async def exists(self, plan_id: UUID) -> bool:
        [found] = await self._rows(("SELECT 1 FROM plans WHERE id = ?", (str(plan_id),)))
        return bool(found)

    async def search(self, wanted: Filter, *, limit: int | None = None) -> AsyncIterator[Summary]:
        left = sys.maxsize if limit is None else limit
        terms = self._terms(wanted)
        while left > 0:
            text = _LIST.format(where=" AND ".join(terms) or "1 = 1", limit=min(left, _PAGE))
            [rows] = await self._rows((text, tuple(itertools.chain(*terms.values()))))
            for row in rows:
                yield _summary_of(row)
            left = left - _PAGE if len(rows) == _PAGE else 0
            if left > 0:
                terms["(submitted, id) < (?, ?)"] = (rows[-1][2], rows[-1][0])

    async def delete(self, plan_id: UUID) -> None:
        if not await self._write(("DELETE FROM plans WHERE id = ?", (str(plan_id),))):
            raise NoSuchPlanError(plan_id)

    async def delete_ended(self, before: datetime) -> int:
        deleted = 0
        while some := await self._write((_DELETE_ENDED, (_number(before),))):  # others write in between
            deleted += some
        return deleted

    async def ask_to_stop(self, plan_id: UUID) -> None:
        if not await self._write(("UPDATE plans SET stop_asked = 1 WHERE id = ?", (str(plan_id),))):
            raise NoSuchPlanError(plan_id)

    async def asked_to_stop(self) -> frozenset[UUID]:
        [rows] = await self._rows(("SELECT id FROM plans WHERE stop_asked = 1 AND status = 100", ()))
        return frozenset(UUID(plan_id) for (plan_id,) in rows)

    def _terms(self, wanted: Filter) -> dict[str, Row]:
        """What must hold, with the values for it."""
        lists = {"id": wanted.ids, "group_id": wanted.group_ids, "status": wanted.statuses}
        terms: dict[str, Row] = {}
        for column, values in lists.items():
            if values is not None:
                places = ", ".join("?" for _ in values) or "NULL"  # which nothing is
                terms[f"{column} IN ({places})"] = tuple(map(_key, values))
        if wanted.submitted_after is not None:
            terms["submitted > ?"] = (_number(wanted.submitted_after),)
        if wanted.submitted_before is not None:
            terms["submitted < ?"] = (_number(wanted.submitted_before),)
        if wanted.name_has is not None:
            terms[f"{self.has} > 0"] = (_bytes(wanted.name_has.casefold()),)
        return terms


def _row_of(plan: Summary) -> Row:
    group = None if plan.group_id is None else str(plan.group_id)
    words = (_bytes(plan.name), _bytes(plan.description), _bytes(plan.name.casefold()))
    return (str(plan.id), group, _number(plan.submitted), *words, *_progress_of(plan))


def _progress_of(plan: Summary) -> Row:
    return (int(plan.status), int(plan.reason), _number(plan.start), _number(plan.end), _number(plan.updated))


def _summary_of(row: Row) -> Summary:
    plan_id, group, submitted, name, description, _, status, reason, start, end, updated = row[:11]
    when = {"submitted": submitted, "start": start, "end": end, "updated": updated}
    times: dict[str, Any] = {
        key: _EPOCH + time * _MICROSECOND for key, time in when.items() if time is not None
    }
    words = {"name": name, "description": description}
    texts: dict[str, Any] = {key: text.decode("utf-8", "surrogatepass") for key, text in words.items()}
    ids: dict[str, Any] = {"id": UUID(plan_id), "group_id": group and UUID(group)}
    return Summary(status=Status(status), reason=Reason(reason), **ids, **texts, **times)


def _key(one: UUID | Status) -> str | int:
    return int(one) if isinstance(one, Status) else str(one)


def _number(when: datetime | None) -> int | None:
    return None if when is None else (when - _EPOCH) // _MICROSECOND


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
