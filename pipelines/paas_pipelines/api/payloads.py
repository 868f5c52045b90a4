"""What strangers have sent, as it is shown: bounded, and without the values that look like secrets."""

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "[hidden]"
MOST_LETTERS = 2_000
"""Of one text."""

MOST_ITEMS = 200
"""Of one list or object; how many more there were is said in their place."""

MOST_DEPTH = 16
_SECRETIVE = re.compile(
    r"secret|token|passw|passphrase|credential|authorization|cookie|api_?key|private_?key|signature|^sig$",
    re.IGNORECASE,
)


def shown(value: Any, depth: int = 0) -> Any:
    """The same value of JSON, as far as it is shown."""
    if depth > MOST_DEPTH and isinstance(value, Mapping | list):
        return "…"
    if isinstance(value, Mapping):
        some = list(value.items())[:MOST_ITEMS]
        found = {str(name)[:MOST_LETTERS]: _member(str(name), each, depth) for name, each in some}
        return {**found, **_more(len(value))}
    if isinstance(value, list):
        items = [shown(each, depth + 1) for each in value[:MOST_ITEMS]]
        return [*items, f"… {len(value) - MOST_ITEMS} more"] if len(value) > MOST_ITEMS else items
    if isinstance(value, str) and len(value) > MOST_LETTERS:
        return f"{value[:MOST_LETTERS]}… {len(value) - MOST_LETTERS} more characters"
    return value


def _member(name: str, value: Any, depth: int) -> Any:
    """A name says that a text is secret; numbers and truths are too short to be any."""
    if isinstance(value, str) and value and _SECRETIVE.search(name):
        return HIDDEN
    return shown(value, depth + 1)


def _more(length: int) -> Mapping[str, str]:
    return {"…": f"{length - MOST_ITEMS} more"} if length > MOST_ITEMS else {}
