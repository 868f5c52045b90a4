"""Reports as plain data, for the control socket and for `--json`, and back."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import cattrs

T = TypeVar("T")

_converter = cattrs.Converter()
_converter.register_unstructure_hook(datetime, lambda moment: moment.isoformat(timespec="milliseconds"))
_converter.register_structure_hook(datetime, lambda value, _: datetime.fromisoformat(value))
_converter.register_unstructure_hook(Path, str)


def to_data(value: object) -> dict[str, Any]:
    """A report, or a part of one, as JSON has it."""
    data: dict[str, Any] = _converter.unstructure(value)
    return data


def from_data(data: Mapping[str, Any], kind: type[T]) -> T:
    """What `to_data` was given; raises ValueError for what another version may have sent."""
    try:
        return _converter.structure(data, kind)
    except Exception as error:  # noqa: BLE001 - cattrs raises whatever its hooks raised, grouped
        raise ValueError("; ".join(cattrs.transform_error(error))) from None
