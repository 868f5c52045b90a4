"""What a server does not start with, in words for whoever started it (P014, P084, P086, P094, P095).

In this process: that each of these ends the program with 1 is shown by `test_server_process`.
"""

import base64
import contextlib
import os

import attrs
import pytest
from paas_pipelines.server.assembly import opened
from paas_pipelines.server.settings import Settings

from paas_runner.errors import RunnerError
from paas_runner.service.systemd import ServiceManager


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def server(**options):
    return opened(Settings(**{"address": "127.0.0.1:0", **options}), ServiceManager())


async def refused(**options):
    """Why it does not start."""
    with pytest.raises(RunnerError) as raised:
        async with server(**options):
            pass
    return str(raised.value)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("localhost", "a port is missing"),
        ("9009", "a port is missing"),
        ("http://localhost:9009", "no scheme"),
        ("192.0.2.1:9009", "no interface of this machine has that address"),
    ],
)
async def test_an_address_that_is_none(here, address, told):
    assert told in await refused(address=address)


@pytest.mark.parametrize(
    ("definitions", "told"),
    [
        ("pipelines: {p: {concurrency: -1}}\n", "concurrency must be greater than 0"),
        ("pipelines: [\n", "decoding YAML"),
    ],
)
async def test_broken_definitions(here, definitions, told):
    (here / "pipelines.yml").write_text(definitions)
    said = await refused()
    assert told in said
    assert "pipelines.yml" in said


async def test_what_is_in_no_settings_file_is_told_at_the_start_and_at_a_reload(here):
    definitions, file = here / "pipelines.yml", here / "settings.toml"
    definitions.write_text("""\
pipelines:
  p:
    triggers:
      push: {provider: github, secret: {from_credential: hook, field: value}}
""")
    good = '[pipelines.credentials.hook]\ntype = "text"\nvalue = "canary of the hook"\n'
    file.write_text(good.replace("hook]", "hok]"))
    file.chmod(0o600)
    told = 'trigger "push": there is no credential "hook"\npipelines.yml:4: did you mean `hok`?'
    assert (await refused(settings=file)).endswith(told)
    file.write_text(good)
    async with server(settings=file) as running:
        assert list(running.reloading.load()) == ["p"]
        definitions.write_text(definitions.read_text().replace("field: value", "field: valeu"))
        with pytest.raises(RunnerError) as raised:
            running.reloading.load()
    assert str(raised.value).endswith('"hook" has no field "valeu"\npipelines.yml:4: did you mean `value`?')
    assert "canary" not in str(raised.value)


async def test_a_credential_that_may_be_in_the_store_is_no_obstacle(here):
    key = base64.b64encode(bytes(32)).decode()
    (here / "settings.toml").write_text(f'[pipelines]\ncredential_keys = ["{key}"]\n')
    (here / "settings.toml").chmod(0o600)
    (here / "pipelines.yml").write_text(
        "pipelines: {p: {triggers: {push: {provider: github, secret: {from_credential: hook}}}}}\n"
    )
    async with server(settings=here / "settings.toml") as running:
        assert list(running.reloading.load()) == ["p"]


async def test_a_malformed_env_file_of_which_nothing_is_quoted(here):
    (here / ".env").write_text('GOOD=1\nCANARY="canary without an end\n')
    said = await refused()
    assert "loading env file .env" in said
    assert "canary" not in said


@pytest.mark.parametrize(
    "text", ["jwt_secret: canary\n", "canary: [\n", "canary: long enough for a secret\n"]
)
async def test_a_secret_that_cannot_be_used(here, text):
    (here / ".prunner.yml").write_text(text)
    said = await refused()
    assert "prunner.yml" in said
    assert "canary" not in said


async def test_a_data_folder_that_cannot_be_made(here):
    (here / "file").touch()
    assert "file" in await refused(data=here / "file" / "data")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_folder_that_is_read_only(here):
    here.chmod(0o500)
    try:
        assert "Permission denied" in await refused()
    finally:
        here.chmod(0o700)


async def test_data_that_another_server_works_on(here):
    async with server():
        assert f"another server works on this data folder (process {os.getpid()})" in await refused()
    async with server():
        pass


async def test_a_second_server_on_an_address_changes_no_records(here):
    with contextlib.ExitStack() as stack:
        from socket import create_server

        taken = stack.enter_context(create_server(("127.0.0.1", 0)))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        said = await refused(address=address)
    assert "Address already in use (another program listens there: `ss -ltnp` shows which)" in said


async def test_what_is_needed_for_runners_of_this_server(here):
    (here / "config.toml").write_text("[[runners]]\n")
    assert "config.toml" in await refused(runners=here / "config.toml")
    assert attrs.fields(Settings).runners.default is None
