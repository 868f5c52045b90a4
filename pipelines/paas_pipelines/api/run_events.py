"""`GET /runs/stream`: what happens to runs, as server-sent events, for programs and pages that follow.

An event tells how a run is now, not what was done to it, so that nothing is kept for those who listen: each
has the revision of the book that it was told last, which is also the id of the event. Who comes back with it
gets whatever has changed since; who comes without, too late, or from before a restart gets a snapshot.

    snapshot    all pipelines and jobs, as `GET /pipelines/jobs` has them
    job         one job that is new or has changed
    removed     {"id": …} of a job that is kept no longer
    pipelines   [pipeline, …], where one of them has changed
"""

import secrets
from collections.abc import AsyncGenerator

from paas_pipelines.access.identity import NOBODY, Identity
from paas_pipelines.api.rights import Rights
from paas_pipelines.api.served import Served
from paas_pipelines.api.shapes import Reads, Shapes, encoded, pieces
from paas_pipelines.api.streaming import HEARTBEAT, News, event
from paas_pipelines.runs.book import UnknownRunError

_AT_ONCE = 250
"""So many events are made before they are sent."""


class RunEvents:
    """What is told to everybody who listens."""

    def __init__(self, served: Served, shapes: Shapes) -> None:
        self._rights = Rights(served)
        self._served = served
        self._book = served.engine.book
        self._shapes = shapes
        self._life = secrets.token_hex(4)
        """Another one after each start, since revisions begin anew."""

    async def since(self, last_event_id: str, who: Identity = NOBODY) -> AsyncGenerator[bytes, None]:
        """All events after that one, without end, of what `who` may see.

        Who may not see everything begins with a snapshot, since of what was removed nobody knows any more
        whether he has seen it.
        """
        seen = None if self._rights.reads_of(who) else self._revision(last_event_id)
        told = b""
        shown: set[str] = set()
        with News(self._served.engine.changes) as news:
            while True:
                changed = None if seen is None else self._book.revisions.since(seen)
                reads = self._rights.reads_of(who)
                if changed is None:
                    seen, told = self._book.revisions.last, self._shapes.pipelines(reads)
                    shown = {run.run_id for run in self._book.runs() if reads and reads(run.pipeline)}
                    parts = await self._shapes.everything(reads)
                    await self._served.durable()
                    yield f"id: {self._id(seen)}\nevent: snapshot\ndata: ".encode()
                    for piece in pieces(parts):
                        yield piece
                    yield b"\n\n"
                    continue
                some = changed[:_AT_ONCE]
                visible = (
                    some if reads is None else [each for each in some if self._sees(each[1], reads, shown)]
                )
                events = [self._event(revision, run_id) for revision, run_id in visible]
                if told != (told := self._shapes.pipelines(reads)):
                    events.append(event("pipelines", told))
                await self._served.durable()
                if events:
                    yield b"".join(events)
                seen = some[-1][0] if some else seen
                if len(some) == len(changed) and not await news.come():
                    yield HEARTBEAT

    def _sees(self, run_id: str, reads: Reads, shown: set[str]) -> bool:
        """Whether somebody hears of a change: of a run that is gone only who was shown it."""
        try:
            run = self._book.run(run_id)
        except UnknownRunError:
            was_shown = run_id in shown
            shown.discard(run_id)
            return was_shown
        if reads(run.pipeline):
            shown.add(run_id)
            return True
        return False

    def _event(self, revision: int, run_id: str) -> bytes:
        try:
            body = self._shapes.job(self._book.run(run_id))
        except UnknownRunError:
            return event("removed", encoded({"id": run_id}), self._id(revision))
        return event("job", body, self._id(revision))

    def _id(self, revision: int) -> str:
        return f"{self._life}-{revision}"

    def _revision(self, event_id: str) -> int | None:
        life, _, revision = event_id.partition("-")
        is_ours = life == self._life and revision.isdecimal() and len(revision) < 18
        return int(revision) if is_ours else None
