"""The keys that `executor = "kubernetes"` adds to a `[[runners]]` section."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from executors.tag_tables import problems_of_image
from paas_runner.settings import setting

FLAVOR = "M"
_MULTIPLES: Mapping[str, float] = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "m": 10**-3} | {
    f"{letter}i": 2 ** (10 * power) for power, letter in enumerate("KMGT", start=1)
}
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)([kMGTm]|[KMGT]i|)")
_TOLERATION = re.compile(r"(?P<key>[^=:\s]+)(?:=(?P<value>[^:\s]*))?(?::(?P<effect>[A-Za-z]+))?")
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def quantity(text: str) -> float:
    """What a quantity of Kubernetes says, in CPUs or bytes; raises ValueError."""
    found = _QUANTITY.fullmatch(text)
    if not found or not float(found[1]):
        raise ValueError(text)
    return float(found[1]) * _MULTIPLES[found[2]]


@attrs.frozen(kw_only=True)
class PodFlavor:
    """One size of hosts, `[runners.flavors.NAME]`: what a pod asks for, and the most that it gets."""

    cpu: str = setting("CPUs: 2, 500m")
    memory: str = setting("memory: 4Gi, 512Mi")

    @property
    def memory_bytes(self) -> int:
        return int(quantity(self.memory))

    @property
    def weight(self) -> float:
        """What such a host counts against a quota: its memory in GiB."""
        return self.memory_bytes / 2**30

    def problems(self) -> Iterable[tuple[str, str]]:
        for key in ("cpu", "memory"):
            try:
                quantity(text := getattr(self, key))
            except ValueError:
                yield key, f'"{text}" is no quantity of Kubernetes above 0, such as 500m or 4Gi'


@attrs.frozen(kw_only=True)
class TagPods:
    """Of `kubernetes`; what is not said here is as in the section."""

    flavor: str | None = setting(
        "size of a host when the job names none, instead of `default_flavor`", default=None
    )
    image: str | None = setting(
        "image of the inner runner, instead of `heptapod_runner_main_image`", default=None
    )

    def problems(self) -> Iterable[tuple[str, str]]:
        if self.image is not None:
            yield from problems_of_image(self.image)


@attrs.frozen(kw_only=True)
class KubernetesSettings:
    """Where pods are made, and what they are made of."""

    kubeconfig: Path | None = setting(
        "kubectl's configuration; default: $KUBECONFIG, ~/.kube/config, or the pod's own service account",
        default=None,
    )
    context: str | None = setting("context in it; default: its current one", default=None)
    namespace: str | None = setting("namespace of the hosts; default: the context's", default=None)
    service_account: str | None = setting(
        "service account of the pods, whose token they do not get", default=None
    )
    image_pull_secrets: Sequence[str] = setting("Secrets by which images are fetched", factory=tuple)
    node_selector: Mapping[str, str] = setting("labels of the nodes on which hosts may run", factory=dict)
    tolerations: Sequence[str] = setting(
        "taints that hosts put up with: key, key=value, each with :effect or without", factory=tuple
    )
    priority_class: str | None = setting("PriorityClass of the pods", default=None)
    queue_name: str | None = setting("LocalQueue of Kueue in which hosts wait for their room", default=None)
    flavors: Mapping[str, PodFlavor] = setting("sizes of hosts; default: M with 1 CPU and 2Gi", factory=dict)
    default_flavor: str = setting("size of a host when the job names none", default=FLAVOR)
    heptapod_runner_main_image: str = setting(
        "image of the inner runner, with a shell", default="paas-runner-inner"
    )
    tags: Mapping[str, TagPods] = setting(
        "hosts of jobs with a tag, by that: the first of a job's tags that is here decides", factory=dict
    )

    @property
    def sizes(self) -> Mapping[str, PodFlavor]:
        """All flavors, the smallest first."""
        found = self.flavors or {FLAVOR: PodFlavor(cpu="1", memory="2Gi")}
        return dict(sorted(found.items(), key=lambda each: each[1].memory_bytes))

    def image_for(self, tag: str) -> str:
        """The image of hosts for jobs of which `tag` decides; empty for those of which none does."""
        return (self.tags[tag].image if tag in self.tags else None) or self.heptapod_runner_main_image

    def problems(self) -> Iterable[tuple[str, str]]:
        known = self.flavors or {FLAVOR}
        if self.default_flavor not in known:
            yield "default_flavor", f"is none of `flavors`: {', '.join(known)}"
        for name, hosts in self.tags.items():
            if hosts.flavor is not None and hosts.flavor not in known:
                yield "tags", f"{name}: the flavor {hosts.flavor} is none of `flavors`: {', '.join(known)}"
        for each in self.tolerations:
            if toleration(each) is None:
                yield "tolerations", f"{each!r} is not key[=value][:{'|'.join(_EFFECTS)}]"
        for _, problem in problems_of_image(self.heptapod_runner_main_image):
            yield "heptapod_runner_main_image", problem


def toleration(text: str) -> Mapping[str, Any] | None:
    """As a pod has it; without a value any is put up with. None for what is none."""
    found = _TOLERATION.fullmatch(text)
    if not found or (found["effect"] is not None and found["effect"] not in _EFFECTS):
        return None
    wanted = {"key": found["key"], "operator": "Exists" if found["value"] is None else "Equal"}
    more = {"value": found["value"], "effect": found["effect"]}
    return {**wanted, **{key: value for key, value in more.items() if value is not None}}
