"""What can happen to a job: the only words by which a record changes."""

from datetime import datetime
from typing import TypeAlias

import attrs

from paas_runner.job.failure import Failure
from paas_runner.job.tracked import Host


@attrs.frozen
class ProvisionIntended:
    """A host is about to be asked for."""


@attrs.frozen(kw_only=True)
class HostCreated:
    """The executor made or found the host; `doubtful` when there may be another of its name."""

    host: Host
    doubtful: bool


@attrs.frozen
class HostReady:
    """The host takes the job."""


@attrs.frozen
class LaunchIntended:
    """The job is about to be pushed."""


@attrs.frozen
class Launched:
    """The host has the job."""


@attrs.frozen
class LifeSeen:
    """The job wrote to its log."""


@attrs.frozen(kw_only=True)
class Checked:
    """The coordinator says that the job is still ours to run; `canceling`: its user wants it to end."""

    canceling: bool = False


@attrs.frozen(kw_only=True)
class Unchecked:
    """The coordinator could not be asked; ask again at `until`, meanwhile go on preparing the host."""

    until: datetime


@attrs.frozen(kw_only=True)
class HostChecked:
    """The host was looked at and nothing is wrong, or it could not be; look again at `until`."""

    until: datetime


@attrs.frozen(kw_only=True)
class NotYet:
    """What was waited for has not come; look again at `until`."""

    until: datetime


@attrs.frozen(kw_only=True)
class Deferred:
    """A try failed in a way that is worth repeating, not before `until`."""

    until: datetime
    trouble: str


@attrs.frozen(kw_only=True)
class Failed:
    """The job cannot be run."""

    failure: Failure


@attrs.frozen
class Ended:
    """The coordinator no longer runs the job: finished, cancelled, erased."""


@attrs.frozen
class Explained:
    """The failure's text stands in the job's log."""


@attrs.frozen
class Reported:
    """The coordinator knows that the job failed."""


@attrs.frozen
class Decommissioned:
    """No host of this job is left."""


@attrs.frozen
class HostLeft:
    """The host was left in place because the configuration says so."""


Event: TypeAlias = (
    ProvisionIntended
    | HostCreated
    | HostReady
    | LaunchIntended
    | Launched
    | LifeSeen
    | Checked
    | Unchecked
    | HostChecked
    | NotYet
    | Deferred
    | Failed
    | Ended
    | Explained
    | Reported
    | Decommissioned
    | HostLeft
)
