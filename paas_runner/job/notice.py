"""What is told to whoever is to be woken: that something went wrong, has begun to be wrong, or is over.

Some things happen (a launch failed), others last (a coordinator cannot be reached). Of what lasts its
beginning and its end are told, of what happens how often it did.
"""

import enum
from collections.abc import Mapping, Sequence
from datetime import datetime

import attrs


class NoticeKind(enum.StrEnum):
    """All that a receiver may be told of, by the words of the configuration."""

    LAUNCH_FAILED = "launch_failed"
    HOST_LOST = "host_lost"
    HOST_LEFT = "host_left"
    ORPHAN_FOUND = "orphan_found"
    JOB_LOST = "job_lost"
    QUOTA_EXHAUSTED = "quota_exhausted"
    COORDINATOR_FAILING = "coordinator_failing"
    CLOUD_FAILING = "cloud_failing"
    STORE_UNWRITABLE = "store_unwritable"
    STORE_UNREACHABLE = "store_unreachable"
    TAKEN_OVER = "taken_over"
    NO_STANDBY = "no_standby"
    COST_ABOVE = "cost_above"
    DRAIN_DONE = "drain_done"
    TEST = "test"


TOLD: Sequence[NoticeKind] = [kind for kind in NoticeKind if kind is not NoticeKind.TEST]
"""Of what a receiver may want to hear; of a test it hears when one is wanted."""


class NoticeState(enum.StrEnum):
    """What became of it."""

    HAPPENED = "happened"
    BEGUN = "begun"
    OVER = "over"


@attrs.frozen(kw_only=True)
class JobMention:
    """By what an operator finds a job and its host."""

    runner: str
    """What people call it."""

    job: int
    host: str = ""


@attrs.frozen(kw_only=True)
class Notice:
    """One thing to tell. Whatever an author of a job may have written is in `why` alone."""

    kind: NoticeKind
    state: NoticeState
    subject: str
    """Such as the name of a runner; empty for the service as a whole."""

    since: datetime
    until: datetime
    """Of what has begun: the moment at which it is told."""

    count: int = 1
    jobs: Sequence[JobMention] = ()
    """The first ones."""

    why: str = ""
    """Of the first time."""


@attrs.frozen(kw_only=True)
class KeptNotices:
    """All that a store keeps for one receiver."""

    book: str = ""
    """What it knows already, and is about to be told."""

    pending: Mapping[str, str] = attrs.field(factory=dict)
    """Documents by the ids of their deliveries, oldest first."""
