"""Whether a runner's section is this process's: always, unless several share a store (room `leases`).

Dispatch asks before each effect that changes something outside, and says when the store has refused a write
as another's. What comes of that, the owner of the leases decides: it takes the section out of dispatch.

So a process that slept through its lease does at most once more what it was about to do: an action that may
be repeated, as after a crash. The next record that it writes is refused.
"""

from paas_runner.job.decision import Action

HARMLESS = frozenset(
    {
        Action.TOUCH,
        Action.CHECK_READY,
        Action.LOOK_FOR_LIFE,
        Action.CHECK_STATUS,
        Action.CHECK_HOST,
    }
)
"""What two processes may do for one job at the same time: it keeps the job alive, or only looks."""

UNSURE_SECONDS = 1.0
"""How often a loop looks again while it may do nothing."""


class Tenure:
    """Of the only process: it has all sections, for ever."""

    def holds(self, runner: str) -> bool:  # noqa: ARG002 - whoever shares a store looks at it
        """Whether nobody else can have taken the section by now, as far as the own clock tells."""
        return True

    async def confirm(self, runner: str) -> None:
        """For what is done without a record before it: raises `StoreError` unless the store says so, too."""

    def lost(self, runner: str) -> None:
        """A write was refused: somebody else has the section."""

    def arrived(self, runner: str) -> None:
        """A job was recorded under our lease for a section that is not served, or not yet."""


SOLE = Tenure()
