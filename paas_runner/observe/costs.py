"""What the hosts that went since the start of the process have cost, for each tenant."""

from collections.abc import Mapping

import structlog

from paas_runner.job.cost import Charge, Total

log = structlog.stdlib.get_logger(__name__)


class Costs:
    """Numbers that only grow; each host counts once, when it is in the ledger."""

    def __init__(self) -> None:
        """No host has gone yet."""
        self._by_tenant: dict[str, Total] = {}

    def count(self, charge: Charge) -> None:
        """One more host has gone."""
        self._by_tenant[charge.tenant] = self._by_tenant.get(charge.tenant, Total()).plus(charge)

    @property
    def by_tenant(self) -> Mapping[str, Total]:
        """Jobs, host time and estimated cost of everybody who paid for a host."""
        return dict(self._by_tenant)

    def tell(self) -> None:
        """One line for the log."""
        tenants = {tenant: figures(total) for tenant, total in sorted(self._by_tenant.items())}
        log.info("costs since the start", tenants=tenants)


def figures(what: Total | Charge) -> Mapping[str, int | float]:
    """As the log shows it: `host_seconds` and, if known, `estimated_cost`; of a total the `jobs`, too."""
    shown: dict[str, int | float] = {"jobs": what.jobs} if isinstance(what, Total) else {}
    shown["host_seconds"] = round(what.time.total_seconds(), 2)
    if what.cost is not None:
        shown["estimated_cost"] = round(what.cost, 6)
    return shown
