"""Commands where the records are in a database, and another process works on it: left, on another machine."""

import asyncio
import json
import threading
from datetime import timedelta

import pytest

from paas_runner import cli
from paas_runner.job.cost import Charge
from paas_runner.job.lease import Mode
from paas_runner.store.opening import open_store
from tests.config.test_load import RUNNER
from tests.support.postgres.server import PASSWORD
from tests.support.records import HOST, NOW, job
from tests.support.stores import tending

KEY = "aaaaaaaaa"


class Left:
    """A process with the store, in a thread of its own."""

    def __init__(self, database):
        self._database = database
        self._begun, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._work()), daemon=True)

    async def _work(self):
        store = await open_store(self._database)
        await store.installation()
        serves = frozenset({KEY})
        await store.leases.tend(tending(name="left", serves=serves, take=serves, mode=Mode.STANDBY))
        await store.save(job(42, KEY))
        await store.forget(job(41, KEY).key, ended=True, history=job(41, KEY).history)
        await store.charge(
            Charge(
                key=job(41, KEY).key,
                tenant="acme",
                host=HOST.ref,
                flavor="M",
                since=NOW,
                until=NOW + timedelta(hours=1),
                price=0.5,
            ),
            keep_from=NOW,
        )
        await store.keep_notices("pager", "book", {"1": '{"summary": "a notice", "kind": "x", "since": "y"}'})
        self._begun.set()
        await asyncio.to_thread(self._over.wait)
        await store.leases.leave()
        await store.aclose()

    def __enter__(self):
        self._thread.start()
        assert self._begun.wait(20)

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()


@pytest.fixture
def config(tmp_path, database):
    path = tmp_path / "config.toml"
    path.touch(mode=0o600)
    top = f'state_store = "{database.url.reveal()}"\nstate_store_member = "right"\n'
    path.write_text(f'{top}{RUNNER}\n[[notify]]\n  name = "pager"\n  url = "https://pager.example/hook"\n')
    return path


@pytest.fixture
def command(config, capsys):
    def run(name, *options):
        code = cli.main([name, str(config), *options])
        printed = capsys.readouterr()
        assert PASSWORD not in printed.out + printed.err
        return code, printed.out, printed.err

    return run


def test_status_says_that_the_service_runs_elsewhere_and_where(command, database):
    with Left(database):
        code, out, _ = command("status")
        _, document, _ = command("status", "--json")
    assert code == 1
    lines = out.splitlines()
    assert lines[0] == f"paas-runner is not running here, but at left; this is what is in {database}"
    assert f"shares {database}, mode standby: not here; left (1 runner) works" in lines
    [runner] = [line for line in lines if line.startswith("one ")]
    assert "elsewhere" in runner
    assert "left has it since" in runner
    assert "    next nothing is done: left goes on with it" in lines
    found = json.loads(document)
    assert (found["service"]["state"], found["sharing"]["role"]) == ("down", "absent")
    assert found["runners"][0]["state"] == "elsewhere"


def test_status_says_that_it_runs_nowhere(command, database):
    with Left(database):
        pass
    _, out, _ = command("status")
    assert out.startswith(f"paas-runner is not running anywhere; this is what is in {database}\n")
    assert "nobody works: its jobs are not cared for until a process starts" in out
    assert "    next nothing is done: the service is not running, it goes on at its next start" in out


@pytest.mark.parametrize(("name", "options"), [("reload", ()), ("pause", ("one",)), ("drain", ())])
def test_what_cannot_be_told_here_can_be_told_to_another(command, name, options):
    code, _, err = command(name, *options)
    assert code == 1
    assert "the service is not running; another that shares its store can be asked where it runs" in err


def test_explain_costs_and_notify_read_the_database(command, database):
    with Left(database):
        _, tracked, _ = command("explain", "42")
        _, gone, _ = command("explain", "41")
        _, costs, _ = command("costs", "--since", "2026-11-20", "--json")
        _, notices, _ = command("notify")
    assert f"job 42 of runner one ({KEY}) is acquired" in tracked
    assert "next  nothing is done: left goes on with it" in tracked
    assert f"job 41 of runner {KEY} is gone" in gone
    [row, *_] = json.loads(costs)["rows"]
    assert (row["tenant"], row["estimated_cost"]) == ("acme", 0.5)
    assert "a notice" in notices


def test_a_runner_whose_jobs_another_process_tracks_is_not_unregistered(command, database):
    with Left(database):
        code, _, err = command("unregister", "--name", "one")
    assert code == 1
    assert "1 of its jobs are tracked, with their hosts" in err


def test_a_database_in_which_no_service_ever_was_is_told(command, database):
    for name in ("status", "costs"):
        code, _, err = command(name)
        assert code == 74
        assert "there is no store; has the service ever run with this configuration?" in err


def test_a_database_that_is_not_there_is_told_by_every_command(command, config, database):
    gone = str(database).rpartition("/")[2]
    config.write_text(config.read_text().replace(f"/{gone}", "/nowhere"))
    for name, *options in (["status"], ["explain", "42"], ["costs"], ["notify"]):
        code, out, err = command(name, *options)
        assert (code, out) == (74, "")
        assert 'database "nowhere" does not exist' in err


def test_without_the_packages_one_line_says_what_is_missing(command, monkeypatch):
    from tests.support.missing_packages import take_away

    take_away(monkeypatch, "psycopg", "paas_runner.store.postgres")
    code, _, err = command("status")
    assert code == 78
    assert err == (
        "paas-runner status: `state_store` needs more packages (psycopg): in a checkout of PaaS Runner, "
        "pip install '.[postgres]'\n"
    )
