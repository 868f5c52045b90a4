"""Patterns (RE2): they take time in proportion to the text, whatever is written in them."""

import functools
from typing import Any

from paas_pipelines.expressions.extra import extra

_MOST_CHARACTERS = 1024
_SHOWN = 60


def check(pattern: str) -> None:
    """Raises ValueError with a text for whoever wrote it."""
    _compiled(pattern)


def whole(pattern: str, text: str) -> bool:
    """Whether all of the text is as the pattern says; raises ValueError for one that is none."""
    return _compiled(pattern).fullmatch(_clean(text)) is not None


def found(pattern: str, text: str) -> tuple[str, ...] | None:
    """The first place that is so, and the groups after it, empty ones where nothing was; None: nowhere."""
    match = _compiled(pattern).search(_clean(text))
    return None if match is None else (match[0], *(group or "" for group in match.groups()))


@functools.lru_cache(maxsize=512)
def _compiled(pattern: str) -> Any:
    if len(pattern) > _MOST_CHARACTERS:
        raise ValueError(f"a pattern has at most {_MOST_CHARACTERS} characters")
    re2 = extra("re2", "a pattern")
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(_clean(pattern), options)
    except re2.error as error:
        reason = error.args[0] if error.args else "not understood"
        words = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f'"{pattern[:_SHOWN]}" is no pattern of RE2: {words}') from None


def _clean(text: str) -> str:
    """Without halves of characters, which RE2 cannot have."""
    return text.encode(errors="replace").decode()
