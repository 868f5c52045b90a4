"""A value with its place in a pipeline's text, so that a complaint can name the line; its plain kinds."""

import re
from typing import Any, NoReturn

import attrs

from paas_runner.pipelines.complaints import PipelineError, PipelineWarning
from paas_runner.pipelines.gitlab_ci.sections import YamlSection

_TRUE, _FALSE = frozenset({"true", "yes", "on"}), frozenset({"false", "no", "off"})
_INTEGER = re.compile(r"[0-9]{1,9}")
MOST_SCRIPT_LEVELS = 10
"""How many lists may lie in each other in a script, as GitLab has it."""

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
            self._part(value, key=f"{self.key}.{key}", line=section.lines.get(key, self.line))
            for key, value in section.items()
        ]

    def _part(self, value: Any, *, key: str = "", line: int | None = None) -> "YamlPlace":
        """As `attrs.evolve`, which takes five times as long: of this there may be half a million."""
        return YamlPlace(
            job=self.job, key=key or self.key, value=value, line=line or self.line, warnings=self.warnings
        )

    def items(self) -> list["YamlPlace"]:
        """One place for each element of the value, which may also stand alone."""
        values = self.value if isinstance(self.value, list) else [self.value]
        return [self._part(value) for value in values]

    def composed(self) -> list["YamlPlace"]:
        """As `items`, with lists in the list opened up: where GitLab has a composable array."""
        if not isinstance(self.value, list):
            return [self]
        return [place for item in self.items() for place in item.composed()]

    def at(self, key: str) -> "YamlPlace":
        """The same value with the line of one of its keys."""
        line = self.value.lines.get(key, self.line) if isinstance(self.value, YamlSection) else self.line
        return self._part(self.value, line=line)

    def known(self, *names: str) -> dict[str, "YamlPlace"]:
        """The places of the named keys of a mapping that are set; the other keys are warned about."""
        known: dict[str, YamlPlace] = {}
        for place in self.entries():
            if place.value is None:
                continue
            name = place.key.removeprefix(f"{self.key}.")
            if name in names:
                known[name] = place
            else:
                place.warn()
        return known

    def text(self) -> str:
        """The value as text; an empty one is no text."""
        if not isinstance(self.value, str):
            self.refuse(
                "must be a text" if not isinstance(self.value, list) else "must be a text, not a list"
            )
        return self.value

    def texts(self) -> tuple[str, ...]:
        """A text or a list of texts; GitLab opens no lists up here."""
        return tuple(item.text() for item in self.items())

    def script(self, level: int = 0) -> tuple[str, ...]:
        """A text or a list of texts and such lists."""
        if isinstance(self.value, list):
            if level == MOST_SCRIPT_LEVELS:
                self.refuse(f"must be a text, or a list of texts and lists up to {level} levels deep")
            return tuple(line for item in self.value for line in self._scripted(item, level + 1))
        return (self.text(),)

    def _scripted(self, item: Any, level: int) -> tuple[str, ...]:
        return (item,) if isinstance(item, str) else self._part(item).script(level)

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
