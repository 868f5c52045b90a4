"""Records as JSON texts and back; what a newer version added is ignored, what is missing has its default."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

import attrs
import cattrs

from paas_runner.secret import Secret
from paas_runner.store.protocol import StoreError

T = TypeVar("T")

_RECORDS = cattrs.Converter(omit_if_default=True)
_RECORDS.register_unstructure_hook(Secret, lambda secret: secret.reveal())
_RECORDS.register_structure_hook(Secret, lambda value, _: Secret(str(value)))
_RECORDS.register_unstructure_hook(datetime, lambda moment: moment.isoformat())
_RECORDS.register_structure_hook(datetime, lambda value, _: datetime.fromisoformat(value))
_RECORDS.register_unstructure_hook(timedelta, lambda span: span.total_seconds())
_RECORDS.register_structure_hook(timedelta, lambda value, _: timedelta(seconds=float(value)))


@attrs.frozen(kw_only=True)
class Given:
    """What was asked for when it was started, for whoever goes on with it."""

    below: Mapping[str, Secret] = attrs.field(factory=dict)
    """Variables that those of an action come before."""

    above: Mapping[str, Secret] = attrs.field(factory=dict)
    volumes: tuple[str, ...] = ()
    notifiers: tuple[str, ...] = ()
    runner: Mapping[str, str] = attrs.field(factory=dict)
    """For `--executor runner`: `runners`, `address`, `external_url`."""

    log: Mapping[str, Any] = attrs.field(factory=dict)
    """The fields of the settings of the log."""


def to_text(record: object) -> str:
    """In ASCII, since contexts may have half a character."""
    return json.dumps(_RECORDS.unstructure(record), separators=(",", ":"))


def from_text(text: str, kind: type[T], name: str) -> T:
    """The record of that kind, which is called so; raises `StoreError`, which quotes no value."""
    try:
        return _RECORDS.structure(json.loads(text), kind)
    except Exception as error:  # noqa: BLE001 - cattrs raises whatever its hooks raised, grouped
        wrong = cattrs.transform_error(error, name, lambda each, _: type(each).__name__)
        raise StoreError("; ".join(wrong)) from None
