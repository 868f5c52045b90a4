"""The one type for credentials: it has to be opened on purpose."""

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
