"""Whatever people, time, restarts and new definitions do, approvals are as the simplest reading has them."""

from datetime import timedelta

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from paas_pipelines.definitions.automation import Approval, OnDeadline, TaskType
from paas_pipelines.definitions.definition import TaskDefinition
from paas_pipelines.runs.approving import DecisionRefusedError
from paas_pipelines.runs.engine import AlreadyCompletedError
from paas_pipelines.runs.run import Run
from paas_pipelines.store.codec import records, to_text

from tests.paas_pipelines.worlds.engine_by_hand import BEGINNING, ByHand, defined, task
from tests.support.often import often

PEOPLE = ("ann", "bob", "cat")
STARTER = "ann"
APPROVED, REJECTED = "approved", "rejected"


@attrs.define(eq=False)
class Asked:
    """What a blocked task waits for, in the simplest words."""

    approval: Approval
    until: object
    said: list[tuple[str, bool]] = attrs.field(factory=list)
    over: str = ""
    reopened: bool = False

    def take(self, user, approved):
        """The status of the answer."""
        if (user, approved) == next((each for each in reversed(self.said) if each[0] == user), None):
            return 200 if self.over != "late" else 409
        if self.over:
            return 409
        if self.approval.four_eyes and user == STARTER:
            return 403
        self.said.append((user, approved))
        if not approved:
            self.over = REJECTED
        elif len({name for name, _ in self.said}) >= self.approval.count:
            self.over = APPROVED
        return 200


@attrs.define(eq=False)
class ModelRun:
    """plan, then the question, then apply."""

    approval: Approval
    plan: str = "running"
    ok: str = "waiting"
    apply: str = "waiting"
    asked: Asked | None = None
    ended: bool = False

    @property
    def statuses(self):
        return {"plan": self.plan, "ok": self.ok, "apply": self.apply}

    def is_late(self):
        self.asked.over = "late"
        agreed = self.approval.on_deadline is OnDeadline.APPROVE
        self.decided(APPROVED if agreed else REJECTED)

    def decided(self, over):
        if over == APPROVED:
            self.ok, self.apply = "done", "running"
        else:
            self.ok, self.apply, self.ended = "error", "canceled", True


APPROVALS = st.builds(
    Approval,
    count=st.integers(1, 3),
    four_eyes=st.booleans(),
    deadline=st.sampled_from([timedelta(seconds=30), timedelta(hours=3)]),
    on_deadline=st.sampled_from(OnDeadline),
)
ANY = st.integers(0, 99)


def definition_of(approval):
    asks = TaskDefinition(type=TaskType.APPROVAL, depends_on=("plan",), approval=approval)
    plan = task(runner="elsewhere")  # which goes on while the server is killed
    return defined(tasks={"plan": plan, "ok": asks, "apply": task("ok", runner="elsewhere")}, concurrency=99)


class PeopleAndModel(RuleBasedStateMachine):
    """Both are told the same, and must be in the same state after each word."""

    @initialize(approval=APPROVALS)
    def begins(self, approval):
        self.runs, self.digests = {}, {}
        self.by_hand = ByHand(definition_of(approval))
        self.approval = approval

    # --- what happens --------------------------------------------------------------------------------------

    @rule(so_far=st.sampled_from([0, 1, 2, 2, 2]))
    def starts(self, so_far):
        run_id = self.by_hand.schedule(user=STARTER)
        self.runs[run_id] = ModelRun(self.approval)
        if so_far > 0:
            self._plan_ends(run_id, so_far)
        if so_far > 1:
            self.questions_are_brought_to_people()

    @precondition(lambda self: self.runs)
    @rule(which=ANY)
    def plan_ends(self, which):
        run_id, model = self._chosen(which)
        if model.plan == "running" and not model.ended:
            self._plan_ends(run_id, which)

    def _plan_ends(self, run_id, number):
        self.by_hand.ends(run_id, "plan", outputs={"number": number})
        self.runs[run_id].plan, self.runs[run_id].ok = "done", "running"

    @rule()
    def questions_are_brought_to_people(self):
        """As the conductor does it."""
        for run_id, name in self.by_hand.asked_of_the_world()[0]:
            if name == "ok":
                self.by_hand.engine.ask(run_id, name, "")
                model = self.runs[run_id]
                model.ok = "blocked"
                model.asked = Asked(model.approval, self.by_hand.now + model.approval.deadline)

    @precondition(lambda self: self.runs)
    @rule(which=ANY, user=st.sampled_from(PEOPLE), approved=st.sampled_from([True, True, False]))
    def somebody_decides(self, which, user, approved):
        run_id, model = self._chosen(which)
        asked = self.by_hand.run(run_id).task("ok").asked
        digest = asked.digest if asked else ""
        answer = self._answer(run_id, user, approved, digest)
        if model.asked is None or (model.ended and model.ok == "canceled"):
            assert answer == 409
            return
        was_over = model.asked.over
        assert model.asked.take(user, approved) == answer
        if model.asked.over and not was_over:
            model.decided(model.asked.over)

    @precondition(lambda self: self.runs)
    @rule(which=ANY, user=st.sampled_from(PEOPLE))
    def somebody_decides_what_was_seen_before(self, which, user):
        run_id, model = self._chosen(which)
        seen = self.digests.get(run_id, set())
        asked = self.by_hand.run(run_id).task("ok").asked
        if asked is None and model.plan == "done":
            return
        stale = next((each for each in sorted(seen) if asked is None or each != asked.digest), None)
        mine = [each for each in model.asked.said if each[0] == user] if model.asked else []
        if stale is None or mine:
            return
        before = self.by_hand.run(run_id)
        assert self._answer(run_id, user, True, stale) in (403, 409)
        assert self.by_hand.run(run_id) == before

    def _answer(self, run_id, user, approved, digest):
        try:
            self.by_hand.engine.decide(run_id, "ok", user=user, approved=approved, digest=digest)
        except DecisionRefusedError as error:
            return error.status
        return 200

    @rule(seconds=st.sampled_from([1, 29, 31, 3600, 7300]))
    def time_passes(self, seconds):
        self.by_hand.passes(seconds)
        for model in self.runs.values():
            if model.ok == "blocked" and model.asked.until <= self.by_hand.now:
                model.is_late()

    @rule(seconds=st.sampled_from([0, 31, 20_000]))
    def the_server_is_killed(self, seconds):
        """What comes back has been a text."""
        self.by_hand.now += timedelta(seconds=seconds)
        texts = {run.run_id: to_text(run) for run in self.by_hand.engine.book.runs()}
        stored = sorted(records(texts, Run, "run"), key=lambda run: run.number)
        again = ByHand(*self.by_hand.engine.definitions.values(), stored=stored)
        again.now = self.by_hand.now
        again.engine.recover()
        self.by_hand = again
        for model in self.runs.values():
            if model.ok == "blocked" and model.asked.until <= again.now:
                if model.asked.reopened:
                    model.is_late()
                else:
                    model.asked.reopened, model.asked.until = True, again.now + timedelta(hours=1)

    @rule(approval=APPROVALS)
    def the_definition_changes(self, approval):
        """For runs that are still to start."""
        self.approval = approval
        self.by_hand.reload(definition_of(approval))

    @precondition(lambda self: self.runs)
    @rule(which=ANY)
    def somebody_cancels(self, which):
        run_id, model = self._chosen(which)
        try:
            self.by_hand.engine.cancel(run_id)
        except AlreadyCompletedError:
            return
        for name in self.by_hand.asked_of_the_world()[1]:
            if name[0] == run_id:
                self.by_hand.stops(*name)
        ended = {"running": "canceled", "waiting": "canceled", "blocked": "canceled"}
        model.plan, model.ok, model.apply = (
            ended.get(each, each) for each in (model.plan, model.ok, model.apply)
        )
        model.ended = True

    def _chosen(self, which):
        open_ones = [run_id for run_id, model in self.runs.items() if model.ok == "blocked"]
        chosen = open_ones if open_ones and which % 4 else list(self.runs)
        run_id = chosen[which % len(chosen)]
        return run_id, self.runs[run_id]

    # --- what always holds ---------------------------------------------------------------------------------

    @invariant()
    def both_are_in_the_same_state(self):
        for run_id, model in self.runs.items():
            run = self.by_hand.run(run_id)
            assert self.by_hand.statuses(run_id) == model.statuses
            if asked := run.task("ok").asked:
                self.digests.setdefault(run_id, set()).add(asked.digest)
            said = [(each.user, each.approved) for each in asked.decisions] if asked else []
            assert said == (model.asked.said if model.asked else [])

    @invariant()
    def what_is_open_is_what_is_blocked(self):
        blocked = {run_id for run_id, model in self.runs.items() if model.ok == "blocked"}
        assert {run.run_id for run, _ in self.by_hand.engine.blocked()} == blocked
        moments = [self.runs[run_id].asked.until for run_id in blocked]
        assert self.by_hand.engine.next_moment() == min(moments, default=None)
        assert self.by_hand.now >= BEGINNING


TestApprovals = PeopleAndModel.TestCase
TestApprovals.settings = settings(max_examples=often(40), stateful_step_count=30)
