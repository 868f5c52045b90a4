"""Our clock against those of the services that answer: leases, tokens and signed addresses depend on it."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from paas_runner.check_result import CheckResult, fine, skipped, warning
from paas_runner.http import Answer

SUBJECT = "clock"
TOLERATED = timedelta(seconds=5)
_HALF_A_SECOND = timedelta(seconds=0.5)  # a Date header has whole seconds, cut off


class Clocks:
    """Hears answers, and compares."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        """`now` is our own clock."""
        self._now = now
        self._ahead: dict[str, timedelta] = {}

    def hear(self, service: str, answer: Answer) -> None:
        """Keep the least difference of each service: an answer that was long on its way looks older."""
        if answer.date is None:
            return
        ahead = self._now() - (answer.date + _HALF_A_SECOND)
        self._ahead[service] = min(ahead, self._ahead.get(service, ahead), key=abs)

    def results(self) -> Sequence[CheckResult]:
        """One for each clock that differs, one for those that agree; one at least."""
        agreeing = [service for service, ahead in self._ahead.items() if abs(ahead) <= TOLERATED]
        results = [
            warning(
                SUBJECT,
                f"ours is {_seconds(ahead)} {service}'s",
                "synchronise this machine's clock (NTP), unless theirs is wrong",
            )
            for service, ahead in self._ahead.items()
            if service not in agreeing
        ]
        if agreeing:
            results.append(fine(SUBJECT, f"agrees with {', '.join(agreeing)}"))
        return results or [skipped(SUBJECT, "nobody told the time")]


def _seconds(ahead: timedelta) -> str:
    seconds = ahead.total_seconds()
    return f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'}"
