"""What Clever Cloud's catalogue says, as values. Pure: odd entries are left out, whatever is in them.

Anyone may ask for the catalogue, and it decides what jobs weigh and what is paid: nothing in it is believed
that is no plain name with a plain memory. Sections are those of spec `clever-cloud-api.md`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from executors.clever.settings import CleverSettings
from paas_runner.job.use import FlavorSize

MOST_ENTRIES = 1000
_LONGEST_NAME = 60
_MOST_MIB = 2**24  # 16 TiB
_LARGEST = 1e15


@attrs.frozen(kw_only=True)
class Flavor:
    """`name` is what users say, `cloud_name` what the cloud says."""

    name: str
    cloud_name: str
    memory_mib: int
    price: float | None = None  # per hour, in the cloud's own unit
    cpus: float | None = None

    @property
    def size(self) -> FlavorSize:
        """What it offers, as the service compares flavors."""
        return FlavorSize(
            name=self.name, memory_bytes=self.memory_mib * 2**20, cpus=self.cpus, price=self.price
        )

    @property
    def weight(self) -> float:
        """What a host of this flavor counts against a quota (core-features.md H126)."""
        return float((self.memory_mib / 1024) ** 1.25)


@attrs.frozen(kw_only=True)
class Offer:
    """One reading of the catalogue."""

    flavors: Mapping[str, Flavor]  # by name, those that may be asked for, smallest first
    version: str
    """The newest docker instance, of the configured variant if that is listed (§2.2); empty without any."""

    variant_listed: bool = True  # whether the version is one of the configured variant
    unavailable: Mapping[str, float] = attrs.field(factory=dict)
    """Weights of flavors that cannot be had now: listed so, or known from an earlier reading."""

    odd_entries: int = 0

    def most_weight(self, settings: CleverSettings) -> float:
        """What the heaviest flavor may weigh that a job may ask for, by `cc_max_flavor`.

        One that is not available bounds as it did when it was. Where nobody knows what it weighs, nothing is
        allowed beyond the default.
        """
        if not settings.cc_max_flavor:
            return math.inf
        weights = {**self.unavailable, **{name: flavor.weight for name, flavor in self.flavors.items()}}
        return weights.get(settings.cc_max_flavor, weights.get(settings.cc_default_flavor, 0.0))

    def after(self, earlier: "Offer | None") -> "Offer":
        """With the weights of what was listed before and is no more."""
        if earlier is None:
            return self
        before = {name: flavor.weight for name, flavor in earlier.flavors.items()} | dict(earlier.unavailable)
        kept = {name: weight for name, weight in before.items() if name not in self.flavors}
        return attrs.evolve(self, unavailable=kept | dict(self.unavailable))


def read(
    flavors: Sequence[Mapping[str, Any]], instances: Sequence[Mapping[str, Any]], settings: CleverSettings
) -> Offer:
    """The offer in two decoded lists."""
    named = [
        entry
        for entry in flavors[:MOST_ENTRIES]
        if isinstance(name := entry.get("name"), str) and name.startswith(settings.flavor_prefix)
    ]
    found = {flavor: entry for entry in named if (flavor := _flavor(entry, settings.flavor_prefix))}
    here = sorted((flavor for flavor, entry in found.items() if entry.get("available")), key=_memory)
    docker = [
        entry
        for entry in instances[:MOST_ENTRIES]
        if entry.get("enabled", True)
        and entry.get("type") == "docker"
        and isinstance(entry.get("version"), str)
    ]
    exact = [entry for entry in docker if _variant(entry) == settings.cc_instance_variant_uuid]
    return Offer(
        flavors={flavor.name: flavor for flavor in here},
        version=max((entry["version"] for entry in exact or docker), default=""),
        variant_listed=bool(exact),
        unavailable={flavor.name: flavor.weight for flavor in found if flavor not in here},
        odd_entries=len(named) - len(found) + len(flavors[MOST_ENTRIES:]) + len(instances[MOST_ENTRIES:]),
    )


def _flavor(entry: Mapping[str, Any], prefix: str) -> Flavor | None:
    name, memory = entry["name"], _number(entry.get("mem"))
    size = name.removeprefix(prefix)
    if not size or len(name) > _LONGEST_NAME or not name.isprintable() or not 1 <= (memory or 0) <= _MOST_MIB:
        return None
    return Flavor(
        name=size,
        cloud_name=name,
        memory_mib=int(memory or 0),
        price=_number(entry.get("price")),
        cpus=_number(entry.get("cpus")) or None,
    )


def _memory(flavor: Flavor) -> int:
    return flavor.memory_mib


def _number(found: object) -> float | None:
    """A number that can be reckoned with; else nothing is known."""
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found <= _LARGEST:
        return None
    return float(found)


def _variant(entry: Mapping[str, Any]) -> object:
    variant = entry.get("variant")
    return variant.get("id") if isinstance(variant, Mapping) else None
