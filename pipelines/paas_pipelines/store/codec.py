"""Records as JSON texts and back.

Fields that a newer version added are ignored by an older one, and those that an older one did not write take
their defaults. The texts are ASCII: what clients send may have half a character, which no file takes.
"""

import functools
import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

import cattrs
from cattrs.gen import make_dict_structure_fn

from paas_pipelines.definitions.definition import TaskDefinition
from paas_runner.secret import Secret
from paas_runner.store.protocol import StoreError

T = TypeVar("T")

as_json = json.JSONEncoder(separators=(",", ":")).encode

_RECORDS = cattrs.Converter(omit_if_default=True, unstruct_collection_overrides={frozenset: sorted})
_RECORDS.register_unstructure_hook(Secret, lambda secret: secret.reveal())
_RECORDS.register_structure_hook(Secret, lambda value, _: Secret(str(value)))
_RECORDS.register_unstructure_hook(datetime, lambda moment: moment.isoformat())
_RECORDS.register_structure_hook(datetime, lambda value, _: datetime.fromisoformat(value))
_RECORDS.register_unstructure_hook(timedelta, lambda span: span.total_seconds())
_RECORDS.register_structure_hook(timedelta, lambda value, _: timedelta(seconds=float(value)))
_structured_definition = make_dict_structure_fn(TaskDefinition, _RECORDS)


@functools.lru_cache(maxsize=4096)
def _definition(text: str) -> TaskDefinition:
    """One for all runs that have the same: most of what a run is, in time and in memory."""
    return _structured_definition(json.loads(text), TaskDefinition)


_RECORDS.register_structure_hook(TaskDefinition, lambda value, _: _definition(as_json(value)))


def to_text(record: Any) -> str:
    return as_json(_RECORDS.unstructure(record))


def parsed(text: str, name: str) -> Any:
    """The JSON value; raises `StoreError`."""
    try:
        return json.loads(text)
    except ValueError:
        raise StoreError(f"{name}: is no JSON") from None


def records(texts: Mapping[str, str], kind: type[T], name: str) -> Iterator[T]:
    """All of a kind, which is called so; raises `StoreError` naming what is wrong with one, never a value."""
    for key, text in texts.items():
        called = f"{name} {key}"
        data = parsed(text, called)
        try:
            found = _RECORDS.structure(data, kind)
        except Exception as error:  # noqa: BLE001 - cattrs raises whatever its hooks raised, grouped
            wrong = cattrs.transform_error(error, called, lambda each, _: type(each).__name__)
            raise StoreError("; ".join(wrong)) from None
        yield found
