"""The answer of `paas-runner check`: aligned lines for people, one document for programs."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from paas_runner.executor.checks import CheckResult, Grade

_MARKS: Mapping[Grade, str] = {
    Grade.FINE: "✓",
    Grade.WARNING: "!",
    Grade.FAULT: "✗",
    Grade.SKIPPED: "-",
}
_COLOURS: Mapping[Grade, int] = {Grade.FINE: 32, Grade.WARNING: 33, Grade.FAULT: 31, Grade.SKIPPED: 2}


def text(results: Sequence[CheckResult], *, colours: bool) -> str:
    """One line for each result, what to do below it, and a summary."""
    width = max(len(_about(result)) for result in results)
    lines = [line for result in results for line in _lines(result, width, colours=colours)]
    return "\n".join([*lines, _summary(results)])


def document(results: Sequence[CheckResult]) -> str:
    """The same as JSON; `verdict` is the worst grade."""
    return json.dumps(
        {
            "verdict": str(worst(results)),
            "counts": {str(grade): count for grade, count in _counts(results).items()},
            "results": [_facts(result) for result in results],
        },
        indent=2,
        ensure_ascii=False,
    )


def worst(results: Sequence[CheckResult]) -> Grade:
    """The gravest of all grades; what was skipped is not held against anybody."""
    found = {result.grade for result in results}
    return next((grade for grade in (Grade.FAULT, Grade.WARNING) if grade in found), Grade.FINE)


def _lines(result: CheckResult, width: int, *, colours: bool) -> Iterator[str]:
    mark = _MARKS[result.grade]
    if colours:
        mark = f"\x1b[{_COLOURS[result.grade]}m{mark}\x1b[0m"
    yield f"{mark} {_about(result).ljust(width)}  {result.text}"
    if result.advice:
        yield f"  {' ' * width}  → {result.advice}"


def _about(result: CheckResult) -> str:
    return ": ".join(filter(None, (result.runner, result.subject)))


def _facts(result: CheckResult) -> Mapping[str, Any]:
    return {
        "runner": result.runner or None,
        "subject": result.subject,
        "grade": str(result.grade),
        "text": result.text,
        "advice": result.advice or None,
    }


def _counts(results: Sequence[CheckResult]) -> Mapping[Grade, int]:
    found = Counter(result.grade for result in results)
    return {grade: found[grade] for grade in Grade}


def _summary(results: Sequence[CheckResult]) -> str:
    counts = _counts(results)
    return f"faults: {counts[Grade.FAULT]}, warnings: {counts[Grade.WARNING]}, fine: {counts[Grade.FINE]}"
