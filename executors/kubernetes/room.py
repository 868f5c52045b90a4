"""The namespace's quotas: whether another host has room, and how many of one flavor have. Pure."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from executors.kubernetes.settings import PodFlavor, quantity

_OF_POD = {
    "cpu": "cpu",
    "requests.cpu": "cpu",
    "limits.cpu": "cpu",
    "memory": "memory",
    "requests.memory": "memory",
    "limits.memory": "memory",
}
_ONE_EACH = ("pods", "count/pods", "count/jobs.batch", "secrets", "count/secrets")


@attrs.frozen(kw_only=True)
class Bound:
    """One line of a quota."""

    quota: str
    resource: str
    hard: str
    used: str

    def hosts(self, flavor: PodFlavor, *, ever: bool = False) -> float:
        """How many more it has room for; with `ever` were there none."""
        one = quantity(getattr(flavor, _OF_POD[self.resource])) if self.resource in _OF_POD else 1.0
        left = _amount(self.hard) - (0.0 if ever else _amount(self.used))
        return math.floor(left / one * (1 + 1e-9))

    def __str__(self) -> str:
        return f"quota {self.quota}: {self.used} of {self.hard} {self.resource} are used"


def bounds(quotas: Sequence[Mapping[str, Any]]) -> Iterator[Bound]:
    """All that bear on hosts; those with a scope may be of other pods, and are left to the cluster."""
    for each in quotas:
        spec, status = each.get("spec") or {}, each.get("status") or {}
        if spec.get("scopes") or spec.get("scopeSelector"):
            continue
        hard = status.get("hard") or spec.get("hard") or {}
        for resource, most in hard.items():
            if resource in _OF_POD or resource in _ONE_EACH:
                used = (status.get("used") or {}).get(resource, "0")
                yield Bound(quota=each["metadata"]["name"], resource=resource, hard=str(most), used=str(used))


def narrowest(found: Sequence[Bound], flavor: PodFlavor) -> Bound | None:
    """The bound that leaves room for the fewest hosts."""
    return min(found, key=lambda bound: bound.hosts(flavor), default=None)


def _amount(text: str) -> float:
    try:
        return 0.0 if text in ("", "0") else quantity(text)
    except ValueError:
        return math.inf
