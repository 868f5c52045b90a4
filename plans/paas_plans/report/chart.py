"""When each object of a plan was at work, as bars on one line of time."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from paas_plans.plan import Action, Item, Plan, Status
from paas_plans.report.words import outcome, span
from paas_plans.walk import walk

_LEAST_WIDTH = 0.4  # percent


def _spells(item: Item, now: datetime) -> Iterator[tuple[str, datetime, datetime]]:
    """A status or `wait`, and from when to when: the attempts of an action, or all of the work."""
    state, free = item.state, None
    for attempt in item.attempts if isinstance(item, Action) else ():
        if free:
            yield "wait", free, attempt.start
        free = attempt.end or state.end or now
        yield outcome(attempt), attempt.start, free
    if free and free < now and state.status is Status.RUNNING:
        yield "wait" if state.until else "running", free, now
    if state.start and not free:
        yield state.status.name.lower(), state.start, state.end or now


class Chart:
    """The time of a whole plan, in which each object has its place."""

    def __init__(self, plan: Plan, now: datetime) -> None:
        self._now = now
        times = [spell[1:] for step in walk(plan) for spell in _spells(step.item, now)]
        self._start = min((start for start, _ in times), default=now)
        end = max((end for _, end in times), default=now)
        self.length = max(end - self._start, timedelta(milliseconds=1))

    def bar(self, item: Item) -> str:
        """Nothing for what has not begun."""
        if not (spells := list(_spells(item, self._now))):
            return ""
        told = ", ".join(f"{words} {span(end - start)}" for words, start, end in spells)
        drawn = ""
        for words, start, end in spells:
            x = min(100 * ((start - self._start) / self.length), 100 - _LEAST_WIDTH)
            width = max(100 * ((end - start) / self.length), _LEAST_WIDTH)
            drawn += f"<rect class={words} x={x:.1f}% width={width:.1f}% />"
        return f"<svg role=img><title>After {span(spells[0][1] - self._start)}: {told}</title>{drawn}</svg>"
