"""What Clever Cloud has on offer, kept for an hour; and the choice of a flavor, which is pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from executors.clever.api import CleverApi
from executors.clever.settings import CleverSettings
from paas_runner.errors import Rejected
from paas_runner.executor import JobRefusedError
from paas_runner.job.failure import Failure, FailureReason

FLAVOR_VARIABLE = "CI_CLEVER_CLOUD_FLAVOR"


@attrs.frozen(kw_only=True)
class Flavor:
    """`size` is what users say, `name` what the cloud says."""

    size: str
    name: str
    memory_mib: int

    @property
    def weight(self) -> float:
        """What a host of this size counts against a quota (core-features.md H126)."""
        return float((self.memory_mib / 1024) ** 1.25)


@attrs.frozen(kw_only=True)
class Offer:
    """One reading of the catalogue."""

    flavors: Mapping[str, Flavor]  # by size, those that may be asked for, smallest first
    version: str


async def read_offer(api: CleverApi, settings: CleverSettings) -> Offer:
    """Two public requests; raises `Transient` or `Rejected`."""
    flavors = await api.flavors(settings.cc_flavor_context)
    instances = await api.instances()
    return Offer(
        flavors=_flavors(flavors, settings.flavor_prefix),
        version=_version(instances, settings.cc_instance_variant_uuid),
    )


def choose(offer: Offer, wanted: str | None, settings: CleverSettings) -> Flavor:
    """The flavor of a job that asks for `wanted`; raises `JobRefusedError` in words for its author."""
    size = wanted or settings.cc_default_flavor
    largest = offer.flavors.get(settings.cc_max_flavor or "")
    choices = [f for f in offer.flavors.values() if not largest or f.memory_mib <= largest.memory_mib]
    for flavor in choices:
        if flavor.size == size:
            return flavor
    listed = ", ".join(flavor.size for flavor in choices) or "none at present"
    if wanted:
        known = "is larger than this runner allows" if size in offer.flavors else "does not exist"
        raise _refused(f'The flavor "{size}" {known} ({FLAVOR_VARIABLE}). Choices: {listed}.')
    raise Rejected(
        f'the default flavor "{size}" is not on offer; choices: {listed}', service="Clever Cloud", op="choose"
    )


def _refused(text: str) -> JobRefusedError:
    return JobRefusedError(Failure(reason=FailureReason.SCRIPT, text=text))


def _flavors(found: Sequence[Mapping[str, Any]], prefix: str) -> Mapping[str, Flavor]:
    flavors = [
        Flavor(size=entry["name"].removeprefix(prefix), name=entry["name"], memory_mib=int(entry["mem"]))
        for entry in found
        if entry.get("available") and entry.get("mem") and str(entry.get("name", "")).startswith(prefix)
    ]
    return {flavor.size: flavor for flavor in sorted(flavors, key=lambda flavor: flavor.memory_mib)}


def _version(found: Sequence[Mapping[str, Any]], variant: str) -> str:
    """The newest enabled docker version, of the configured variant if that is listed (§2.2)."""
    docker = [entry for entry in found if entry.get("enabled", True) and entry.get("type") == "docker"]
    exact = [entry for entry in docker if (entry.get("variant") or {}).get("id") == variant]
    versions = [str(entry.get("version", "")) for entry in exact or docker]
    if not versions:
        raise Rejected("no docker instances on offer", service="Clever Cloud", op="list the instance types")
    return max(versions)
