"""A record as JSON and back.

Fields that a newer version added are ignored by an older one, and those that an older one did not write take
their defaults; so a downgrade reads what an upgrade wrote.

A history is stored as events and facts. Versions before these knew sentences alone (`what`, `why`): they are
written, too, so that such a version reads the record, and read only where there is no event that we know.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import attrs
import cattrs

from paas_runner.job.history import LEGACY, NAMES
from paas_runner.job.payload import Payload, read
from paas_runner.job.tracked import Entry, TrackedJob
from paas_runner.job.wording import HistoryLine, words
from paas_runner.secret import Secret

T = TypeVar("T")

_as_json = json.JSONEncoder(separators=(",", ":")).encode
_converter = cattrs.Converter(omit_if_default=True)
_converter.register_unstructure_hook(Secret, lambda secret: secret.reveal())
_converter.register_structure_hook(Secret, lambda value, _: Secret(str(value)))
_converter.register_unstructure_hook(datetime, lambda moment: moment.isoformat())
_converter.register_structure_hook(datetime, lambda value, _: datetime.fromisoformat(value))
_converter.register_unstructure_hook(timedelta, lambda span: span.total_seconds())
_converter.register_structure_hook(timedelta, lambda value, _: timedelta(seconds=float(value)))
_converter.register_unstructure_hook(Payload, lambda payload: payload.raw)
_converter.register_structure_hook(Payload, lambda value, _: read(value))


@attrs.frozen(kw_only=True)
class _StoredEntry(HistoryLine):
    """An entry on the disk, both as words and as data."""

    what: str = ""  # a version that no longer writes sentences is to come
    event: str = LEGACY
    facts: Mapping[str, Any] = attrs.field(factory=dict)


def _unstructured(entry: Entry) -> Mapping[str, Any]:
    """Without what has its default; by hand, because most of the time for a record goes into its history."""
    what, why = words(entry)
    stored: dict[str, Any] = {"at": entry.at.isoformat(), "phase": entry.phase.value, "what": what}
    if why:
        stored["why"] = why
    if entry.times != 1:
        stored["times"] = entry.times
    if entry.last:
        stored["last"] = entry.last.isoformat()
    if entry.until:
        stored["until"] = entry.until.isoformat()
    if entry.event != LEGACY:
        stored["event"] = entry.event
        if entry.facts:
            stored["facts"] = entry.facts
    return stored


def _structured(value: Any, _: type) -> Entry:
    stored = _converter.structure(value, _StoredEntry)
    known = stored.event in NAMES and stored.event != LEGACY
    return Entry(
        at=stored.at,
        phase=stored.phase,
        event=stored.event if known else LEGACY,
        facts=stored.facts if known else {"what": stored.what, "why": stored.why},
        times=stored.times,
        last=stored.last,
        until=stored.until,
    )


_converter.register_unstructure_hook(Entry, _unstructured)
_converter.register_structure_hook(Entry, _structured)


def to_record(job: TrackedJob) -> Mapping[str, Any]:
    """Plain data, secrets included: for files of mode 0600 only."""
    record: Mapping[str, Any] = _converter.unstructure(job)
    return record


def from_record(record: Mapping[str, Any]) -> TrackedJob:
    """The job of a record; raises ValueError naming what is wrong, never a value."""
    return _structure(record, TrackedJob, "record")


def _structure(data: Any, kind: type[T], name: str) -> T:
    try:
        return _converter.structure(data, kind)
    except Exception as error:  # noqa: BLE001 - cattrs raises whatever its hooks raised, grouped
        raise ValueError("; ".join(cattrs.transform_error(error, name, _kind))) from None


def _kind(error: BaseException, _type: type | None) -> str:
    return type(error).__name__


def dumps(job: TrackedJob) -> str:
    """The record as JSON text, all of it ASCII: a payload may have half a character, which no file takes."""
    return _as_json(to_record(job))


def loads(text: str | bytes) -> TrackedJob:
    """The job of a JSON text; raises ValueError."""
    return from_record(json.loads(text))


def history_as_text(history: Sequence[Entry]) -> str:
    """A job's history as JSON text."""
    return _as_json(_converter.unstructure(tuple(history), tuple[Entry, ...]))


def history_from_text(text: str) -> Sequence[Entry]:
    """The history of a JSON text; raises ValueError."""
    return _structure(json.loads(text), tuple[Entry, ...], "history")
