"""What a check found out, as a value: `paas-runner check` prints it, executors contribute to it."""

import enum

import attrs


class Grade(enum.StrEnum):
    """How good what was found is."""

    FINE = "fine"
    WARNING = "warning"  # it works, with a drawback
    FAULT = "fault"  # something would not work
    SKIPPED = "skipped"  # it was not looked at


@attrs.frozen(kw_only=True)
class CheckResult:
    """One thing that was looked at; no text of it has a secret."""

    subject: str
    """What was looked at, in a word or two."""

    grade: Grade
    text: str
    advice: str = ""
    """What to do about it."""

    runner: str = ""
    """Name of the `[[runners]]` section that it concerns; empty when it concerns all."""


def fine(subject: str, text: str) -> CheckResult:
    """It is as it should be."""
    return CheckResult(subject=subject, grade=Grade.FINE, text=text)


def warning(subject: str, text: str, advice: str = "") -> CheckResult:
    """It works, with a drawback."""
    return CheckResult(subject=subject, grade=Grade.WARNING, text=text, advice=advice)


def fault(subject: str, text: str, advice: str = "") -> CheckResult:
    """It would not work."""
    return CheckResult(subject=subject, grade=Grade.FAULT, text=text, advice=advice)


def skipped(subject: str, text: str) -> CheckResult:
    """It was not looked at; the text says why."""
    return CheckResult(subject=subject, grade=Grade.SKIPPED, text=text)
