"""The one place for a job on a host that stays, as a value and a table of what may become of it.

A job is there from its launch until it is forgotten and nothing of it is left. A job that was there before is
never started again, whoever asks: an answer or a request may have been late. What cannot be known to be gone
ends the taking of jobs for ever.
"""

import enum
from collections.abc import Mapping

import attrs

from paas_runner.errors import IllegalTransitionError
from paas_runner.helper.protocol import JobKey

LOST = 137
"""The exit code of a job whose processes died with the service: of a program that was killed."""

MOST_REMEMBERED = 1000


class Stage(enum.StrEnum):
    """What is true of the place."""

    FREE = "free"
    RUNNING = "running"
    ENDED = "ended"  # its outcome is kept until it is forgotten
    CLEANING = "cleaning"  # forgotten; what is left of it is being removed
    UNCLEAN = "unclean"  # for ever


class Change(enum.StrEnum):
    """What happens to it."""

    LAUNCHED = "launched"
    ENDED = "ended"
    FORGOTTEN = "forgotten"
    CLEANED = "cleaned"
    NOT_CLEANED = "not cleaned"


NEXT: Mapping[Stage, Mapping[Change, Stage]] = {
    Stage.FREE: {Change.LAUNCHED: Stage.RUNNING},
    Stage.RUNNING: {Change.ENDED: Stage.ENDED, Change.FORGOTTEN: Stage.CLEANING},
    Stage.ENDED: {Change.FORGOTTEN: Stage.CLEANING},
    Stage.CLEANING: {
        Change.ENDED: Stage.CLEANING,  # it was still running when it was forgotten
        Change.CLEANED: Stage.FREE,
        Change.NOT_CLEANED: Stage.UNCLEAN,
    },
    Stage.UNCLEAN: {},
}


class Verdict(enum.StrEnum):
    """What a request to launch a job comes to."""

    START = "start"
    THERE = "there"  # the same job: nothing is to be done
    BEFORE = "before"  # the same job, and it is over
    FULL = "full"
    UNCLEAN = "unclean"


@attrs.frozen(kw_only=True)
class Slot:
    """The place, and what it remembers."""

    stage: Stage = Stage.FREE
    job: JobKey | None = None
    """None while it is free."""

    exit_code: int | None = None
    """The job's, once it has ended."""

    doubt: str = ""
    """Why it cannot be known that nothing is left of the job, whatever is removed; why a place is unclean."""

    before: tuple[JobKey, ...] = ()
    """The last jobs that were forgotten, the latest at the end."""

    @property
    def known(self) -> JobKey | None:
        """The job that can be asked about."""
        return self.job if self.stage in (Stage.RUNNING, Stage.ENDED) else None

    def verdict(self, job: JobKey) -> Verdict:
        """What to do when someone wants this job to be launched."""
        if job == self.known:
            return Verdict.THERE
        if job in self.before:
            return Verdict.BEFORE
        if self.stage is Stage.UNCLEAN:
            return Verdict.UNCLEAN
        return Verdict.START if self.stage is Stage.FREE else Verdict.FULL

    def launched(self, job: JobKey, doubt: str = "") -> "Slot":
        """From now on the job may run."""
        return attrs.evolve(self._next(Change.LAUNCHED), job=job, doubt=doubt, exit_code=None)

    def ended(self, exit_code: int) -> "Slot":
        """The job runs no more."""
        return attrs.evolve(self._next(Change.ENDED), exit_code=exit_code)

    def forgotten(self) -> "Slot":
        """Nobody will ask for the outcome again."""
        before = (*self.before, self.job) if self.job else self.before
        return attrs.evolve(self._next(Change.FORGOTTEN), before=before[-MOST_REMEMBERED:])

    def cleaned(self, left: str) -> "Slot":
        """Nothing of the job is left, or what is, in words; a doubt is as good as that."""
        if doubt := left or self.doubt:
            return attrs.evolve(self._next(Change.NOT_CLEANED), doubt=doubt)
        return attrs.evolve(self._next(Change.CLEANED), job=None, exit_code=None)

    def after_restart(self) -> "Slot":
        """What a service finds that was not there for a while: its job's processes died with it."""
        return self.ended(LOST) if self.stage is Stage.RUNNING else self

    def _next(self, change: Change) -> "Slot":
        try:
            return attrs.evolve(self, stage=NEXT[self.stage][change])
        except KeyError:
            raise IllegalTransitionError(f"the place for a job: {change} while {self.stage}") from None
