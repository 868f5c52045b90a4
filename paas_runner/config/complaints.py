"""What is wrong with a configuration file: collected while it is read, shown all at once, one line each.

No secret gets here: a finding describes a secret by its type alone.
"""

from collections.abc import Iterable
from pathlib import Path

import attrs

from paas_runner.config.lines import KeyPath, dotted, line_of
from paas_runner.errors import Exit, RunnerError

UNKNOWN_KEY = "unknown key"


@attrs.frozen(kw_only=True)
class Complaint:
    """One thing to mend; without `expected`, `found` is a sentence of its own."""

    path: Path
    line: int | None = None
    key: str = ""
    found: str
    expected: str = ""
    hint: str = ""
    at: KeyPath = ()
    """The key's path in the document; empty for what concerns no key."""

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else str(self.path)
        fault = f"expected {self.expected}, found {self.found}" if self.expected else self.found
        advice = f"; {self.hint}" if self.hint else ""
        return _one_line(": ".join(filter(None, (place, self.key, fault))) + advice)


def by_line(complaints: Iterable[Complaint]) -> tuple[Complaint, ...]:
    """In the order of the file; what concerns the whole file comes first."""
    return tuple(sorted(complaints, key=lambda complaint: complaint.line or 0))


class ConfigError(RunnerError):
    """The operator must edit the file: `complaints` are all that is wrong with it, by line."""

    exit_code = Exit.CONFIG
    names_its_place = True

    def __init__(self, complaints: Iterable[Complaint]) -> None:
        self.complaints = by_line(complaints)
        super().__init__("\n".join(map(str, self.complaints)))


@attrs.frozen(kw_only=True)
class Finding:
    """A complaint or warning about the key at `at`, whose line is not known yet."""

    at: KeyPath
    found: str
    expected: str = ""
    hint: str = ""
    first: KeyPath = ()
    """Where the same key is already, of one that is repeated."""

    def located(self, path: Path, text: str) -> Complaint:
        """The same with its line in `text`, the content of the file `path`."""
        where = f", on line {line_of(text, self.first)}" if self.first else ""
        return Complaint(
            path=path,
            line=line_of(text, self.at),
            key=dotted(self.at),
            found=self.found + where,
            at=self.at,
            expected=self.expected,
            hint=self.hint,
        )


@attrs.define
class Findings:
    """Collected while one file is read: `faults` forbid its use, `warnings` do not."""

    faults: list[Finding] = attrs.field(factory=list)
    warnings: list[Finding] = attrs.field(factory=list)
    literal_secrets: bool = False
    """Whether any secret stands in the file itself."""

    def wrong(self, at: KeyPath, found: str, *, expected: str = "", hint: str = "") -> None:
        """Note a fault and go on reading."""
        self.faults.append(Finding(at=at, found=found, expected=expected, hint=hint))

    def repeated(self, at: KeyPath, first: KeyPath) -> None:
        """Note a key that is at `first` already, in another spelling."""
        found = f"is there already, as {dotted(first)}"
        hint = "keep one: GitLab Runner takes keys in any case"
        self.faults.append(Finding(at=at, found=found, hint=hint, first=first))

    def warn(self, at: KeyPath, found: str, *, hint: str = "") -> None:
        """Note what is accepted, but should be known."""
        self.warnings.append(Finding(at=at, found=found, hint=hint))


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
