"""A value with its place in a pipeline's text, so that a complaint can name the line; its plain kinds.

Among them durations, as a pipeline's author writes them.
"""

import re
from datetime import timedelta
from typing import Any, NoReturn

import attrs

from paas_runner.pipelines.gitlab_ci.yaml_text import YamlSection
from paas_runner.pipelines.spec import PipelineError, PipelineWarning

_TRUE, _FALSE = frozenset({"true", "yes", "on"}), frozenset({"false", "no", "off"})
_INTEGER = re.compile(r"[0-9]{1,9}")
NO_EFFECT = "not understood by the sandbox, it has no effect"


@attrs.frozen(kw_only=True)
class YamlPlace:
    """One value with its position; `warnings` collects for the whole text."""

    job: str  # empty at the top level
    key: str  # with the keys around it, as `retry.max`
    value: Any
    line: int | None
    warnings: list[PipelineWarning]

    def refuse(self, wanted: str) -> NoReturn:
        """Raise `PipelineError`, saying what is wanted here."""
        owner = f"job `{self.job}`: " if self.job else ""
        raise PipelineError(f"{owner}`{self.key}` {wanted}", line=self.line)

    def warn(self, text: str = NO_EFFECT) -> None:
        self.warnings.append(PipelineWarning(job=self.job, key=self.key, text=text, line=self.line))

    def section(self) -> YamlSection:
        """The value, which must be a mapping."""
        if not isinstance(self.value, YamlSection):
            self.refuse("must be a mapping")
        return self.value

    def entries(self) -> list["YamlPlace"]:
        """The places inside the value, which must be a mapping."""
        section = self.section()
        return [
            attrs.evolve(self, key=f"{self.key}.{key}", value=value, line=section.lines.get(key, self.line))
            for key, value in section.items()
        ]

    def items(self) -> list["YamlPlace"]:
        """One place for each element of the value, which may also stand alone."""
        values = self.value if isinstance(self.value, list) else [self.value]
        return [attrs.evolve(self, value=value) for value in values]

    def known(self, *names: str) -> dict[str, "YamlPlace"]:
        """The places of the named keys of a mapping; the other keys are warned about."""
        known: dict[str, YamlPlace] = {}
        for place in self.entries():
            name = place.key.removeprefix(f"{self.key}.")
            if name in names:
                known[name] = place
            else:
                place.warn()
        return known

    def text(self) -> str:
        """The value as text; an empty one is no text."""
        if not isinstance(self.value, str):
            self.refuse("must be a text")
        return self.value

    def texts(self) -> tuple[str, ...]:
        """A text or a list of texts."""
        return tuple(item.text() for item in self.items())

    def flattened(self) -> tuple[str, ...]:
        """A text or a list of texts and such lists."""
        if isinstance(self.value, list):
            return tuple(line for item in self.items() for line in item.flattened())
        return (self.text(),)

    def flag(self) -> bool:
        """A yes or no, in any of YAML's words."""
        word = self.text().lower()
        if word not in _TRUE | _FALSE:
            self.refuse("must be true or false")
        return word in _TRUE

    def number(self, *, most: int, least: int = 0) -> int:
        if not isinstance(self.value, str) or not _INTEGER.fullmatch(self.value):
            self.refuse("must be a whole number")
        number = int(self.value)
        if not least <= number <= most:
            self.refuse(f"must be between {least} and {most}")
        return number


_UNITS = {
    "s": 1,
    "sec": 1,
    "second": 1,
    "m": 60,
    "min": 60,
    "minute": 60,
    "h": 3600,
    "hr": 3600,
    "hour": 3600,
    "d": 86400,
    "day": 86400,
    "w": 604800,
    "week": 604800,
}
_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*([a-z]*)")
_JOINT = re.compile(r"(?:\s|,|\band\b)*")


def duration(text: str) -> timedelta | None:
    """The duration that a text like `1h 30m` or `90` (seconds) means; None when it means none."""
    rest = text.strip().lower()
    total = 0.0
    while rest:
        part = _PART.match(rest)
        seconds = _unit(part[2]) if part else None
        if part is None or seconds is None:
            return None
        total += float(part[1]) * seconds
        rest = rest[part.end() :]
        rest = _JOINT.sub("", rest, count=1)
    return timedelta(seconds=total) if total > 0 else None


def _unit(word: str) -> int | None:
    if not word:
        return 1
    return _UNITS.get(word) or _UNITS.get(word.removesuffix("s"))
