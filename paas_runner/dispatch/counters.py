"""What one process counts from its start on, for its log and `status`: broken promises, and what hosts cost.

Each part of the promise (no orphan, no duplicate, no drift) has a number, 0 as long as it holds; so have the
exceptions that nobody foresaw, each of which ended one turn of a loop and nothing else. A host costs
once it is gone; what has cost so far in all is in the store's ledger.
"""

import enum
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TypeAlias

import structlog

from paas_runner.job.cost import Charge, Total

log = structlog.stdlib.get_logger(__name__)


class CounterName(enum.StrEnum):
    """What is counted, by the name it has in the log."""

    ORPHANS_FOUND = "orphans_found"  # hosts that no job needed and that nothing else was about to remove
    DUPLICATES_PREVENTED = "duplicates_prevented"  # a second host or launch that was not made
    JOBS_LOST = "jobs_lost"  # handed out to us, and never on the disk: found by the audit
    DRIFT = "drift"  # hosts that are recorded and not there, or there and unknown
    UNFORESEEN_ERRORS = "unforeseen_errors"  # each with a traceback in the log


OnCount: TypeAlias = Callable[[CounterName, str, Mapping[str, object]], None]
"""What is counted, the event and its facts."""


class Counters:
    """What happened although it must not; each change is in the log."""

    def __init__(self) -> None:
        self._numbers: Counter[CounterName] = Counter()
        self.listener: OnCount = lambda *_: None
        """Hears of each change; it must neither wait nor fail."""

    def count(self, counter: CounterName, event: str, /, **facts: object) -> None:
        """One more; `event` (of `logs.events`) and `facts` say to the operator what."""
        self._numbers[counter] += 1
        log.warning(event, **facts, **{counter: self._numbers[counter]})
        try:
            self.listener(counter, event, facts)
        except Exception:
            log.exception("observer_error")

    def count_unforeseen(self) -> None:
        """One more exception that the last resort of a loop has logged."""
        self._numbers[CounterName.UNFORESEEN_ERRORS] += 1

    @property
    def numbers(self) -> Mapping[str, int]:
        """Every counter by its name."""
        return {str(counter): self._numbers[counter] for counter in CounterName}


class Costs:
    """For each tenant and flavor numbers that only grow; each host counts once, when it is in the ledger."""

    def __init__(self) -> None:
        self._totals: dict[tuple[str, str], Total] = {}

    def count(self, charge: Charge) -> None:
        paid = charge.tenant, charge.flavor
        self._totals[paid] = self._totals.get(paid, Total()).plus(charge)

    @property
    def totals(self) -> Mapping[tuple[str, str], Total]:
        """By tenant and flavor."""
        return dict(self._totals)

    def log(self) -> None:
        """One line, by tenant."""
        by_tenant: dict[str, Total] = {}
        for (tenant, _), total in self._totals.items():
            by_tenant[tenant] = by_tenant.get(tenant, Total()).with_all_of(total)
        tenants = {tenant: figures(total) for tenant, total in sorted(by_tenant.items())}
        log.info("costs_since_start", tenants=tenants)


def figures(what: Total | Charge) -> Mapping[str, int | float]:
    """As the log shows it: `host_seconds` and, if known, `estimated_cost`; of a total the `jobs`, too."""
    shown: dict[str, int | float] = {"jobs": what.jobs} if isinstance(what, Total) else {}
    shown["host_seconds"] = round(what.time.total_seconds(), 2)
    if what.cost is not None:
        shown["estimated_cost"] = round(what.cost, 6)
    return shown
