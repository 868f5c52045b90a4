"""A plan that failed is tried again as a new plan: what remains of it, with its secrets."""

import attrs
import pytest
from paas_plans import (
    HIDDEN,
    Builder,
    MemoryStore,
    PlanRefusedError,
    Reason,
    Registry,
    Sequence,
    Status,
    Workstream,
    clone,
    items,
    remaining,
    secret,
)

from paas_runner.testing.virtual_time import virtual_now
from tests.plans.plugins import Works, in_virtual_time, raising


@attrs.frozen
class LogIn:
    host: str
    password: str = secret()


@in_virtual_time
async def test_what_remained_of_a_failed_plan_is_submitted_as_a_new_one_and_completes_it() -> None:
    copies = Works("copies", request_type=LogIn)
    starts = Works("starts", raising(ConnectionError("refused"), None), request_type=LogIn)
    tells = Works("tells")
    builder = Builder("roll-out", "Upgrades two hosts").block("hosts", "One after the other")
    for host in ("a", "b"):
        request = LogIn(host, "tr0ub4dor")
        builder.sequence(f"host {host}", "Copies and starts")
        builder.action("copy", "Copies", "copies", request).action("start", "Starts", "starts", request).up()
    builder.up().deferred_actions().batch("tell", "Tells", "always").action("tell", "Tells", "tells")
    async with Workstream(MemoryStore(), Registry(copies, starts, tells), now=virtual_now) as workstream:
        failed = await workstream.run(builder.plan())
        assert (failed.state.status, failed.reason) == (Status.FAILED, Reason.BLOCK)
        assert [len(plugin.calls) for plugin in (copies, starts, tells)] == [1, 1, 1]

        rest = remaining(failed, keep_secrets=True)
        assert rest is not None
        assert [[action.name for action in sequence.actions] for sequence in items(rest, Sequence)] == [
            ["start"],
            ["copy", "start"],
        ]
        again = await workstream.run(rest)
        assert (again.state.status, again.id != failed.id) == (Status.COMPLETED, True)
        assert [len(plugin.calls) for plugin in (copies, starts, tells)] == [2, 3, 2]
        assert remaining(again) is None


@in_virtual_time
async def test_a_plan_without_its_secrets_is_not_run_with_what_stands_in_for_them() -> None:
    copies = Works("copies", request_type=LogIn)
    builder = Builder("copy", "To a host").block("hosts", "One").sequence("host a", "The host")
    plan = builder.action("copy", "Copies", "copies", LogIn("a", "tr0ub4dor")).plan()
    async with Workstream(MemoryStore(), Registry(copies), now=virtual_now) as workstream:
        done = await workstream.run(plan)
        bare = clone(done)
        assert HIDDEN in repr(attrs.asdict(bare.blocks[0]))
        with pytest.raises(PlanRefusedError, match="keep_secrets=True"):
            await workstream.submit(bare)
        assert (await workstream.run(clone(done, keep_secrets=True))).state.status is Status.COMPLETED
