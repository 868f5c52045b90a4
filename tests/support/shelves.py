"""The example of `docs/executors.md`: the smallest executor that keeps all promises, and its provider.

The provider is a warehouse that has shelves for rent. As with any cloud, ids are its own, names need not be
unique, and a request may be served although its answer is lost.
"""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

from paas_runner.errors import Rejected
from paas_runner.executor.contract import Executor, HostRequest, ProvisionedHost, Removal, RunnerSection
from paas_runner.http import Connect
from paas_runner.job.tracked import Host, HostName, SeenHost, host_name_prefix
from paas_runner.settings import setting


@attrs.define
class Shelf:
    """What can be rented."""

    name: str
    label: str
    rented_at: datetime
    jobs: list[int] = attrs.field(factory=list)


class Warehouse:
    """The provider."""

    def __init__(self) -> None:
        self.shelves: dict[str, Shelf] = {}
        self._numbers = itertools.count(1)

    async def rent(self, name: str, label: str) -> str:
        number = f"shelf-{next(self._numbers)}"
        self.shelves[number] = Shelf(name=name, label=label, rented_at=datetime.now(UTC))
        return number

    async def put(self, number: str, job_id: int) -> None:
        """Begins the job, unless the very same lies there already."""
        if job_id not in self.shelves[number].jobs:
            self.shelves[number].jobs.append(job_id)

    async def leave(self, number: str) -> None:
        self.shelves.pop(number, None)


@attrs.frozen(kw_only=True)
class ShelfSettings:
    """The keys that `executor = "shelves"` adds to a `[[runners]]` section."""

    price: float = setting("what a shelf costs per hour", default=0.0, minimum=0)


class ShelfExecutor:
    """Hosts are shelves that have the job's host name, and the label of this installation."""

    ready_every = timedelta(seconds=1)
    ready_within = timedelta(seconds=20)

    def __init__(self, settings: ShelfSettings, section: RunnerSection, warehouse: Warehouse) -> None:
        self._price = settings.price
        self._section = section
        self._warehouse = warehouse

    async def provision(self, request: HostRequest) -> Host:
        """The label goes along with the request: a host whose creation was not answered has it, too."""
        return self._host(await self._warehouse.rent(request.host_name, self._section.installation))

    async def adopt(self, request: HostRequest) -> Host | None:
        found = self._ours(request.host_name)
        return self._host(min(found)) if found else None

    async def ready(self, provisioned: ProvisionedHost) -> bool:
        return provisioned.host.ref in self._warehouse.shelves

    async def launch(self, request: HostRequest, host: Host) -> None:
        if host.ref not in self._warehouse.shelves:
            raise Rejected("the shelf is gone", service="warehouse", op="launch the job")
        await self._warehouse.put(host.ref, request.payload.job_id)

    async def hosts(self, tenant: str) -> Sequence[SeenHost]:
        prefix = host_name_prefix(self._section.short_token)
        return [
            SeenHost(name=HostName(shelf.name), ref=number, created_at=shelf.rented_at, busy=bool(shelf.jobs))
            for number, shelf in self._warehouse.shelves.items()
            if shelf.name.startswith(prefix) and self._is_ours(shelf)
        ]

    async def decommission(self, removal: Removal) -> None:
        refs = {removal.host.ref} if removal.host else set()
        if removal.search:
            refs.update(self._ours(removal.name))
        for ref in refs:
            await self._warehouse.leave(ref)

    async def aclose(self) -> None:
        """Nothing is open."""

    def _host(self, ref: str) -> Host:
        return Host(ref=ref, price=self._price)

    def _ours(self, name: str) -> Sequence[str]:
        shelves = self._warehouse.shelves.items()
        return [number for number, shelf in shelves if shelf.name == name and self._is_ours(shelf)]

    def _is_ours(self, shelf: Shelf) -> bool:
        return shelf.label == self._section.installation


@attrs.frozen
class Shelves:
    """What the entry point names: `shelves = "shelves:KIND"` in the group `paas_runner.executors`."""

    settings: type[Any] = ShelfSettings
    warehouse: Warehouse = attrs.field(factory=Warehouse)

    def build(self, settings: ShelfSettings, section: RunnerSection, connect: Connect) -> Executor:
        return ShelfExecutor(settings, section, self.warehouse)


KIND = Shelves()
