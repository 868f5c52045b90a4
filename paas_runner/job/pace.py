"""How soon something that is waited for is looked for again: in steps that grow with its age.

What has just begun may be over in a moment; what has taken an hour is found soon enough a minute later. A
wait is compared with how long others of its kind took lately, too, as far as that is known.
"""

from datetime import timedelta

import attrs

GOOD_FOR = timedelta(seconds=1)
"""How old the coordinator's last word may be when a job is pushed."""

_EARLIEST, _LATEST = 0.9, 1.1  # between these parts of the usual time it is looked for more densely
_DENSER = 4


@attrs.frozen(kw_only=True)
class Pace:
    """The steps for one kind of wait."""

    shortest: timedelta
    share: float
    """Of its age that something is found later than it came, at most."""

    shortest_when_due: timedelta
    """The same as `shortest`, around the usual time."""

    skips: bool
    """Whether it is left alone until shortly before the usual time."""

    def first(self, *, longest: timedelta, usual: timedelta | None) -> timedelta:
        """The pause before the first look; none where nothing is known, or nothing is to be waited for."""
        known_in_vain = usual is not None and self.skips and _EARLIEST * usual > self.shortest
        return self.step(timedelta(), longest=longest, usual=usual) if known_in_vain else timedelta()

    def step(self, age: timedelta, *, longest: timedelta, usual: timedelta | None) -> timedelta:
        """The pause after a look at this age; never more than `longest`, which is configured."""
        step = max(self.share * age, self.shortest)
        if usual is not None and age < _EARLIEST * usual:
            until_due = max(_EARLIEST * usual - age, self.shortest_when_due)
            step = until_due if self.skips else min(step, until_due)
        elif usual is not None and age <= _LATEST * usual:
            step = max(self.share * age / _DENSER, self.shortest_when_due)
        return min(step, longest)


READINESS = Pace(
    shortest=timedelta(seconds=0.1), share=0.1, shortest_when_due=timedelta(seconds=0.1), skips=True
)
"""Of a host, since its creation."""

FIRST_LIFE = Pace(
    shortest=timedelta(seconds=0.5), share=0.2, shortest_when_due=timedelta(seconds=0.25), skips=True
)
"""Of a job, since its launch."""

END = Pace(shortest=timedelta(seconds=1), share=0.05, shortest_when_due=timedelta(seconds=0.25), skips=False)
"""Of a job, since its launch, once it has begun."""
