"""What a request may ask for: each parameter declared once, for its reading and for the OpenAPI document."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs

_LONGEST_QUOTE = 60


class WrongParameterError(Exception):
    """A parameter is not what it may be; `name` and `place` say which, the text what was expected."""

    def __init__(self, name: str, place: str, text: str) -> None:
        super().__init__(text)
        self.name, self.place = name, place


@attrs.frozen(kw_only=True)
class Parameter:
    """One parameter: a whole number where it has bounds, else a text; `default` where it is left out."""

    name: str
    doc: str = ""
    place: Literal["query", "path"] = "query"
    bounds: tuple[int, int] | None = None
    choices: tuple[str, ...] = ()
    pattern: str = ""
    longest: int = 200
    default: int | str | None = None

    @property
    def schema(self) -> Mapping[str, Any]:
        """As JSON Schema."""
        if self.bounds:
            schema: dict[str, Any] = {
                "type": "integer",
                "minimum": self.bounds[0],
                "maximum": self.bounds[1],
            }
        elif self.choices:
            schema = {"type": "string", "enum": list(self.choices)}
        else:
            schema = {"type": "string", "maxLength": self.longest}
            if self.pattern:
                schema["pattern"] = f"^(?:{self.pattern})$"
        if self.default is not None:
            schema["default"] = self.default
        return schema

    def read(self, text: str | None) -> Any:
        """The value of what was sent; raises `WrongParameterError`."""
        if text is None:
            return self.default
        if self.bounds:
            return self._number(text)
        fits = text in self.choices if self.choices else len(text) <= self.longest
        if not fits or (self.pattern and not re.fullmatch(self.pattern, text)):
            raise self._wrong(text)
        return text

    @property
    def expected(self) -> str:
        """In words."""
        if self.bounds:
            return f"a whole number from {self.bounds[0]} to {self.bounds[1]}"
        if self.choices:
            return f"one of {', '.join(filter(None, self.choices))}"
        return self.doc if self.pattern else f"a text of at most {self.longest} characters"

    def _number(self, text: str) -> int:
        lowest, highest = self.bounds or (0, 0)
        if not re.fullmatch(r"[0-9]{1,18}", text) or not lowest <= int(text) <= highest:
            raise self._wrong(text)
        return int(text)

    def _wrong(self, text: str) -> WrongParameterError:
        quoted = repr(text[:_LONGEST_QUOTE])
        return WrongParameterError(self.name, self.place, f"{quoted} is not {self.expected}")


def read_all(
    parameters: Sequence[Parameter], path: Mapping[str, Any], query: Sequence[tuple[str, str]]
) -> Mapping[str, Any]:
    """The value of each parameter; raises `WrongParameterError`, also for one that is not known."""
    asked: dict[str, str] = {}
    known = {parameter.name for parameter in parameters if parameter.place == "query"}
    for name, text in query:
        if name not in known:
            names = ", ".join(sorted(known)) or "none"
            quoted = name[:_LONGEST_QUOTE]
            raise WrongParameterError(quoted, "query", f"is not known here; these parameters are: {names}")
        if name in asked:
            raise WrongParameterError(name, "query", "is there more than once")
        asked[name] = text
    return {
        parameter.name: parameter.read(
            str(path[parameter.name]) if parameter.place == "path" else asked.get(parameter.name)
        )
        for parameter in parameters
    }
