"""Which flavor a job's host should have, by what its runs have used. Pure.

A job is a job's name in a project, on one runner. What is advised is the smallest flavor that holds all but
the most demanding twentieth of its runs, with a margin of memory; never a larger one than the job ever had,
since memory that it would have taken if there had been more is not measured (unless that one is no longer on
offer), and never a dearer one than its largest.
"""

import enum
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

import attrs

from paas_runner.job.cost import Charge
from paas_runner.job.cost_report import Window
from paas_runner.job.use import FlavorSize, Use

MONTH = timedelta(days=365.25 / 12)
TYPICAL, DEMANDING = 0.5, 0.95

_HOUR_SECONDS = 3600.0


class Confidence(enum.StrEnum):
    """How much the advice may be relied upon."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


_ENOUGH = ((Confidence.HIGH, 20, 1.5), (Confidence.MEDIUM, 5, 3.0))
"""With so many measured runs, if a demanding one takes at most so many times as much as a typical one."""


@attrs.frozen(order=True)
class JobName:
    """What is compared with each other."""

    runner: str  # its short token
    project: str
    name: str


@attrs.frozen(kw_only=True)
class Spread:
    """Of something over some runs."""

    typical: float  # half of them took no more
    demanding: float  # nineteen of twenty took no more

    @property
    def ratio(self) -> float:
        return self.demanding / self.typical if self.typical else math.inf if self.demanding else 1.0


@attrs.frozen(kw_only=True)
class Advice:
    """Of one job."""

    job: JobName
    runs: int
    measured: int
    memory_bytes: Spread
    cpus: Spread  # on average over each run
    flavors: Sequence[str]  # that it has had
    would_do: str | None  # None where no flavor is known that would; one of `flavors` where it is right
    confidence: Confidence
    saved_per_month: float | None
    """In the provider's own unit, when it goes on as in the window; None where a price is not known."""


def advise(
    charges: Iterable[Charge], offers: Mapping[str, Sequence[FlavorSize]], window: Window
) -> Sequence[Advice]:
    """Of each job of which anything was measured, the one that saves most first.

    `offers` are the flavors on offer, by the short token of the runner; those that the charges know are taken
    for on offer where a runner has none. A host counts with its time in the window.
    """
    within = [part for charge in charges if (part := charge.within(window.since, window.until))]
    seen = observed(within)
    jobs: dict[JobName, list[Charge]] = {}
    for charge in within:
        if charge.job_name:
            name = JobName(charge.key.runner, charge.project, charge.job_name)
            jobs.setdefault(name, []).append(charge)
    found = [
        _advice(name, runs, offers.get(name.runner) or seen[name.runner], window)
        for name, runs in jobs.items()
        if any(run.use for run in runs)
    ]
    return sorted(found, key=lambda advice: (-(advice.saved_per_month or 0.0), advice.job))


def observed(charges: Iterable[Charge]) -> Mapping[str, Sequence[FlavorSize]]:
    """The flavors of hosts there have been, by the short token of the runner, with their latest price."""
    found: dict[str, dict[str, FlavorSize]] = {}
    for charge in sorted(charges, key=lambda each: each.until):
        of_runner = found.setdefault(charge.key.runner, {})
        if charge.memory_bytes is not None:
            of_runner[charge.flavor] = FlavorSize(
                name=charge.flavor, memory_bytes=charge.memory_bytes, cpus=charge.cpus, price=charge.price
            )
    return {runner: list(sizes.values()) for runner, sizes in found.items()}


def spread(values: Sequence[float]) -> Spread:
    """Of at least one value; each figure is one of the values."""
    ordered = sorted(values)

    def rank(share: float) -> float:
        return ordered[math.ceil(share * len(ordered)) - 1]

    return Spread(typical=rank(TYPICAL), demanding=rank(DEMANDING))


def confidence(measured: int, *spreads: Spread) -> Confidence:
    """By the number of runs, and by how much they differ."""
    ratio = max(each.ratio for each in spreads)
    return next(
        (grade for grade, runs, most in _ENOUGH if measured >= runs and ratio <= most), Confidence.LOW
    )


def smallest(offered: Sequence[FlavorSize], memory_bytes: float, cpus: float) -> FlavorSize | None:
    """The smallest flavor that holds that; of equal ones the cheapest."""
    holding = (each for each in offered if each.holds(memory_bytes, cpus))
    return min(holding, key=_size, default=None)


def _size(flavor: FlavorSize) -> tuple[int, float, float]:
    return flavor.memory_bytes, flavor.cpus or 0.0, math.inf if flavor.price is None else flavor.price


def _advice(name: JobName, runs: Sequence[Charge], offered: Sequence[FlavorSize], window: Window) -> Advice:
    uses: list[Use] = [run.use for run in runs if run.use]
    memory = spread([use.memory_bytes for use in uses])
    cpus = spread([use.cpus for use in uses])
    best = _would_do(runs, offered, memory, cpus)
    return Advice(
        job=name,
        runs=len(runs),
        measured=len(uses),
        memory_bytes=memory,
        cpus=cpus,
        flavors=sorted({run.flavor for run in runs}),
        would_do=best.name if best else None,
        confidence=confidence(len(uses), memory, cpus),
        saved_per_month=_saved(runs, best, window) if best else None,
    )


def _would_do(
    runs: Sequence[Charge], offered: Sequence[FlavorSize], memory: Spread, cpus: Spread
) -> FlavorSize | None:
    """None where the size of no host of these is known."""
    largest = max(filter(None, map(_own, runs)), key=_size, default=None)
    if largest is None:
        return None
    now = next((each for each in offered if each.name == largest.name), None)
    smaller = [
        each for each in offered if each.memory_bytes <= largest.memory_bytes and not _is_dearer(each, now)
    ]
    if best := smallest(smaller, memory.demanding, cpus.demanding):
        return best
    if now:
        return largest
    # it is no longer on offer: whoever asks for it has a job that fails
    return min(
        (each for each in offered if each.memory_bytes >= largest.memory_bytes), key=_size, default=None
    )


def _is_dearer(flavor: FlavorSize, now: FlavorSize | None) -> bool:
    return bool(now and None not in (flavor.price, now.price) and (flavor.price or 0) > (now.price or 0))


def _own(run: Charge) -> FlavorSize | None:
    if run.memory_bytes is None:
        return None
    return FlavorSize(name=run.flavor, memory_bytes=run.memory_bytes, cpus=run.cpus, price=run.price)


def _saved(runs: Sequence[Charge], best: FlavorSize, window: Window) -> float | None:
    """What all hosts of the window would have cost less, as if each month were like it."""
    saved = 0.0
    for run in runs:
        if run.flavor != best.name:
            if run.price is None or best.price is None:
                return None
            saved += (run.price - best.price) * run.seconds / _HOUR_SECONDS
        elif run.price is None:
            return None
    return saved * (MONTH / (window.until - window.since))
