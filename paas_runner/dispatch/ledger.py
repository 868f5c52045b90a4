"""What hosts have cost on its way to the disk.

A charge is in the store's ledger before the record of its job may forget the host: killed in between, the
next start finds the host gone once more, and the ledger keeps the first end.
"""

from datetime import timedelta

from paas_runner.job.cost import Charge
from paas_runner.job.tracked import JobKey
from paas_runner.observe.costs import Costs
from paas_runner.store import Store

_MOST_DAYS = 36_500  # a hundred years: what is more is more than a date can tell


class Ledger:
    """Complete charges, those that the disk does not have yet among them."""

    def __init__(self, store: Store, costs: Costs, *, keep_days: int) -> None:
        """Enter charges into `store` and, once they are there, count them in `costs`."""
        self._store = store
        self._costs = costs
        self._keep = timedelta(days=min(keep_days, _MOST_DAYS))
        self._owed: list[Charge] = []

    def owe(self, charge: Charge) -> None:
        """To be entered before the next record of its job."""
        self._owed.append(charge)

    async def settle(self, key: JobKey) -> None:
        """Enter what is owed for a job; raises `StoreError`, and then it is still owed."""
        for charge in [owed for owed in self._owed if owed.key == key]:
            if await self._store.charge(charge, keep_from=charge.until - self._keep):
                self._costs.count(charge)
            self._owed.remove(charge)
