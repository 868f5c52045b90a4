"""The one type for credentials: it has to be opened on purpose."""

from collections.abc import Iterator
from typing import Any

import attrs


@attrs.frozen
class Secret:
    """Never in a repr, a log line, an exception text, an argv or a URL; `reveal()` is easy to search for."""

    _value: str = attrs.field(repr=False)

    def reveal(self) -> str:
        """The value itself: for a header, a private file or one child's environment."""
        return self._value

    def __str__(self) -> str:
        return "[secret]"


def secrets_in(value: Any) -> Iterator[Secret]:
    """Every secret in an attrs value, however deep."""
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from secrets_in(part)
    elif attrs.has(type(value)):
        for field in attrs.fields(type(value)):
            yield from secrets_in(getattr(value, field.name))
