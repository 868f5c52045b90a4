"""`state_store`: a file beside `state_file`, or a database that several processes share."""

import socket

import pytest

from paas_runner.check.shown import text as shown
from paas_runner.config import ConfigError
from paas_runner.config.difference import differences, with_restart_keys_of
from paas_runner.job.lease import Mode
from tests.config.test_load import RUNNER

URL = "postgresql://paas@db.internal:5433/paas"
BARE = 'state_store = "postgresql://paas@db/paas"\n'


@pytest.fixture
def loaded(load_text):
    return lambda text, **environ: load_text(text + RUNNER, environ)


def complaints(loaded, text):
    with pytest.raises(ConfigError) as refused:
        loaded(text)
    return [str(each).partition("config.toml:")[2] for each in refused.value.complaints]


def test_by_default_the_store_is_a_file_of_one_process(loaded, tmp_path):
    config = loaded("")
    assert config.store == config.store_path == tmp_path / "paas-runner-state.db"
    assert (config.mode, config.member) == (Mode.STANDBY, socket.gethostname())


def test_a_database_is_named_with_mode_and_name(loaded):
    config = loaded(f'state_store = "{URL}"\nstate_store_mode = "spread"\nstate_store_member = "left"\n')
    assert str(config.store) == URL
    assert (config.mode, config.member) == (Mode.SPREAD, "left")
    assert not config.warnings


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ('state_store = "postgresql://paas:canary@db/paas"\n', {}),
        ('state_store = "postgresql://paas:$WORD@db/paas"\n', {"WORD": "canary"}),
        ('state_store = "env:STORE"\n', {"STORE": "postgresql://paas:canary@db/paas"}),
        (
            'state_store = "postgresql://paas@db/paas"\nstate_store_password = "env:WORD"\n',
            {"WORD": "canary"},
        ),
        ('secrets_file = "more.toml"\nstate_store = "secret:store"\n', {}),
        (f'{BARE}state_store_password = "file:word"\n', {}),
    ],
)
def test_the_address_or_its_password_may_be_elsewhere(loaded, tmp_path, text, environ):
    for name, content in {
        "more.toml": 'store = "postgresql://paas:canary@db/paas"',
        "word": "canary",
    }.items():
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_text(content)
    config = loaded(text, **environ)
    assert config.store.url.reveal() == "postgresql://paas:canary@db/paas"
    assert str(config.store) == "postgresql://paas@db/paas"
    assert "canary" in {secret.reveal() for secret in config.secrets}
    assert "canary" not in f"{config!r} {shown(config, {})}"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            'state_store = "canary.db"\n',
            "1: state_store: an address such as postgresql://user@host:5432/database was expected",
        ),
        (
            "state_store = 7\n",
            (
                "1: state_store: expected an address such as postgresql://user@host:5432/database, "
                "found a whole number"
            ),
        ),
        (
            f'state_store = "{URL}"\nstate_store_mode = "spraed"\n',
            (
                "2: state_store_mode: expected one of standby, spread, found "
                '"spraed" (text); did you mean `spread`?'
            ),
        ),
        (
            'state_store = "postgresql://paas:canary@db/paas"\nstate_store_password = "canary"\n',
            "2: state_store_password: there is one in `state_store`, too; keep one",
        ),
    ],
)
def test_a_wrong_one_is_told_with_its_line_and_not_repeated(loaded, text, complaint):
    [told] = complaints(loaded, text)
    assert told.startswith(complaint)
    assert "canary" not in told


@pytest.mark.parametrize(
    ("text", "exposed"),
    [
        ('state_store = "postgresql://paas:canary@db/paas"\n', True),
        (f'state_store = "{URL}"\nstate_store_password = "canary"\n', True),
        (f'state_store = "{URL}"\n', False),
        ('state_store = "postgresql://paas:$WORD@db/paas"\n', False),
        ('state_store = "env:STORE"\n', False),
    ],
)
def test_a_password_in_a_file_that_others_may_read_is_warned_about(load_text, tmp_path, text, exposed):
    (tmp_path / "config.toml").touch()
    (tmp_path / "config.toml").chmod(0o644)
    runner = RUNNER.replace("glrt-t1_aaaaaaaaaaaaaaaa", "$TOKEN").replace('clever"\n', '$TOKEN"\n')
    environ = {"WORD": "canary", "STORE": "postgresql://paas:canary@db/paas", "TOKEN": "glrt-abcdefghijk"}
    warnings = load_text(text + runner, environ).warnings
    assert any("has secrets in it" in each for each in warnings) is exposed
    assert not any("canary" in each for each in warnings)


def test_what_is_for_a_shared_store_alone_is_told_without_one(loaded):
    warnings = loaded('state_store_mode = "spread"\nstate_store_member = "left"\n').warnings
    assert [each.partition("config.toml:")[2] for each in warnings] == [
        "1: state_store_mode: has no effect without `state_store`",
        "2: state_store_member: has no effect without `state_store`",
    ]
    assert not loaded('state_store_mode = "standby"\n').warnings


def test_another_store_needs_a_restart_and_is_not_told_in_words(loaded):
    before, after = loaded(""), loaded(f'state_store = "{URL}"\nstate_store_mode = "spread"\n')
    assert differences(before, after) == [
        "state_store: changed",
        'state_store_mode: "standby" → "spread"',
    ]
    kept, waiting = with_restart_keys_of(before, after)
    assert kept.store == before.store
    assert waiting == ["state_store", "state_store_mode"]


def test_an_address_without_credentials_is_no_secret_and_one_with_them_is(loaded):
    url = "postgresql://paas@db/paas"
    config = loaded(f'state_store = "{url}"\nstate_store_password = "canary-password"\n')
    assert url not in [secret.reveal() for secret in config.secrets]
    assert "canary-password" in [secret.reveal() for secret in config.secrets]
    config = loaded('state_store = "postgresql://paas:canary@db/paas"\n')
    assert {"canary", "postgresql://paas:canary@db/paas"} <= {secret.reveal() for secret in config.secrets}
