"""How pages and terminals call things: objects, how much of them is done, spans of time."""

from datetime import timedelta

from paas_plans.plan import CHILDREN, Action, ActionError, Attempt, Item, Status

SYMBOLS = dict(zip(Status, "○◐✓✕■", strict=True))


def progress(item: Item) -> str:
    """`3 of 10 sequences, 1 failed`; of an action, how often it was tried."""
    if isinstance(item, Action):
        return f"{len(item.attempts)} attempts" if len(item.attempts) > 1 else ""
    field = next(name for name in CHILDREN[type(item)] if isinstance(getattr(item, name), tuple))
    statuses = [part.state.status for part in getattr(item, field)]
    done, failed = statuses.count(Status.COMPLETED), statuses.count(Status.FAILED)
    told = f"{done} of {len(statuses)} {field}{f', {failed} failed' if failed else ''}"
    return "bypassed" if bypassed(item) else told


def bypassed(item: Item) -> bool:
    """Whether its bypass checks have found that there is nothing to do."""
    checks = getattr(item, "bypass_checks", None)
    return checks is not None and checks.state.status is Status.COMPLETED


def outcome(attempt: Attempt) -> str:
    return "failed" if attempt.error else "completed" if attempt.end else "running"


def words_of(error: ActionError) -> str:
    """`connection refused (permanent, code 111, cause: ...)`."""
    more = ["permanent"] * error.permanent + [f"code {error.code}"] * bool(error.code)
    more += [f"cause: {error.cause}"] * bool(error.cause)
    return error.message + (f" ({', '.join(more)})" if more else "")


def span(time: timedelta) -> str:
    """`0.25 s`, `12.5 s`, `2 min 5 s`, `3 h 0 min`, `2 d 4 h`."""
    if (seconds := max(time.total_seconds(), 0)) < 60:
        return f"{round(seconds, 3):.3g} s"
    minutes, hours, days = (int(seconds // unit) for unit in (60, 3600, 86400))
    if days:
        return f"{days} d {hours % 24} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min {int(seconds) % 60} s"
