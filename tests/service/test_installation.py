"""The mark by which hosts are known to be ours outlives the store, and what differs is told."""

import stat

import attrs
import pytest
import structlog

from paas_runner.config import Config
from paas_runner.service.installation import settled
from paas_runner.store import installation, state_file
from paas_runner.testing.memory_store import MemoryStore
from tests.support.records import NOW


@pytest.fixture
def config(tmp_path):
    return Config(path=tmp_path / "config.toml", runners=(), warnings=(), state_file=tmp_path / "state.json")


@pytest.fixture
def path(config):
    return config.installation_path


async def settled_with_differences(config, store):
    with structlog.testing.capture_logs() as logs:
        found = await settled(config, store, NOW)
    return found, [(each["place"], each["other"]) for each in logs if each["event"] == "installation_differs"]


async def test_it_survives_the_loss_of_the_store(config, path):
    first = await settled(config, MemoryStore(), NOW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert await settled_with_differences(config, MemoryStore()) == (first, [])


async def test_it_survives_the_loss_of_its_file(config, path):
    store = MemoryStore()
    first = await settled(config, store, NOW)
    path.write_text("")
    assert await settled_with_differences(config, store) == (first, [])
    assert installation.kept(path) == first


async def test_it_travels_with_the_state_file(config, path):
    state_file.write(config.state_file, [], {}, installation="of-the-old-machine")
    assert await settled_with_differences(config, MemoryStore()) == ("of-the-old-machine", [])
    assert installation.kept(path) == "of-the-old-machine"


async def test_what_belongs_to_the_records_wins_and_the_rest_is_told(config, path):
    store = MemoryStore()
    await store.installation(otherwise="of-the-store")
    installation.keep(path, "of-the-file")
    state_file.write(config.state_file, [], {}, installation="of-the-state-file")
    assert await settled_with_differences(config, store) == (
        "of-the-store",
        [(str(path), "of-the-file"), (str(config.state_file), "of-the-state-file")],
    )
    assert installation.kept(path) == "of-the-store"


async def test_what_the_operator_says_wins_and_stays(config, path):
    store = MemoryStore()
    await store.installation(otherwise="of-the-store")
    told = attrs.evolve(config, installation_id="of-the-operator")
    assert await settled_with_differences(told, store) == (
        "of-the-operator",
        [(str(config.store_path), "of-the-store")],
    )
    assert await settled_with_differences(config, store) == ("of-the-operator", [])


async def test_a_folder_that_takes_no_file_is_told_and_ends_nothing(config, path):
    path.mkdir()
    with structlog.testing.capture_logs() as logs:
        assert await settled(config, MemoryStore(), NOW) == "installation-in-memory"
    assert [each["event"] for each in logs] == ["installation_not_kept"]


def test_a_file_of_another_user_is_not_believed(path, monkeypatch):
    installation.keep(path, "0123456789abcdef")
    monkeypatch.setattr("os.geteuid", lambda: path.stat().st_uid + 1)
    assert installation.kept(path) is None
