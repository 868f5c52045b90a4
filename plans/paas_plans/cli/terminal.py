"""Plans in a terminal: a row each, a tree, and one that is drawn again while it changes."""

import os
import shutil
import sys
from datetime import datetime

from paas_plans.plan import Action, Path, Plan, Status
from paas_plans.report.words import SYMBOLS, progress, span, words_of
from paas_plans.stores.protocol import Summary
from paas_plans.walk import Step, items, names, walk

_COLOURS = dict(zip(Status, (90, 34, 32, 31, 33), strict=True))
_TIME = "%Y-%m-%d %H:%M:%S"


def row(plan: Summary) -> str:
    """Of a list; the end of the id is what differs most."""
    took = span(plan.end - plan.start) if plan.start and plan.end else ""
    why = f" ({plan.reason.words})" if plan.reason else ""
    state = f"{_sign(plan.status)} {plan.status.words:<11}  {plan.submitted:{_TIME}}  {took:>11}"
    return f"{plan.id.hex[-12:]}  {state}  {_clean(plan.name)}{why}"


def tree(plan: Plan, now: datetime) -> str:
    """All of its objects, each with when it began, how far it is, and its last error."""
    return "\n".join(_indented(step, now) for step in walk(plan))


def _indented(step: Step, now: datetime) -> str:
    return _line(step, now, f"{'  ' * len(step.parents)}{names(step)[-1]}")


def _line(step: Step, now: datetime, name: str) -> str:
    item, state, attempts = step.item, step.item.state, getattr(step.item, "attempts", ())
    told = [state.status.words, progress(item), span((state.end or now) - state.start) if state.start else ""]
    told += [f"waits until {state.until:%H:%M:%S}"] if state.until else []
    told += [f"reason: {item.reason.words}"] if isinstance(item, Plan) and item.reason else []
    told += [words_of(attempts[-1].error)] if attempts and attempts[-1].error else []
    begun = f"{state.start:{_TIME}}" if state.start else ""
    return f"{_sign(state.status)} {begun:19}  {_clean(name)}: {_clean(', '.join(filter(None, told)))}"


def _sign(status: Status) -> str:
    is_plain = not sys.stdout.isatty() or os.environ.get("NO_COLOR")
    return SYMBOLS[status] if is_plain else f"\x1b[{_COLOURS[status]}m{SYMBOLS[status]}\x1b[0m"


def _clean(text: str) -> str:
    """Nothing in it moves a cursor."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


class Watcher:
    """Shows a plan again and again: in one place of a terminal; elsewhere, a line for each change."""

    def __init__(self) -> None:
        self._lines = 0
        self._known: dict[Path, tuple[Status, int]] = {}

    def show(self, plan: Plan, now: datetime) -> None:
        (self._draw if sys.stdout.isatty() else self._tell)(plan, now)

    def _tell(self, plan: Plan, now: datetime) -> None:
        for step in walk(plan):
            known = (step.item.state.status, len(getattr(step.item, "attempts", ())))
            if known != self._known.get(step.path, (Status.NOT_STARTED, 0)):
                print(_line(step, now, " › ".join(names(step)[1:]) or plan.name), flush=True)
            self._known[step.path] = known

    def _draw(self, plan: Plan, now: datetime) -> None:
        """How much of it has ended, and all that runs, as far as there is room."""
        shown = [step for step in walk(plan) if step.item is plan or step.item.state.status is Status.RUNNING]
        ended = [action.state.status.is_terminal for action in items(plan, Action)]
        bar = "█" * (30 * sum(ended) // len(ended))
        lines = [f"{bar:░<30}  {sum(ended)} of {len(ended)} actions have ended"]
        lines += [_indented(step, now) for step in shown[: shutil.get_terminal_size().lines - 2]]
        up = f"\x1b[{self._lines}A" if self._lines else ""
        text = "".join(f"\x1b[2K{line}\n" for line in lines)
        sys.stdout.write(f"\x1b[?7l{up}{text}\x1b[J\x1b[?7h")  # unwrapped: a line each, however narrow it is
        sys.stdout.flush()
        self._lines = len(lines)
