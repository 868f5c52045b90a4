"""What can happen to a job: the only words by which a record changes."""

from datetime import datetime, timedelta
from typing import ClassVar, TypeAlias

import attrs

from paas_runner.job.failure import Failure
from paas_runner.job.tracked import Host, JobKey
from paas_runner.job.use import Use


@attrs.frozen
class Happened:
    """What all events have in common."""

    name: ClassVar[str]
    """In stored histories, for ever: whatever becomes of the class's name."""

    durable: ClassVar[bool] = True
    """Whether the record must be written; where not, a start finds out again what was not written."""


@attrs.frozen
class ProvisionIntended(Happened):
    """A host is about to be asked for."""

    name = "provision_intended"


@attrs.frozen(kw_only=True)
class HostCreated(Happened):
    """The executor made or found the host; `doubtful` when there may be another of its name.

    It is not asked whether it takes the job before `until`, if that is known to be in vain.
    """

    name = "host_created"
    host: Host
    doubtful: bool
    until: datetime | None = None


@attrs.frozen(kw_only=True)
class HostReady(Happened):
    """The host takes the job; `host` where more is known of it, to be written with the launch's intent."""

    name = "host_ready"
    durable = False
    host: Host | None = None


@attrs.frozen
class LaunchIntended(Happened):
    """The job is about to be pushed."""

    name = "launch_intended"


@attrs.frozen(kw_only=True)
class HostReused(Happened):
    """The job was given a host that an earlier job has left; `doubtful` as of `HostCreated`."""

    name = "host_reused"
    host: Host
    doubtful: bool


@attrs.frozen(kw_only=True)
class Launched(Happened):
    """The host has the job; no sign of life is looked for before `until`.

    `usual_life` is how long jobs of its kind took lately, from launch to end.
    """

    name = "launched"
    until: datetime | None = None
    usual_life: timedelta | None = None


@attrs.frozen
class LifeSeen(Happened):
    """The job wrote to its trace."""

    name = "life_seen"


@attrs.frozen(kw_only=True)
class Checked(Happened):
    """The coordinator says that the job is still ours to run; `canceling`: its user wants it to end.

    `usual_life` as in `Launched`, if more is known of it by now.
    """

    name = "checked"
    durable = False
    canceling: bool = False
    usual_life: timedelta | None = None


@attrs.frozen(kw_only=True)
class Unchecked(Happened):
    """The coordinator could not be asked; ask again at `until`, meanwhile go on preparing the host."""

    name = "unchecked"
    durable = False
    until: datetime


@attrs.frozen(kw_only=True)
class HostChecked(Happened):
    """The host was looked at and nothing is wrong, or it could not be; look again at `until`."""

    name = "host_checked"
    durable = False
    until: datetime


@attrs.frozen(kw_only=True)
class NotYet(Happened):
    """What was waited for has not come; look again at `until`."""

    name = "not_yet"
    durable = False
    until: datetime


@attrs.frozen(kw_only=True)
class Deferred(Happened):
    """A try failed in a way that is worth repeating, not before `until`."""

    name = "deferred"
    until: datetime
    trouble: str
    unreachable: bool = False
    """Whether no host can be made or removed: there is no account for it, or its credentials are refused."""


@attrs.frozen(kw_only=True)
class Failed(Happened):
    """The job cannot be run."""

    name = "failed"
    failure: Failure
    nothing_made: bool = False
    """Whether the host was refused before anything of it was made, so that nothing has to be removed."""


@attrs.frozen
class Ended(Happened):
    """The coordinator no longer runs the job: finished, canceled, erased."""

    name = "ended"


@attrs.frozen
class Explained(Happened):
    """The failure's text stands in the job's trace."""

    name = "explained"


@attrs.frozen
class Reported(Happened):
    """The coordinator knows that the job failed."""

    name = "reported"


@attrs.frozen(kw_only=True)
class Decommissioned(Happened):
    """No host of this job is left; `use` is what the job used of it, if that could be learned in time."""

    name = "decommissioned"
    use: Use | None = None


@attrs.frozen(kw_only=True)
class HostReleased(Happened):
    """The job is over, and its host cleaned: until then it waits for another one.

    It lives for as long as the `lease` without hearing of us. `use` as of `Decommissioned`.
    """

    name = "host_released"
    until: datetime
    lease: timedelta
    use: Use | None = None


@attrs.frozen
class HostUnfit(Happened):
    """The host is not to be used again: its job did not succeed, or it could not be proved clean."""

    name = "host_unfit"


@attrs.frozen(kw_only=True)
class HostRenewed(Happened):
    """The host on standby has heard of us, and lives on for as long as its lease."""

    name = "host_renewed"
    durable = False
    lease: timedelta


@attrs.frozen(kw_only=True)
class StandbyOver(Happened):
    """The host has waited long enough; `why` is for the operator."""

    name = "standby_over"
    why: str


@attrs.frozen(kw_only=True)
class HostTaken(Happened):
    """The host on standby is another job's from now on."""

    name = "host_taken"
    by: JobKey


@attrs.frozen
class HostLeft(Happened):
    """The host was left in place because the configuration says so."""

    name = "host_left"


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
    | HostReused
    | HostReleased
    | HostUnfit
    | HostRenewed
    | StandbyOver
    | HostTaken
    | HostLeft
)
