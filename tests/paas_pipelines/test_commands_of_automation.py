"""`paas-runner pipelines approvals|approve|reject|triggers|fire|events|…` ask a server over a socket."""

import asyncio
import json
import sqlite3
import threading
from contextlib import closing

import attrs
import pytest
from paas_pipelines.access.policy import Access
from paas_pipelines.access.statements import Statement
from paas_pipelines.cli import showing
from paas_pipelines.store.audit import Audit
from paas_pipelines.store.disk import DiskJournal
from paas_pipelines.tasks.executing.executions import Execution
from paas_pipelines.triggers.event import EventState
from paas_pipelines.triggers.feed import Feed

from paas_runner.cli import main
from tests.paas_pipelines.test_automation_endpoints import DEPLOY, blocked
from tests.support.served_pipelines import SECRET, now, served, serving

STATEMENTS = (
    Statement(identity=("ada",), role="admin", resource=("*",)),
    Statement(identity=("bob",), role="approve", resource=("pipeline=deploy",)),
)


class Serving:
    """A server in a thread of its own."""

    def __init__(self, folder):
        self.left = []
        self.folder, self.ready, self.world = folder, threading.Event(), None
        self.loop, self.stop = asyncio.new_event_loop(), asyncio.Event()
        self.thread = threading.Thread(target=lambda: self.loop.run_until_complete(self._serve()))

    async def _serve(self):
        parts = served(self.folder, DEPLOY, access=Access(STATEMENTS), leaks=lambda: self.left)
        parts = attrs.evolve(parts, feed=await Feed.opened(parts.engine, parts.journal, parts.clock))
        async with serving(parts) as self.world:
            self.ready.set()
            await self.stop.wait()

    def __enter__(self):
        self.thread.start()
        assert self.ready.wait(60)
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join(60)
        self.loop.close()

    def within(self, call):
        """What it gives in the server's own thread."""

        async def called():
            return call(self.world)

        return asyncio.run_coroutine_threadsafe(called(), self.loop).result(60)


@pytest.fixture
def server(tmp_path, monkeypatch):
    with Serving(tmp_path) as found:
        monkeypatch.setenv("PRUNNER_ADDRESS", f"127.0.0.1:{found.world.port}")
        monkeypatch.setenv("PRUNNER_JWT_SECRET", SECRET.reveal())
        yield found


def younger_that_does_not_ask(world):
    world.engine.schedule("deploy", variables={"environment": "prod"}, user="ada")


def told(capsys, *words, user="bob", code=0):
    """What a command says."""
    assert main(["pipelines", *words, "--user", user]) == code
    said = capsys.readouterr()
    return said.out + said.err


def test_what_waits_is_shown_and_approved_with_what_it_asks_for(server, capsys):
    assert told(capsys, "approvals") == "no approval is open\n"
    run_id = server.within(blocked)
    assert "yours to decide" in told(capsys, "approvals", "--mine")
    assert json.loads(told(capsys, "approvals", "--json"))["approvals"][0]["run"] == run_id
    server.within(younger_that_does_not_ask)
    assert 'param "window": is required' in told(capsys, "approve", "latest", code=1)
    assert "window=soon: must be a number" in told(capsys, "approve", "latest", "window=soon", code=2)
    said = told(capsys, "approve", "latest", "window=3", "--reason", "fine")
    for line in ("Deploy to prod?", "environment=prod", "plan: changed=true", "is approved"):
        assert line in said
    assert "waits for nobody" in told(capsys, "approve", run_id, "window=3", code=2)
    assert "ok: window=3" in told(capsys, "outputs", run_id[:8])
    assert json.loads(told(capsys, "outputs", run_id, "--json"))["tasks"]["ok"] == {"window": 3}


def test_a_run_that_waits_for_people_is_blocked_in_the_list(server, capsys):
    run_id = server.within(blocked)
    lines = [line.split() for line in told(capsys, "list").splitlines() if line]
    assert lines[0] == ["pipeline", "running", "blocked", "waiting"]
    assert lines[1] == ["deploy", "-", "1", "-"]
    assert lines[2][-2:] == ["waits", "for"]
    assert lines[3][:3] == [run_id[:8], "deploy", "blocked"]
    assert lines[3][-4:-2] == ["ok,", "for"]
    run = json.loads(told(capsys, "list", "--json"))["jobs"][0]
    [asking] = [each for each in showing.tasks_of(run) if each["status"] == "blocked"]
    assert "waits for people for" in showing.task_words(asking)
    assert ": waits for ok, for" in "".join(map(str, showing.run_words(run)))


def test_a_rejection_and_a_rerun(server, capsys):
    run_id = server.within(blocked)
    assert "ok of run" in told(capsys, "reject", run_id, "--task", "ok", "--reason", "no")
    run = server.within(lambda world: world.engine.book.run(run_id))
    assert run.last_error == "rejected by bob: no"
    assert "bob may not rerun pipeline=deploy" in told(capsys, "rerun", run_id, code=1)
    again = told(capsys, "rerun", run_id, user="ada").strip()
    assert server.within(lambda world: world.engine.book.run(again)).user == "ada"


def test_triggers_are_shown_fired_paused_and_resumed(server, capsys):
    said = told(capsys, "triggers")
    assert "deploy/push" in said
    assert "/hooks/deploy/push" in said
    assert "switched off" in said
    assert "deploy/night is paused" in told(capsys, "pause", "deploy/night", user="ada")
    assert "paused by ada" in told(capsys, "triggers")
    assert "on again" in told(capsys, "resume", "deploy/night", user="ada")
    event_id = told(capsys, "fire", "deploy/night", user="ada").split()[1]
    assert "deploy/night" in told(capsys, "events")
    assert json.loads(told(capsys, "events", event_id))["meta"] == {"fired_by": "ada"}
    assert "only a dead one" in told(capsys, "events", event_id, "--retry", user="ada", code=1)
    feed = server.world.served.feed
    dead = attrs.evolve(feed.event(event_id), state=EventState.DEAD, attempts=5)
    server.within(lambda _: feed.book.save(dead))
    assert json.loads(told(capsys, "events", event_id, "--retry", user="ada"))["state"] == "new"
    dropped = attrs.evolve(dead, state=EventState.DROPPED, reason="deploy/night: if: is false")
    server.within(lambda _: feed.book.save(dropped))
    assert "dropped  deploy/night: if: is false" in told(capsys, "events")
    assert json.loads(told(capsys, "events", event_id))["reason"] == "deploy/night: if: is false"
    assert "may not fire trigger=deploy/night" in told(capsys, "fire", "deploy/night", code=1)
    assert '"night" is no trigger' in told(capsys, "fire", "night", code=2)
    assert "--retry needs the id" in told(capsys, "events", "--retry", code=2)


def test_a_run_is_given_its_parameters_by_their_types_or_told_which_there_are(server, capsys):
    run_id = told(capsys, "run", "deploy", "environment=prod", user="ada").strip()
    assert server.within(lambda world: world.engine.book.run(run_id)).variables == {"environment": "prod"}
    assert "must be one of nonprod, prod" in told(
        capsys, "run", "deploy", "environment=x", user="ada", code=2
    )
    assert "has no param 'enviroment', but environment" in told(
        capsys, "run", "deploy", "enviroment=x", user="ada", code=2
    )


def test_values_may_stand_before_and_behind_options(server, capsys):
    run_id = told(capsys, "run", "deploy", "--user", "ada", "environment=prod", user="ada").strip()
    assert server.within(lambda world: world.engine.book.run(run_id)).variables == {"environment": "prod"}
    with pytest.raises(SystemExit):
        main(["pipelines", "run", "deploy", "--user", "ada", "environment=prod", "--folow"])
    assert "unrecognized arguments: --folow" in capsys.readouterr().err


def test_all_that_is_wrong_with_the_values_of_a_run_is_told_at_once(server, capsys):
    said = told(capsys, "run", "deploy", "enviroment=x", "environment=x", user="ada", code=2)
    assert "has no param 'enviroment'" in said
    assert "must be one of nonprod, prod" in said


def test_who_may_see_nothing_is_told_that_it_may_be_that(server, capsys):
    server.within(blocked)
    assert "that this user may see" in told(capsys, "list", user="eve")
    assert "that eve may see" in told(capsys, "approve", "latest", user="eve", code=2)
    assert "this user may not see it" in told(capsys, "run", "deploy", user="eve", code=1)


def test_what_could_not_be_taken_away_is_listed(server, capsys):
    assert told(capsys, "leaks", user="ada") == "nothing is left of any executor\n"
    server.left = [Execution(run_id="0123456789", pipeline="deploy", leak="exit\nstatus 7")]
    assert "01234567  deploy    the run  shell     exit status 7" in told(capsys, "leaks", user="ada")
    assert json.loads(told(capsys, "leaks", "--json", user="ada"))["leaks"][0]["left"] == "exit\nstatus 7"


async def test_the_audit_of_a_folder_is_verified_beside_its_server_and_without_one(tmp_path, capsys):
    def verified(code):
        assert main(["pipelines", "audit", "verify", "--data", str(tmp_path / "data")]) == code
        return capsys.readouterr()

    assert "there is none" in verified(74).err
    journal = await DiskJournal.open(tmp_path / "data")
    audit = await Audit.open(journal, now)
    for number in range(9):
        audit.note("ann", "start", "pipeline=x", number=number)
    await journal.flushed()
    before = (tmp_path / "data" / "pipelines.db").read_bytes()
    assert "all lines are as they were written" in verified(0).out
    audit.note("ann", "start", "pipeline=x")
    await journal.flushed()
    assert "all lines" in verified(0).out
    assert (tmp_path / "data" / "pipelines.db").read_bytes()[:16] == before[:16]
    await journal.aclose()
    whole = (tmp_path / "data" / "pipelines.db").read_bytes()
    assert "all lines" in verified(0).out
    assert (tmp_path / "data" / "pipelines.db").read_bytes() == whole
    with closing(sqlite3.connect(tmp_path / "data" / "pipelines.db")) as db, db:
        db.execute("UPDATE record SET text = replace(text, 'ann', 'bob') WHERE key = '000000000003'")
    assert "line 3 of" in verified(1).out
    assert main(["pipelines", "audit", "--data", str(tmp_path)]) == 2
