"""One container, run once and removed in every case: what is asked of a place that runs containers.

    prepare → create → start → lines, wait → remove

`docker/` and `kubernetes/` each have a place. A container's name follows from what it is for, so whoever was
killed finds it again: to create or to start what is there already changes nothing, and its lines begin at its
first one. All calls raise `Transient` where the place could not be asked, and `Rejected` where it says no.
"""

import enum
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Protocol

import attrs

from paas_runner.secret import Secret


class Stream(enum.StrEnum):
    """Where a container has written; a place that cannot tell says `OUTPUT`."""

    OUTPUT = "stdout"
    ERRORS = "stderr"


@attrs.frozen
class Line:
    """What a container has written, without the end of the line."""

    text: bytes
    stream: Stream = Stream.OUTPUT


@attrs.frozen(kw_only=True)
class Parcel:
    """The files of a container, where a place cannot copy any in or out: only Kubernetes looks at it."""

    folder: str
    """A volume of its own. In it the program leaves `archive`, and then, in every case, `ended`."""

    content: bytes = attrs.field(default=b"", repr=False)
    """An archive that it finds, in parts."""

    leaves: bool = False
    """Whether an archive is fetched that it leaves."""


@attrs.frozen(kw_only=True)
class Wanted:
    """The container to be."""

    name: str
    image: str
    """With its tag or digest."""

    environment: Mapping[str, Secret] = attrs.field(factory=dict)
    labels: Mapping[str, str] = attrs.field(factory=dict)
    volumes: Sequence[str] = ()
    """As `docker run --volume` takes them: `source:target[:options]`."""

    parcel: Parcel | None = None
    takes_input: bool = False
    """Whether something is to be written to its standard input."""

    command: Sequence[str] | None = None
    """What runs in it, instead of the image's entrypoint and command; None: what the image has."""

    platform: str = ""
    """Of the image, such as `linux/arm64`; empty: the place's own. Only Docker looks at it."""

    ends_after: timedelta | None = None
    """How long after its start the place itself ends it, though nobody asks any more; None: never."""


@attrs.frozen(kw_only=True)
class Image:
    """What is known of an image before anything runs; `environment` is None where a place cannot look."""

    environment: Mapping[str, str] | None = None


@attrs.frozen(kw_only=True)
class Ended:
    """How a container has ended."""

    code: int
    cause: str = ""
    """In words where it did not end by itself: killed for its memory, evicted; empty otherwise."""


def by_signal(code: int) -> str:
    """The cause of an end with a code above 128, as shells and engines have it; empty for any other."""
    try:
        return f"it was ended by {signal.Signals(code - 128).name}"
    except ValueError:
        return ""


class Place(Protocol):
    """Where containers run."""

    async def prepare(self, wanted: Wanted) -> Image:
        """The image is there, or will be; `Rejected` where the container can never be had as it is wanted."""
        ...

    async def create(self, wanted: Wanted) -> None:
        """The container exists, and does not run unless it did before."""
        ...

    async def start(self, name: str, data: bytes | None = None) -> None:
        """It runs, or has run; `data` is all of its standard input, which is closed then."""
        ...

    def lines(self, name: str) -> AsyncIterator[Line]:
        """All that it writes from its beginning to its end, each line once, in the order of each stream."""
        ...

    async def wait(self, name: str, limit: timedelta | None = None) -> Ended | None:
        """How it has ended; None when it still runs `limit` after its start, whoever was there meanwhile."""
        ...

    async def stop(self, name: str, grace: timedelta) -> None:
        """It is asked to end, and made to after `grace`."""
        ...

    async def remove(self, name: str) -> None:
        """Nothing is left of it; nothing happens where nothing was."""
        ...
