"""`paas-runner store copy`: what its arguments mean, and what it says."""

import asyncio
import json

import pytest

from paas_runner import cli
from paas_runner.store.sqlite import SqliteStore
from tests.config.test_load import RUNNER
from tests.support.records import job

URL = "postgresql://paas:canary@db.internal/paas"


@pytest.fixture
def config(tmp_path):
    async def fill():
        store = await SqliteStore.open(tmp_path / "paas-runner-state.db")
        await store.save_installation("installation-1")
        await store.save(job(1))
        await store.forget(job(2).key, ended=True)
        await store.aclose()

    asyncio.run(fill())
    path = tmp_path / "config.toml"
    path.touch(mode=0o600)
    path.write_text(RUNNER)
    return path


@pytest.fixture
def store(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        try:
            code = cli.main(["store", *map(str, arguments)])
        except SystemExit as error:
            code = error.code
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def test_a_store_is_copied_and_the_answer_says_what_was(store, config, tmp_path):
    code, out, err = store("copy", config, "--from", "config", "--to", "copy.db")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"{tmp_path}/copy.db is a verified copy of {tmp_path}/paas-runner-state.db",
        "TABLE        ROWS",
        "fact            1",
        "job             1",
        "ended           1",
        "history         0",
        "charge          0",
        "notice          0",
        "notice_book     0",
        f"let no service work with {tmp_path}/paas-runner-state.db any more",
    ]
    code, out, _ = store("copy", "--from", tmp_path / "paas-runner-state.db", "--to", "copy.db", "--json")
    assert (code, json.loads(out)["was_there"]) == (0, True)


def test_a_state_file_is_an_export_of_what_is_tracked(store, config, tmp_path):
    code, out, _ = store("copy", config, "--from", "config", "--to", "jobs.json", "--json")
    answer = json.loads(out)
    assert (code, answer["to"], answer["left"]) == (0, f"{tmp_path}/jobs.json", {"ended": 1})
    assert answer["rows"]["job"] == 1


def test_a_target_that_has_something_else_is_told_with_its_exit_code(store, config):
    store("copy", config, "--from", "config", "--to", "jobs.json")
    store("copy", "--from", "jobs.json", "--to", "copy.db")
    code, _, err = store("copy", config, "--from", "config", "--to", "copy.db")
    assert code == 1
    assert "copy.db: is not empty, and no copy of" in err


def test_no_password_may_stand_in_an_argument(store, config, monkeypatch, tmp_path):
    code, _, err = store("copy", config, "--from", "config", "--to", URL)
    assert code == 2
    assert "postgresql://paas@db.internal/paas: a password on the command line can be read by" in err
    assert "canary" not in err
    monkeypatch.setenv("STORE", "mysql://canary")
    (tmp_path / "open").write_text(URL)
    (tmp_path / "open").chmod(0o644)
    for place, told in [
        ("env:STORE", "env: an address such as postgresql://user@host:5432/database was expected"),
        ("env:NOWHERE", "env: names an environment variable that is not set"),
        ("file:open", f"file: other users may open {tmp_path}/open (mode 0644): chmod 600 {tmp_path}/open"),
        ("file:absent", f"file: {tmp_path}/absent is no file"),
        ("postgresql://canary:canary@a@b/", "postgresql: the address cannot be taken apart"),
    ]:
        code, _, err = store("copy", config, "--from", "config", "--to", place)
        assert (code, "canary" in err) == (2, False)
        assert told in err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["copy", "--from", "config", "--to", "x.db"], "CONFIG is needed, too"),
        (["copy", "--from", "x.db", "--to", "./x.db"], "--from and --to are the same place"),
        (["copy", "--from", "x.db"], "required: --to"),
        ([], "required: ACTION"),
    ],
)
def test_what_is_missing_is_told(store, arguments, told):
    code, _, err = store(*arguments)
    assert code == 2
    assert told in err
