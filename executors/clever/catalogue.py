"""What Clever Cloud has on offer, read once an hour; and the choice of a flavor, which is pure."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import structlog

from executors.clever.api import CatalogueApi
from executors.clever.refusals import SERVICE
from executors.clever.settings import CleverSettings
from paas_runner.errors import Rejected, Transient
from paas_runner.executor.contract import JobRefusedError
from paas_runner.http import Connect
from paas_runner.job.capacity import fits
from paas_runner.job.failure import Failure, FailureReason

log = structlog.stdlib.get_logger(__name__)

FRESH_SECONDS = 3600.0
AGAIN_SECONDS = 60.0  # after a reading that failed while there is an earlier one
FLAVOR_VARIABLE = "CI_CLEVER_CLOUD_FLAVOR"
LONGEST_FLAVOR_NAME = 100


@attrs.frozen(kw_only=True)
class Flavor:
    """`name` is what users say, `cloud_name` what the cloud says."""

    name: str
    cloud_name: str
    memory_mib: int
    price: float | None = None  # per hour, in the cloud's own unit

    @property
    def weight(self) -> float:
        """What a host of this flavor counts against a quota (core-features.md H126)."""
        return float((self.memory_mib / 1024) ** 1.25)


@attrs.frozen(kw_only=True)
class Offer:
    """One reading of the catalogue."""

    flavors: Mapping[str, Flavor]  # by name, those that may be asked for, smallest first
    version: str
    variant_listed: bool = True  # whether the version is one of the configured variant


class Catalogue:
    """The offer, read once an hour by two public requests, however many jobs need it."""

    def __init__(self, settings: CleverSettings, connect: Connect) -> None:
        self._settings = settings
        self._api = CatalogueApi(settings.cc_api_url, connect)
        self._reading = asyncio.Lock()
        self._read_again = 0.0
        self.last: Offer | None = None
        """The latest reading, if there was one."""

    async def offer(self) -> Offer:
        """At most an hour old, or as old as the cloud's outage; raises `Transient` or `Rejected`."""
        async with self._reading:
            now = asyncio.get_running_loop().time()
            if self.last is None or now >= self._read_again:
                self.last, self._read_again = await self._renewed(self.last, now)
            return self.last

    async def zones(self) -> Sequence[str]:
        """The names of all places that are open to all customers; raises `Transient` or `Rejected`."""
        return [str(entry.get("name", "")) for entry in await self._api.zones()]

    def expire(self) -> None:
        """It has turned out to be out of date."""
        self.last = None

    async def aclose(self) -> None:
        await self._api.aclose()

    async def _renewed(self, last: Offer | None, now: float) -> tuple[Offer, float]:
        try:
            return await self._read(), now + FRESH_SECONDS
        except (Transient, Rejected) as error:
            if last is None:
                raise
            log.warning("catalogue_unreadable", reason=str(error))
            return last, now + AGAIN_SECONDS

    async def _read(self) -> Offer:
        flavors = await self._api.flavors(self._settings.cc_flavor_context)
        instances = _docker(await self._api.instances())
        exact = _of_variant(instances, self._settings.cc_instance_variant_uuid)
        return Offer(
            flavors=_flavors(flavors, self._settings.flavor_prefix),
            version=_newest_version(exact or instances),
            variant_listed=bool(exact),
        )


def choose(
    offer: Offer, wanted: str | None, settings: CleverSettings, *, most_weight: float = math.inf
) -> Sequence[Flavor]:
    """The flavors for a job that asks for `wanted`, the best first: one, and its fallbacks.

    None is heavier than `most_weight`; a job that asks for none gets the largest that fits, if its default
    does not. Raises `JobRefusedError` in words for the job's author.
    """
    name = wanted or settings.cc_default_flavor
    allowed = _allowed(offer, settings)
    fitting = {flavor.name: flavor for flavor in allowed if fits(flavor.weight, most_weight)}
    chain = [fitting[each] for each in (name, *settings.cc_flavor_fallback.get(name, ())) if each in fitting]
    if chain:
        return chain
    listed = ", ".join(fitting) or "none at present"
    if wanted:
        raise _refused(f'The flavor "{name}" {_why_not(name, offer, allowed)}. Choices: {listed}.')
    if name in offer.flavors and fitting:
        return list(fitting.values())[-1:]
    if name in offer.flavors:
        raise _refused("No flavor is small enough for this runner's quota. Its operators can help.")
    raise Rejected(
        f'the default flavor "{name}" is not on offer; choices: {listed}', service=SERVICE, op="choose"
    )


def _allowed(offer: Offer, settings: CleverSettings) -> Sequence[Flavor]:
    largest = offer.flavors.get(settings.cc_max_flavor or "")
    return [each for each in offer.flavors.values() if not largest or each.weight <= largest.weight]


def _why_not(name: str, offer: Offer, allowed: Sequence[Flavor]) -> str:
    if name not in offer.flavors:
        return f"does not exist ({FLAVOR_VARIABLE})"
    if all(flavor.name != name for flavor in allowed):
        return f"is larger than this runner allows ({FLAVOR_VARIABLE})"
    return f"is more than this runner's quota allows ({FLAVOR_VARIABLE})"


def _refused(text: str) -> JobRefusedError:
    return JobRefusedError(Failure(reason=FailureReason.SCRIPT, text=text))


def _flavors(found: Sequence[Mapping[str, Any]], prefix: str) -> Mapping[str, Flavor]:
    flavors = [
        Flavor(
            name=entry["name"].removeprefix(prefix),
            cloud_name=entry["name"],
            memory_mib=int(entry["mem"]),
            price=_price(entry.get("price")),
        )
        for entry in found
        if entry.get("available") and entry.get("mem") and str(entry.get("name", "")).startswith(prefix)
    ]
    return {flavor.name: flavor for flavor in sorted(flavors, key=lambda flavor: flavor.memory_mib)}


def _price(found: object) -> float | None:
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def _docker(found: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    return [entry for entry in found if entry.get("enabled", True) and entry.get("type") == "docker"]


def _of_variant(found: Sequence[Mapping[str, Any]], variant: str) -> Sequence[Mapping[str, Any]]:
    return [entry for entry in found if (entry.get("variant") or {}).get("id") == variant]


def _newest_version(found: Sequence[Mapping[str, Any]]) -> str:
    """Of the configured variant if that is listed, else of any (§2.2)."""
    versions = [str(entry.get("version", "")) for entry in found]
    if not versions:
        raise Rejected("no docker instances on offer", service=SERVICE, op="list the instance types")
    return max(versions)
