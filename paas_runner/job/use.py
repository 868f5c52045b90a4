"""What a job used of its host, the line in which a host says so, and when a host was far too large. Pure.

The inner runner writes the line to its standard output, right before it reports the job's end: that is the
container's log, or the application's. Whoever can start processes on the host can write such a line, too:
nothing is believed that is more than three numbers.
"""

import json
import re
from collections.abc import Iterable, Sequence

import attrs

MARGIN = 1.25
"""So many times the used memory has to be there."""

HOST_ITSELF_BYTES = 256 * 2**20
"""What the host's own system and engine may take beside the job."""

FAR_TOO_LARGE = 4
"""A host that is so many times as large as what was used of it is worth a word to the job's author."""

HOST_VARIABLE = "PAAS_RUNNER_HOST_FLAVORS"
"""In the environment of a host: what its inner runner may tell the author of (`flavors_as_text`)."""

MARK = "paas_runner_use"
"""What such a line begins with: one word, however those who search logs tell words apart."""

_MOST_FLAVORS = 100
_LINE = re.compile(
    rf"{MARK} memory_bytes=([0-9]{{1,15}}) cpu_seconds=([0-9]{{1,9}}\.[0-9]{{3}}) "
    r"wall_seconds=([0-9]{1,9}\.[0-9]{3})"
)


@attrs.frozen(kw_only=True)
class Use:
    """Of one run."""

    memory_bytes: int  # at most, at any time
    cpu_seconds: float
    wall_seconds: float  # from the job's first line to its last

    @property
    def cpus(self) -> float:
        """How many it kept busy on average."""
        return self.cpu_seconds / self.wall_seconds if self.wall_seconds else 0.0


@attrs.frozen(kw_only=True)
class FlavorSize:
    """What a flavor offers, as far as its provider says."""

    name: str
    memory_bytes: int
    cpus: float | None = None
    price: float | None = None  # per hour, in the provider's own unit

    def holds(self, memory_bytes: float, cpus: float) -> bool:
        """Whether a job that uses so much has room on it, and takes no longer than before.

        Of CPUs there need be no more than it kept busy on average.
        """
        needed_bytes = MARGIN * memory_bytes + HOST_ITSELF_BYTES
        return self.memory_bytes >= needed_bytes and (self.cpus is None or self.cpus >= cpus)

    def is_far_too_large(self, use: Use) -> bool:
        """In memory, and in CPUs as far as their number is known."""
        idle_cpus = self.cpus is None or self.cpus >= FAR_TOO_LARGE * use.cpus
        return self.memory_bytes >= FAR_TOO_LARGE * use.memory_bytes and idle_cpus


@attrs.frozen(kw_only=True)
class HostFlavors:
    """A host's own flavor, those that are smaller, and the variable by which an author asks for one."""

    variable: str
    own: FlavorSize
    smaller: Sequence[FlavorSize]

    def hint(self, use: Use) -> str:
        """A line for the author of a job whose host was far too large; empty where it was not.

        It was not, either, where no smaller one would do.
        """
        enough = (each for each in self.smaller if each.holds(use.memory_bytes, use.cpus))
        best = min(enough, key=lambda each: each.memory_bytes, default=None)
        if best is None or not self.own.is_far_too_large(use):
            return ""
        cpus = f" and {use.cpus:.1f} of {self.own.cpus:g} CPUs on average" if self.own.cpus else ""
        return (
            f"The job used at most {memory(use.memory_bytes)} of its host's {memory(self.own.memory_bytes)} "
            f"of memory{cpus}. A smaller host costs less: {self.variable}={best.name} would do."
        )


def as_line(use: Use) -> str:
    """What the inner runner writes."""
    return (
        f"{MARK} memory_bytes={use.memory_bytes} cpu_seconds={use.cpu_seconds:.3f} "
        f"wall_seconds={use.wall_seconds:.3f}"
    )


def last_in(lines: Iterable[str]) -> Use | None:
    """What the last such line says; the inner runner's own is behind all that the job wrote."""
    found = [told for line in lines if (told := _LINE.fullmatch(line.strip()))]
    if not found:
        return None
    memory_bytes, cpu_seconds, wall_seconds = found[-1].groups()
    return Use(
        memory_bytes=int(memory_bytes), cpu_seconds=float(cpu_seconds), wall_seconds=float(wall_seconds)
    )


def flavors_as_text(flavors: HostFlavors) -> str:
    """For the host's environment; read by `flavors_in`, maybe of another version."""
    sizes = [[each.name, each.memory_bytes, each.cpus] for each in (flavors.own, *flavors.smaller)]
    return json.dumps({"variable": flavors.variable, "flavors": sizes}, separators=(",", ":"))


def flavors_in(text: str) -> HostFlavors | None:
    """None for what cannot be read: nothing depends on it but a hint."""
    try:
        found = json.loads(text)
        own, *smaller = (
            FlavorSize(name=str(name), memory_bytes=int(size), cpus=None if cpus is None else float(cpus))
            for name, size, cpus in found["flavors"][:_MOST_FLAVORS]
        )
        return HostFlavors(variable=str(found["variable"]), own=own, smaller=smaller)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None


def memory(size: float) -> str:
    """In MiB or GiB, three digits of it."""
    mib = size / 2**20
    return f"{mib:.0f} MiB" if mib < 1000 else f"{mib / 1024:.3g} GiB"
