"""What happened to each job, as the service's log and the sandbox's books tell it. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

PHASES = ("provisioning", "provisioned", "launching", "launched", "running", "failing", "decommissioning")
"""In the order of a job's life; each one's seconds are counted."""

_MARKER = re.compile(r"section_(?:start|end):\d+:[^\r\n]*\r(?:\x1b\[0K)?")
_ERASE = "\x1b[0K"
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@attrs.frozen(kw_only=True)
class JobStory:
    """One job so far; `seconds` is how long each phase took that is over."""

    job_id: int
    name: str
    stage: str
    phase: str = "waiting"
    status: str = "created"
    flavor: str = ""
    host: str = ""
    failure_reason: str = ""
    exit_code: int | None = None
    seconds: Mapping[str, float] = attrs.field(factory=dict)

    @property
    def total(self) -> float:
        """From acquisition until the host was gone."""
        return sum(self.seconds.values())


def told(story: JobStory, event: Mapping[str, Any]) -> JobStory:
    """The story after a line of the service's log about the job."""
    phase = str(event.get("phase", story.phase))
    if phase == story.phase:
        return story
    seconds = dict(story.seconds)
    if story.phase in (*PHASES, "acquired"):
        seconds[story.phase] = seconds.get(story.phase, 0.0) + float(event.get("seconds", 0.0))
    return attrs.evolve(
        story,
        phase=phase,
        seconds=seconds,
        host=str(event.get("host", story.host)),
        flavor=str(event.get("flavor", story.flavor)),
    )


def as_author_sees_it(trace: bytes, *, colours: bool) -> Sequence[str]:
    """The log's lines without the marks that GitLab's page takes out, too."""
    text = _MARKER.sub("", trace.decode(errors="replace")).replace(_ERASE, "")
    if not colours:
        text = _COLOUR.sub("", text)
    return [line.rpartition("\r")[2] for line in text.splitlines()]


def table(stories: Iterable[JobStory]) -> Sequence[Sequence[str]]:
    """Rows for the end, the head first: who, how it ended, and where the time went."""
    head = ("job", "result", "flavor", "provision", "launch", "boot", "run", "remove", "total")
    return [head, *(_row(story) for story in stories)]


def _row(story: JobStory) -> Sequence[str]:
    def spent(*phases: str) -> str:
        seconds = [story.seconds[phase] for phase in phases if phase in story.seconds]
        return f"{sum(seconds):.1f} s" if seconds else "-"

    result = story.status
    if story.status == "failed":
        detail = f"exit code {story.exit_code}" if story.exit_code else story.failure_reason
        result = f"failed ({detail})"
    return (
        story.name,
        result,
        story.flavor or "-",
        spent("acquired", "provisioning"),
        spent("provisioned", "launching"),
        spent("launched"),
        spent("running"),
        spent("failing", "decommissioning"),
        f"{story.total:.1f} s" if story.seconds else "-",
    )
