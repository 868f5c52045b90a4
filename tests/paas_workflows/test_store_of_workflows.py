"""Executions on the disk: private, each with a file of its own, read while they run."""

import stat
from datetime import UTC, datetime

import attrs
import pytest
from paas_workflows.machine.execution import begun
from paas_workflows.store.executions import Executions, default_folder
from paas_workflows.store.records import Given, from_text, to_text

from paas_runner.errors import UsageError
from paas_runner.secret import Secret
from paas_runner.store.database import StoreInUseError
from paas_runner.store.protocol import StoreError
from tests.paas_workflows.executions import file_of

FILE = file_of(
    "name: n\ncontext: {a: [1, {b: null}]}\n"
    "workflows: {run: {start: {action: a, duration: 90s, abort: start}}}\n"
    "actions: {a: {image: i, env: {A: b}, requirements: {env: [X]}, output: {context: {c: null}}}}\n"
)
GIVEN = Given(above={"KEY": Secret("canary-value")}, volumes=("/a:/b",), log={"formatter": "json"})


def new(name):
    return begun(id=name, file=FILE, moment=datetime(2026, 1, 1, tzinfo=UTC))


async def kept(executions, name, **changed):
    async with executions.opened(name, is_new=True) as record:
        await record.put(attrs.evolve(new(name), **changed), GIVEN)


async def test_what_was_put_is_there_in_the_next_process(tmp_path):
    executions = Executions(tmp_path / "state")
    await kept(executions, "one")
    async with executions.opened("one") as record:
        assert await record.get() == (new("one"), GIVEN)


async def test_the_files_are_private(tmp_path):
    executions = Executions(tmp_path / "state")
    async with executions.opened("one", is_new=True) as record:
        await record.put(new("one"), GIVEN)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in executions.folder.iterdir()}
    assert set(modes.values()) == {0o600}
    assert "one.db" in modes
    assert stat.S_IMODE(executions.folder.stat().st_mode) == 0o700


async def test_what_was_given_goes_with_the_end(tmp_path):
    executions = Executions(tmp_path)
    async with executions.opened("one", is_new=True) as record:
        await record.put(new("one"), GIVEN)
        await record.put(attrs.evolve(new("one"), ended=new("one").started))
        assert (await record.get())[1] == Given()


async def test_two_processes_never_work_on_the_same_one_but_beside_each_other(tmp_path):
    executions = Executions(tmp_path)
    async with executions.opened("one", is_new=True) as record:
        await record.put(new("one"), GIVEN)
        with pytest.raises(StoreInUseError, match="another process works on one"):
            async with executions.opened("one"):
                pass
        with pytest.raises(StoreInUseError):
            executions.remove("one")
        await kept(executions, "two")
        assert [each.id for each in executions.all()] == ["two", "one"]
        assert executions.read("one") == new("one")
    executions.remove("one")
    assert [each.id for each in executions.all()] == ["two"]
    assert not list(tmp_path.glob("one*"))


async def test_one_that_never_began_is_in_nobodys_way(tmp_path):
    executions = Executions(tmp_path)
    async with executions.opened("one", is_new=True):
        pass
    assert executions.all() == []
    with pytest.raises(UsageError, match="one never began"):
        executions.read("one")
    with pytest.raises(UsageError, match="one never began"):
        async with executions.opened("one") as record:
            await record.get()


@pytest.mark.parametrize("name", ["no", "../one", "/etc/passwd"])
def test_one_that_is_not_there_is_told(tmp_path, name):
    with pytest.raises(UsageError, match="there is no execution"):
        Executions(tmp_path).read(name)


def test_the_folder_is_that_of_the_service_or_of_the_user(tmp_path):
    assert str(default_folder({"STATE_DIRECTORY": "/var/lib/x:/y"})) == "/var/lib/x/workflows"
    assert str(default_folder({"XDG_STATE_HOME": "/s", "HOME": "/h"})) == "/s/paas-runner/workflows"
    assert str(default_folder({"HOME": "/h"})) == "/h/.local/state/paas-runner/workflows"


def test_a_record_that_cannot_be_read_is_told_without_its_values():
    with pytest.raises(StoreError) as caught:
        from_text('{"above": "canary"}', Given, "one.db")
    assert "one.db" in str(caught.value)
    assert "canary" not in str(caught.value)
    assert "canary" not in repr(GIVEN)
    assert from_text(to_text(GIVEN).replace('"volumes"', '"news"'), Given, "x").volumes == ()
