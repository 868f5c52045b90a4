"""`paas-runner expire`: what it asks of executors, what it says, and how it ends."""

import argparse
import asyncio
import json
from datetime import UTC, datetime, timedelta

import attrs
import pytest

from paas_runner.commands import expire
from paas_runner.errors import Transient
from paas_runner.executor import contract
from paas_runner.executor.optional import OverdueHost
from paas_runner.job.tracked import HostName
from paas_runner.service import process
from paas_runner.store import installation as kept
from tests.support.shelves import ShelfExecutor, Shelves

INSTALLATION = "installation-1"
ENDED = datetime.now(UTC) - timedelta(hours=1)
CONFIG = """
[[runners]]
  name = "one"
  url = "https://gitlab.example"
  token = "glrt-1234567890123456789012"
  executor = "{}"
"""


class LabeledShelves(ShelfExecutor):
    """Each shelf has its end written on it: it was over an hour ago."""

    async def overdue(self, now):
        if self._warehouse.shelves.get("broken"):
            raise Transient("does not answer", service="warehouse", op="list")
        if now < ENDED:
            return []
        shelves = self._warehouse.shelves.items()
        return [
            OverdueHost(name=HostName(shelf.name), ref=number, ends_at=ENDED)
            for number, shelf in shelves
            if self._is_ours(shelf)
        ]

    async def expire(self, host):
        if host.name.endswith("-13"):
            raise Transient("resists", service="warehouse", op="remove the host")
        await self._warehouse.leave(host.ref)


@attrs.frozen
class Labeled(Shelves):
    def build(self, settings, section, connect):
        return LabeledShelves(settings, section, self.warehouse)


@pytest.fixture
def kind():
    return Labeled()


@pytest.fixture
def run(tmp_path, monkeypatch, capsys, kind):
    def installed():
        return {"labeled": lambda: kind, "shelves": Shelves}

    for module in (contract, process):
        monkeypatch.setattr(module, "installed", installed)
    config = tmp_path / "config.toml"
    config.touch(mode=0o600)

    def run(*options, executor="labeled"):
        config.write_text(f'state_file = "{tmp_path}/state.json"\n{CONFIG.format(executor)}')
        parser = argparse.ArgumentParser()
        expire.COMMAND.arguments(parser)
        code = expire.COMMAND.call(parser.parse_args([str(config), *options]))
        return (code, *capsys.readouterr())

    run.mark = tmp_path / "state.installation"
    return run


async def rented(kind, *numbers, label=INSTALLATION):
    for number in numbers:
        await kind.warehouse.rent(f"hpd-job-abc-{number}", label)


def test_what_is_over_goes_and_nothing_of_others(run, kind):
    asyncio.run(rented(kind, 1, 2))
    asyncio.run(rented(kind, 3, label="installation-2"))
    kept.keep(run.mark, INSTALLATION)
    code, answer, messages = run("--dry-run")
    assert (code, len(kind.warehouse.shelves)) == (1, 3)
    assert answer.splitlines()[-1] == "over their time: 2, removed: 0"
    code, answer, messages = run("--json")
    assert code == 0
    document = json.loads(answer)
    assert (document["overdue"], document["installation"]) == (0, INSTALLATION)
    assert [host["removed"] for host in document["hosts"]] == [True, True]
    assert "removing hpd-job-abc-1 (shelf-1), which was to end at" in messages
    assert [shelf.name for shelf in kind.warehouse.shelves.values()] == ["hpd-job-abc-3"]
    assert run() == (0, "over their time: 0, removed: 0\n", "")


def test_what_resists_is_said_and_the_others_go(run, kind):
    asyncio.run(rented(kind, 12, 13, 14))
    kept.keep(run.mark, INSTALLATION)
    code, answer, _ = run()
    assert code == 1
    assert "warehouse, remove the host: resists" in answer
    assert answer.splitlines()[-1] == "over their time: 3, removed: 2"


def test_a_provider_that_does_not_answer_is_named(run, kind):
    kept.keep(run.mark, INSTALLATION)
    kind.warehouse.shelves["broken"] = object()
    code, _, messages = run()
    assert code == 1
    assert "the hosts of one could not be looked for: warehouse, list: does not answer" in messages


def test_where_nothing_ever_ran_there_is_nothing_to_look_for(run, kind):
    code, answer, messages = run()
    assert (code, answer) == (0, "")
    assert "has never been started here" in messages


def test_hosts_that_end_by_their_own_means_are_not_asked_for(run, kind):
    kept.keep(run.mark, INSTALLATION)
    code, answer, _ = run("--json", executor="shelves")
    assert code == 0
    assert json.loads(answer)["others"] == ["one"]
