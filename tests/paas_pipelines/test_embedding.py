"""The server as a library (V006): starts, deliveries, decisions, cancels, waits and watches are calls."""

import asyncio

import pytest
from paas_pipelines.api.start_keys import KeyUsedError
from paas_pipelines.embedding import Pipelines
from paas_pipelines.runs.engine import ScheduleRefusedError
from paas_pipelines.runs.run import TaskStatus

from tests.support.triggered import HOOK_SECRET, pushed, signed

DEFINITIONS = """\
pipelines:
  quick:
    params: [{name: word, default: hello}]
    triggers:
      push: {provider: github, secret: {from_credential: hook}, params_from: {word: payload.ref}}
    tasks: {say: {script: ['echo "$PARAM_WORD"']}}
  slow: {tasks: {one: {script: [sleep 1000]}}}
  asks:
    order: sequence
    tasks:
      sure: {type: approval}
      then: {script: [echo yes]}
"""
CONFIG = """\
[[pipelines.access]]
identity = "pipeline/quick"
method = "use"
resource = "credential=hook"
[pipelines.credentials.hook]
type = "text"
value = "{secret}"
"""


@pytest.fixture
def given(tmp_path):
    """Data, definitions, config."""
    (tmp_path / "pipelines.yml").write_text(DEFINITIONS)
    config = tmp_path / "settings.toml"
    config.write_text(CONFIG.format(secret=HOOK_SECRET.reveal()))
    config.chmod(0o600)
    return tmp_path / "data", tmp_path / "pipelines.yml", config


async def test_a_run_is_started_watched_and_waited_for(given):
    async with Pipelines.open(*given) as pipelines:
        run = await pipelines.start("quick", {"word": "hi"}, by="ada", key="k")
        assert (await pipelines.start("quick", {"word": "hi"}, by="ada", key="k")).run_id == run.run_id
        with pytest.raises(KeyUsedError):
            await pipelines.start("quick", by="ada", key="k")
        with pytest.raises(ScheduleRefusedError, match="word"):
            await pipelines.start("quick", {"word": 1})
        seen = [each async for each in pipelines.watch(run.run_id)]
        assert seen[-1].completed
        assert await pipelines.wait(run.run_id) == seen[-1]
    log = given[0] / "logs" / run.run_id / "say-stdout.log"
    assert log.read_text() == "hi\n"


async def test_a_delivery_proves_itself(given):
    async with Pipelines.open(*given) as pipelines:
        body = pushed()
        assert (await pipelines.deliver("quick/push", signed(body), body + b" ")).status == 401
        answer = await pipelines.deliver("quick/push", signed(body), body)
        assert answer.status == 202
        async with asyncio.timeout(60):
            while not pipelines.runs():
                await asyncio.sleep(0.01)
        [run] = pipelines.runs()
        assert run.variables == {"word": "refs/heads/main"}
        assert run.origin.event_id == answer.body["event"]
        await pipelines.wait(run.run_id)


async def test_an_approval_outlives_the_program_and_what_runs_is_canceled_at_its_end(given):
    async with Pipelines.open(*given) as pipelines:
        asks = await pipelines.start("asks", by="ada")
        slow = await pipelines.start("slow")
        async for run in pipelines.watch(asks.run_id):
            if run.task("sure").status is TaskStatus.BLOCKED:
                break
    async with Pipelines.open(*given) as pipelines:
        assert pipelines.run(slow.run_id).canceled
        asked = pipelines.run(asks.run_id).task("sure").asked
        await pipelines.decide(asks.run_id, "sure", True, "corp/bob", asked.digest)
        done = await pipelines.wait(asks.run_id)
        assert done.task("then").status is TaskStatus.DONE
        assert done.task("sure").asked.decisions[0].user == "corp/bob"
        slow = await pipelines.start("slow")
        await pipelines.cancel(slow.run_id, by="ada")
        assert (await pipelines.wait(slow.run_id)).canceled
