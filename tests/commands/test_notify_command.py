"""`paas-runner notify`: what waits, and whether receivers take anything."""

import asyncio
import json

import pytest

from paas_runner.cli import main
from paas_runner.errors import Exit
from paas_runner.store.sqlite import SqliteStore
from tests.config.test_notify_sections import RUNNER, section


@pytest.fixture
def file(tmp_path):
    def write(*sections):
        path = tmp_path / "config.toml"
        path.touch(mode=0o600)
        path.write_text("\n".join([f'state_file = "{tmp_path}/state.json"', RUNNER, *sections]))
        return path

    return write


def keep(tmp_path, **documents):
    async def kept():
        store = await SqliteStore.open(tmp_path / "state.db")
        await store.keep_notices("ops", "{}", documents)
        await store.aclose()

    asyncio.run(kept())


def test_what_waits_is_listed(file, tmp_path, capsys):
    document = {"since": "2026-03-01T00:00:00+00:00", "kind": "host_lost", "summary": "a host was lost"}
    keep(tmp_path, n1=json.dumps(document))
    config = file(section(command='["/bin/true"]'))
    assert main(["notify", str(config)]) == Exit.OK
    assert "ops       2026-03-01T00:00:00+00:00  host_lost  a host was lost" in capsys.readouterr().out
    assert main(["notify", str(config), "--json"]) == Exit.OK
    assert json.loads(capsys.readouterr().out) == {"receivers": [{"name": "ops", "pending": [document]}]}


def test_nothing_waits_and_nobody_is_there(file, tmp_path, capsys):
    keep(tmp_path)
    assert main(["notify", str(file(section(command='["/bin/true"]')))]) == Exit.OK
    assert "nothing waits for ops" in capsys.readouterr().out
    assert main(["notify", str(file())]) == Exit.OK
    assert "no [[notify]] section" in capsys.readouterr().out


def test_a_test_says_what_came_back_of_each(file, capsys):
    good = section(command='["/bin/sh", "-c", "grep -c test"]')
    bad = section(name='"chat"', url='"http://127.0.0.1:9/canary-hook"')
    config = file(good, bad)
    assert main(["notify", str(config), "--test"]) == Exit.FAILED
    shown = capsys.readouterr()
    assert "✓ ops   ended with code 0: 1" in shown.out
    assert "✗ chat  no answer" in shown.out
    assert "canary-hook" not in shown.out + shown.err
    assert main(["notify", str(config), "--test", "--json"]) == Exit.FAILED
    told = json.loads(capsys.readouterr().out)["receivers"]
    assert [(each["name"], each["told"]) for each in told] == [("ops", True), ("chat", False)]
    assert main(["notify", str(file(good)), "--test"]) == Exit.OK


def test_a_test_without_a_receiver_is_a_fault_of_the_file(file, capsys):
    assert main(["notify", str(file()), "--test"]) == Exit.CONFIG
    assert "nobody to tell" in capsys.readouterr().err
