"""Plans with a world that answers each of their calls, and how they must end in it by the rules alone."""

from datetime import timedelta

import attrs
from hypothesis import strategies as st
from paas_plans.plan import (
    Action,
    ActionError,
    Block,
    CheckKind,
    Checks,
    DeferredBatch,
    Plan,
    Reason,
    Sequence,
    Status,
    When,
)
from paas_plans.walk import walk

from tests.plans.generated_plans import plans
from tests.plans.played import Answer
from tests.plans.small_plans import asked_by_name


@attrs.frozen
class Behaviour:
    """Of one action: the first `failures` attempts of it fail."""

    failures: int = 0
    permanent: bool = False
    seconds: float = 1

    def answer(self, action: Action) -> Answer:
        attempt, timeout = len(action.attempts) + 1, action.timeout
        if self.is_too_slow(action):
            return Answer(error=ActionError(message="plugin execution timed out"), takes=timeout)
        fails = attempt <= self.failures
        error = ActionError(message=f"attempt {attempt}", permanent=self.permanent) if fails else None
        return Answer(error=error, takes=timedelta(seconds=self.seconds))

    def succeeds(self, action: Action) -> bool:
        if self.is_too_slow(action):
            return False
        return self.failures == 0 or (not self.permanent and self.failures <= action.retries)

    def is_too_slow(self, action: Action) -> bool:
        return self.seconds > action.timeout.total_seconds()


SECONDS = st.sampled_from([0.0, 0.5, 1.0, 1.0, 7.0])
WELL = st.builds(Behaviour, seconds=SECONDS)
ANY = WELL | WELL | st.builds(Behaviour, st.sampled_from([1, 2, 9]), st.booleans(), SECONDS)
BADLY = st.builds(Behaviour, st.just(9), st.booleans(), SECONDS)


@attrs.frozen
class Case:
    """A plan and its world."""

    plan: Plan
    behaviours: dict[str, Behaviour]

    def answer(self, action: Action, _number: int) -> Answer:
        return self.behaviours[action.name].answer(action)

    # --- how it must end --------------------------------------------------------------------------------

    def succeeds(self, part: Action | Sequence | Checks | DeferredBatch | None) -> bool:
        """Each of its actions does; what is not there does not."""
        if isinstance(part, Action):
            return self.behaviours[part.name].succeeds(part)
        return part is not None and all(map(self.succeeds, part.actions))

    def fails(self, checks: Checks | None) -> bool:
        return checks is not None and not self.succeeds(checks)

    def block_completes(self, block: Block) -> bool:
        if self.succeeds(block.bypass_checks):
            return True
        checks = (block.pre_checks, block.continuous_checks, block.post_checks, block.deferred_checks)
        failures = [self.succeeds(sequence) for sequence in block.sequences].count(False)
        return not any(map(self.fails, checks)) and not 0 <= block.tolerated_failures < failures

    def ending(self) -> tuple[Status, Reason]:
        """Where nobody stops it."""
        plan = self.plan
        if self.succeeds(plan.bypass_checks):
            return Status.COMPLETED, Reason.UNKNOWN
        reason = self._reason_of_work()
        for batch in plan.deferred_actions.batches if plan.deferred_actions else ():
            is_selected = batch.when is When.ALWAYS or (batch.when is When.ON_SUCCESS) == (reason is None)
            if is_selected and batch.fail_plan and not self.succeeds(batch):
                return Status.FAILED, Reason.DEFERRED_ACTION
        if self.fails(plan.deferred_checks) and reason in (None, Reason.BLOCK):
            reason = Reason.DEFERRED_CHECK
        return (Status.FAILED, reason) if reason else (Status.COMPLETED, Reason.UNKNOWN)

    def _reason_of_work(self) -> Reason | None:
        plan = self.plan
        if self.fails(plan.pre_checks):
            return Reason.PRE_CHECK
        if self.fails(plan.continuous_checks):
            return Reason.CONTINUOUS_CHECK
        if not all(map(self.block_completes, plan.blocks)):
            return Reason.BLOCK
        return Reason.POST_CHECK if self.fails(plan.post_checks) else None


@st.composite
def cases(draw: st.DrawFn, **how: object) -> Case:
    """Bypass checks mostly fail, that the rest is run; each action is asked by its name."""
    plan = asked_by_name(draw(plans(**how)))
    behaviours = {}
    for step in walk(plan):
        if isinstance(step.item, Action):
            of = BADLY if CheckKind.BYPASS.field in step.path else ANY
            behaviours[step.item.name] = draw(of)
    return Case(plan, behaviours)
