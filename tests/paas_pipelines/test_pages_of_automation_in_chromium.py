"""The pages on which people decide, in a real browser: for eyes and keyboards, and without JavaScript."""

import attrs
import pytest
from paas_pipelines.access.policy import Access
from paas_pipelines.access.statements import Statement
from paas_pipelines.runs.run import TaskStatus
from paas_pipelines.triggers.event import EventState
from paas_pipelines.triggers.feed import Feed

from tests.paas_pipelines.test_automation_endpoints import DEPLOY, blocked
from tests.paas_pipelines.test_pages_in_chromium import DESK, Looking, axe, hindrances  # noqa: F401 - a fixture
from tests.support.browser import browser
from tests.support.pipeline_pages import visiting
from tests.support.requirements import need
from tests.support.served_pipelines import served

pytestmark = pytest.mark.long

EVERYBODY = Access((Statement(identity=("*",), role="admin", resource=("*",)),))


@pytest.fixture
async def deciding(tmp_path):
    need("chromium")
    parts = served(tmp_path, DEPLOY, access=EVERYBODY)
    parts = attrs.evolve(parts, feed=await Feed.opened(parts.engine, parts.journal, parts.clock))
    async with visiting(parts) as visited, browser(tmp_path / "profile") as tab:
        looking = Looking(tab, visited)
        await tab.look_like(width=DESK)
        yield looking
        refused = [
            each for each in tab.messages if "Content Security" in str(each) or "exception" in str(each)
        ]
        assert refused == []


async def test_nothing_keeps_anybody_out_of_what_they_decide(deciding, axe):  # noqa: F811
    world, feed = deciding.world, deciding.world.served.feed
    run_id = blocked(world)
    output = world.served.logs.output(run_id, "plan")
    output.stdout(b"+ 3 to add\n" + b"long " * 500)
    output.close()
    event = feed.fire("deploy", "night", "ada")
    feed.book.save(attrs.evolve(event, state=EventState.DEAD, attempts=5, error="no " * 100))
    world.served.audit.note("ada", "start", "pipeline=deploy")
    await deciding.enter("/inbox")
    await deciding.tab.evaluate("sessionStorage.setItem('refresh', 'off')")
    paths = ["/inbox", f"/approval?id={run_id}&task=ok", f"/run?id={run_id}", "/automation"]
    for path in [*paths, "/history", f"/event?id={event.event_id}", "/more"]:
        await deciding.go(path)
        assert await hindrances(deciding, axe) == [], path


async def test_without_javascript_somebody_finds_what_waits_and_approves_it(deciding):
    run_id = blocked(deciding.world)
    await deciding.tab.look_like(width=DESK, scripts=False)
    await deciding.enter("/inbox")
    await deciding.click("tbody th a")
    await deciding.says("Deploy to prod?")
    await deciding.tab.evaluate("document.querySelector('[name=\"v.window\"]').value = '3'")
    await deciding.tab.evaluate("document.getElementById('reason').value = 'seen'")
    await deciding.click("button[value=approve]")
    await deciding.says("deploy: running")
    task = deciding.world.engine.book.run(run_id).task("ok")
    assert task.status is TaskStatus.DONE
    assert [(each.user, each.reason, each.values) for each in task.asked.decisions] == [
        ("alice", "seen", {"window": 3})
    ]
