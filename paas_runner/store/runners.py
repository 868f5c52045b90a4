"""The known runners as one fact of the store: few, and always written together."""

import json
from collections.abc import Sequence

import cattrs

from paas_runner.job.known_runner import KnownRunner

FACT = "runners"

_converter = cattrs.Converter()


def dumps(known: Sequence[KnownRunner]) -> str:
    """The runners as JSON; nothing of it is secret."""
    return json.dumps(_converter.unstructure(list(known)))


def loads(text: str | None) -> Sequence[KnownRunner]:
    """The runners of a JSON text, none where there is no text; raises ValueError."""
    try:
        return _converter.structure(json.loads(text or "[]"), list[KnownRunner])
    except Exception as error:  # noqa: BLE001 - cattrs raises whatever its hooks raised, grouped
        raise ValueError("; ".join(cattrs.transform_error(error))) from None
