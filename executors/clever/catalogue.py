"""What Clever Cloud has on offer, read once an hour; and the choice of a flavor, which is pure."""

import asyncio
import math
from collections.abc import Mapping, Sequence

import structlog

from executors.clever import offer as offers
from executors.clever.api import CatalogueApi
from executors.clever.offer import Flavor, Offer
from executors.clever.refusals import SERVICE
from executors.clever.settings import CleverSettings
from paas_runner.errors import Rejected, Transient
from paas_runner.executor.contract import JobRefusedError
from paas_runner.http import Connect
from paas_runner.job.failure import Failure, FailureReason
from paas_runner.job.room import fits
from paas_runner.job.use import HOST_VARIABLE, FlavorSize, HostFlavors, flavors_as_text
from paas_runner.plain_text import one_line, printable

log = structlog.stdlib.get_logger(__name__)

FRESH_SECONDS = 3600.0
AGAIN_SECONDS = 60.0  # after a reading that failed while there is an earlier one
FLAVOR_VARIABLE = "CI_CLEVER_CLOUD_FLAVOR"
LONGEST_FLAVOR_NAME = 100


class Catalogue:
    """The offer, read once an hour by two public requests, however many jobs need it."""

    def __init__(self, settings: CleverSettings, connect: Connect) -> None:
        self._settings = settings
        self._api = CatalogueApi(settings.cc_api_url, connect)
        self._reading = asyncio.Lock()
        self._read_again = 0.0
        self._before: Offer | None = None
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
        self._before, self.last = self.last or self._before, None

    async def aclose(self) -> None:
        await self._api.aclose()

    async def _renewed(self, last: Offer | None, now: float) -> tuple[Offer, float]:
        try:
            offer = (await self._read()).after(last or self._before)
            self._warn(offer)
            return offer, now + FRESH_SECONDS
        except (Transient, Rejected) as error:
            if last is None:
                raise
            log.warning("catalogue_unreadable", reason=str(error))
            return last, now + AGAIN_SECONDS

    async def _read(self) -> Offer:
        flavors = await self._api.flavors(self._settings.cc_flavor_context)
        offer = offers.read(flavors, await self._api.instances(), self._settings)
        if not offer.version:
            raise Rejected("no docker instances on offer", service=SERVICE, op="list the instance types")
        if offer.odd_entries:
            log.warning("catalogue_entries_skipped", count=offer.odd_entries)
        return offer

    def _warn(self, offer: Offer) -> None:
        largest = self._settings.cc_max_flavor
        if largest and largest not in offer.flavors:
            allowed = ", ".join(each.name for each in _allowed(offer, self._settings))
            log.warning("max_flavor_absent", flavor=largest, allowed=allowed)


def choose(
    offer: Offer,
    wanted: str | None,
    settings: CleverSettings,
    *,
    tag: str = "",
    most_weight: float = math.inf,
) -> Sequence[Flavor]:
    """The flavors for a job that asks for `wanted`, the best first: one, and its fallbacks.

    A job that asks for none gets that of its `tag`, else the default. None is heavier than `most_weight` or
    `cc_max_flavor`: instead of a default that is, the job gets the largest that fits. Raises
    `JobRefusedError` in words for the job's author.
    """
    hosts = settings.tags.get(tag)
    of_tag = None if wanted or hosts is None else hosts.flavor
    name = wanted or of_tag or settings.cc_default_flavor
    fitting = {each.name: each for each in _allowed(offer, settings) if fits(each.weight, most_weight)}
    chain = [fitting[each] for each in (name, *settings.cc_flavor_fallback.get(name, ())) if each in fitting]
    if chain:
        return chain
    listed = ", ".join(fitting) or "none at present"
    if wanted:
        why = f"{why_not(name, offer, settings)} ({FLAVOR_VARIABLE})"
        raise _refused(f'The flavor "{_shown(name)}" {why}. Choices: {listed}.')
    if of_tag:
        text = (
            f'The flavor "{of_tag}", which this runner has for jobs with the tag "{tag}", '
            f"{why_not(of_tag, offer, settings)}. The operators of this runner can help; until then "
            f"{FLAVOR_VARIABLE} may name another. Choices: {listed}."
        )
        raise JobRefusedError(Failure(reason=FailureReason.SYSTEM, text=text))
    if name in offer.flavors and fitting:
        return list(fitting.values())[-1:]
    if name in offer.flavors:
        raise _refused("No flavor is small enough for this runner's quota. Its operators can help.")
    raise Rejected(
        f'the default flavor "{name}" is not on offer; choices: {listed}', service=SERVICE, op="choose"
    )


def sizes(offer: Offer, settings: CleverSettings) -> Sequence[FlavorSize]:
    """What the flavors offer that a job may ask for, smallest first."""
    return [flavor.size for flavor in _allowed(offer, settings)]


def told_to_host(offer: Offer, flavor: Flavor, settings: CleverSettings) -> Mapping[str, str]:
    """What a host of this flavor has in its environment, so that its author hears of smaller ones."""
    smaller = [size for size in sizes(offer, settings) if size.memory_bytes < flavor.size.memory_bytes]
    if not settings.cc_flavor_hint or not smaller:
        return {}
    known = HostFlavors(variable=FLAVOR_VARIABLE, own=flavor.size, smaller=smaller)
    return {HOST_VARIABLE: flavors_as_text(known)}


def _allowed(offer: Offer, settings: CleverSettings) -> Sequence[Flavor]:
    return [each for each in offer.flavors.values() if each.weight <= offer.most_weight(settings)]


def why_not(name: str, offer: Offer, settings: CleverSettings) -> str:
    """Why no job gets a host of this flavor, in words that go on after its name."""
    if name not in offer.flavors:
        return "does not exist"
    if all(flavor.name != name for flavor in _allowed(offer, settings)):
        return "is larger than this runner allows"
    return "is more than this runner's quota allows"


def _shown(name: str) -> str:
    """What an author wrote may be anything. No name that was looked up is cut: half a secret is not found."""
    text = one_line(printable(name))
    return text if len(text) <= LONGEST_FLAVOR_NAME else f"{text[:LONGEST_FLAVOR_NAME]}…"


def _refused(text: str) -> JobRefusedError:
    return JobRefusedError(Failure(reason=FailureReason.SCRIPT, text=text))
