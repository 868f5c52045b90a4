"""What each helper has done: the jobs that it has begun, in their order, and what they found of each other.

Nothing is forgotten, so that a test can ask afterwards whether a job was begun twice, or met another's files.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime

import attrs

from paas_runner.helper.protocol import JobKey
from paas_runner.sandbox.helpers.manners import Manners


@attrs.define(kw_only=True, eq=False)
class Turn:
    """One job on one helper."""

    job: JobKey
    taken_at: datetime
    begun_at: datetime | None = None
    """None where the helper only says so."""

    ended_at: datetime | None = None
    exit_code: int | None = None
    """None where it did not come to its end."""

    forgotten_at: datetime | None = None
    met: Sequence[JobKey] = ()
    """Whose files were there."""


@attrs.define(kw_only=True, eq=False)
class HelperLife:
    """One start of the helper service, on a machine of its own."""

    app_id: str
    host: str
    """The name of its application."""

    instance: str
    manners: Manners
    started_at: datetime
    heard_at: datetime
    """When somebody who has the token asked it something last."""

    ended_at: datetime | None = None
    turns: list[Turn] = attrs.field(factory=list)


class HelperBook:
    """Of all helpers of one cloud, in the order of their starts."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.lives: list[HelperLife] = []
        self.app_ids: set[str] = set()
        """The applications whose program is the helper service."""

        self.refused_starts = 0
        """How many helpers were started too late, and ended at once."""

    @property
    def turns(self) -> Sequence[Turn]:
        """All of them."""
        return [turn for life in self.lives for turn in life.turns]

    @property
    def begun(self) -> Counter[JobKey]:
        """How often each job was begun."""
        return Counter(turn.job for turn in self.turns if turn.begun_at)

    @property
    def reused(self) -> int:
        """How many jobs had a helper that had had another."""
        return sum(max(0, len(life.turns) - 1) for life in self.lives)

    def lives_of(self, app_id: str) -> Sequence[HelperLife]:
        """Those of one application."""
        return [life for life in self.lives if life.app_id == app_id]
