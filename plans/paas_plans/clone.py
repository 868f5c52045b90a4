"""Copies of a plan, or any part of one: to submit again, to show, or of the work that is left.

Secrets are struck out unless they are asked for, also in what is left and where states are kept. What cannot
be told from other text is kept: secrets in names, descriptions, `meta` and errors. Keys are kept as well,
for they are unique in a plan, not among plans; requests are shared, not copied.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import attrs

from paas_plans.plan import OF_THE_ENGINE, Action, Block, CheckKind, Checks, Plan, Sequence, Status
from paas_plans.secret import scrubbed
from paas_plans.walk import Kind, with_parts

_WORK: Mapping[type, str] = {Plan: "blocks", Block: "sequences", Sequence: "actions"}


def clone(item: Kind, *, keep_secrets: bool = False, keep_state: bool = False) -> Kind:
    """One to be submitted, with `keep_secrets` if it has any; with `keep_state` one to be shown or filed."""
    item = with_parts(item, partial(clone, keep_secrets=keep_secrets, keep_state=keep_state))
    changes: dict[str, Any] = {}
    if isinstance(item, Action) and not keep_secrets:
        changes["request"] = scrubbed(item.request)
        changes["attempts"] = tuple(
            attrs.evolve(attempt, response=scrubbed(attempt.response)) for attempt in item.attempts
        )
    if not keep_state:
        fields = attrs.fields_dict(type(item))
        changes |= {name: fields[name].default for name in OF_THE_ENGINE if name in fields}
    return attrs.evolve(item, **changes)


def remaining(item: Kind, *, keep_secrets: bool = False, keep_state: bool = False) -> Kind | None:
    """A clone without what has completed; None if nothing is left to be done.

    Of a sequence the actions that did not complete stay, also where its failure was tolerated; nothing of a
    plan or block that was bypassed. Checks and deferred actions stay whole: they are of each run. A block
    whose sequences have completed, but not its checks, stays whole: what they refused is done again.
    """
    left = _left(item)
    return None if left is None else clone(left, keep_secrets=keep_secrets, keep_state=keep_state)


def _left(item: Any) -> Any:
    if isinstance(item, Action | Sequence) and _completed(item):
        return None
    if (work := _WORK.get(type(item))) is None:
        return item
    if isinstance(item, Plan | Block) and _completed(item.bypass_checks):
        return None
    parts = tuple(left for part in getattr(item, work) if (left := _left(part)) is not None)
    if not parts:
        return item if isinstance(item, Block) and _refused(item) else None
    return attrs.evolve(item, **{work: parts})


def _refused(block: Block) -> bool:
    checks: list[Checks | None] = [
        getattr(block, kind.field) for kind in CheckKind if kind is not CheckKind.BYPASS
    ]
    failed = any(found is not None and found.state.status is Status.FAILED for found in checks)
    return failed or (block.post_checks is not None and not _completed(block.post_checks))


def _completed(item: Action | Sequence | Checks | None) -> bool:
    return item is not None and item.state.status is Status.COMPLETED
