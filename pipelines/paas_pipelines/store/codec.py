"""Records as JSON texts and back.

Fields that a newer version added are ignored by an older one, and those that an older one did not write take
their defaults. The texts are ASCII: what clients send may have half a character, which no file takes.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

import cattrs

from paas_pipelines.runs.run import Run
from paas_runner.secret import Secret
from paas_runner.store.protocol import StoreError

T = TypeVar("T")

as_json = json.JSONEncoder(separators=(",", ":")).encode


def converter(*, explains: bool = False) -> cattrs.Converter:
    """For records of any kind; one that explains names what is wrong, and is slower."""
    made = cattrs.Converter(
        omit_if_default=True, detailed_validation=explains, unstruct_collection_overrides={frozenset: sorted}
    )
    made.register_unstructure_hook(Secret, lambda secret: secret.reveal())
    made.register_structure_hook(Secret, lambda value, _: Secret(str(value)))
    made.register_unstructure_hook(datetime, lambda moment: moment.isoformat())
    made.register_structure_hook(datetime, lambda value, _: datetime.fromisoformat(value))
    made.register_unstructure_hook(timedelta, lambda span: span.total_seconds())
    made.register_structure_hook(timedelta, lambda value, _: timedelta(seconds=float(value)))
    return made


class Codec:
    """Two ways with the same hooks: a fast one, and one that is asked only for what is wrong."""

    def __init__(self, fast: cattrs.Converter, explaining: cattrs.Converter) -> None:
        self._fast = fast
        self._explaining = explaining

    def data(self, value: Any) -> Any:
        """Plain data, secrets included."""
        return self._fast.unstructure(value)

    def text(self, value: Any) -> str:
        return as_json(self.data(value))

    def value(self, data: Any, kind: type[T], name: str) -> T:
        """Raises `StoreError` naming what is wrong with the record of that name, never a value."""
        try:
            return self._fast.structure(data, kind)
        except Exception:  # noqa: BLE001 - cattrs raises whatever its hooks raised
            return self._explained(data, kind, name)

    def values(self, texts: Mapping[str, str], kind: type[T], name: str) -> Iterator[T]:
        """Of all records of a kind."""
        return (
            self.value(parsed(text, f"{name} {key}"), kind, f"{name} {key}") for key, text in texts.items()
        )

    def _explained(self, data: Any, kind: type[T], name: str) -> T:
        try:
            return self._explaining.structure(data, kind)
        except Exception as error:  # noqa: BLE001 - as above, grouped
            raise StoreError("; ".join(cattrs.transform_error(error, name, _kind))) from None


def parsed(text: str, name: str) -> Any:
    """The JSON value; raises `StoreError`."""
    try:
        return json.loads(text)
    except ValueError:
        raise StoreError(f"{name}: is no JSON") from None


def _kind(error: BaseException, _type: type | None) -> str:
    return type(error).__name__


RECORDS = Codec(converter(), converter(explains=True))


def run_text(run: Run) -> str:
    return RECORDS.text(run)


def runs(texts: Mapping[str, str]) -> Iterable[Run]:
    """Raises `StoreError`."""
    return RECORDS.values(texts, Run, "run")
