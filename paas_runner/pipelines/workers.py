"""Which machines may take a job: by their tags, by what they tell of themselves, by what it wants. Pure.

A machine is one of those that poll with a runner's token. It has its runner's tags, and from the `info` that
it sends `os`, `arch` and `executor` (spec gitlab-runner-api.md §2.2).
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import attrs

from paas_runner.pipelines.runners import RunnerRecord
from paas_runner.pipelines.spec import JobSpec

_TOLD = {"os": "platform", "arch": "architecture", "executor": "executor"}
_NOTHING: Mapping[str, Any] = {}


@attrs.frozen(kw_only=True)
class Worker:
    """One machine, for people."""

    runner_id: int
    description: str
    system_id: str
    labels: tuple[str, ...]
    paused: bool
    runs_untagged: bool


def labels(runner: RunnerRecord, told: Mapping[str, Any] = _NOTHING) -> frozenset[str]:
    """Names, and name=value, each of which also counts by its name alone."""
    known = {f"{name}={told[key]}" for name, key in _TOLD.items() if told.get(key)}
    found = {*runner.tags, *known}
    return frozenset({*found, *(each.partition("=")[0] for each in found)})


def workers(runners: Iterable[RunnerRecord]) -> Sequence[Worker]:
    """All machines that have ever polled, and the runners of which none has."""
    return [
        Worker(
            runner_id=runner.runner_id,
            description=runner.description,
            system_id=machine,
            labels=tuple(sorted(labels(runner, told) - _names(labels(runner, told)))),
            paused=runner.paused,
            runs_untagged=runner.runs_untagged,
        )
        for runner in runners
        for machine, told in (runner.managers or {"": _NOTHING}).items()
    ]


def takes(runner: RunnerRecord, spec: JobSpec, *, named: bool, machine: str | None = None) -> bool:
    """Whether that machine of the runner may take such a job; without one, whether any machine may.

    `named` is whether a tag may be the runner's description instead.
    """
    if not spec.tags and not spec.requires_worker:
        return runner.runs_untagged
    if not {*spec.tags} <= {*runner.tags, *([runner.description] if named else [])}:
        return False
    machines = runner.managers if machine is None else {machine: runner.managers.get(machine, _NOTHING)}
    return any(
        set(spec.requires_worker) <= labels(runner, told) for told in [*machines.values()] or [_NOTHING]
    )


def lacking(runners: Sequence[RunnerRecord], spec: JobSpec, *, named: bool) -> str:
    """Why no machine takes such a job; empty where one may."""
    if any(takes(runner, spec, named=named) for runner in runners):
        return ""
    there = {label for runner in runners for each in _all(runner) for label in each}
    alone = [label for label in spec.requires_worker if label not in there]
    wanted = alone or [*spec.requires_worker, *spec.tags]
    return f"no worker has {' and '.join(wanted)}" if wanted else "no worker takes tasks without tags"


def _all(runner: RunnerRecord) -> list[frozenset[str]]:
    return [labels(runner, told) for told in runner.managers.values()] or [labels(runner)]


def _names(found: AbstractSet[str]) -> AbstractSet[str]:
    """Those that are only the names of others."""
    return {each.partition("=")[0] for each in found if "=" in each}
