"""The settings file: everything that is wrong at once, and what a check says of it (§8, §9)."""

import base64

import pytest
from paas_pipelines.server.automation import load
from paas_pipelines.server.checking import results
from paas_pipelines.server.settings import Settings

from paas_runner.config import ConfigError
from paas_runner.config import load as load_config

KEY = base64.b64encode(b"k" * 32).decode()
GOOD = f"""
[pipelines]
token_domain = "tok"
external_url = "https://ci.example.com/"
credential_keys = ["$KEY", "{KEY}"]
access = [{{identity = "group:dev", role = "start", resource = "job=*"}}]
[pipelines.limits]
body_bytes = 2048
[pipelines.login]
type = "oidc"
domain = "corp"
issuer = "https://id.example.com/"
client_id = "x"
client_secret = "env:CLIENT"
[pipelines.credentials.db]
type = "username_password"
username = "app"
password = "short"
"""
ENVIRON = {"KEY": KEY, "CLIENT": "canary-of-the-client"}


def loaded(tmp_path, text, environ=ENVIRON):
    path = tmp_path / "settings.toml"
    path.write_text(text)
    path.chmod(0o600)
    return load(path, environ)


def complaints(tmp_path, text):
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, text)
    return str(refused.value).replace(f"{tmp_path}/", "").splitlines()


def test_all_of_it_is_read(tmp_path):
    found = loaded(tmp_path, GOOD)
    assert found.external_url == "https://ci.example.com"
    assert found.limits.body_bytes == 2048
    assert [str(each.role) for each in found.access] == ["start"]
    assert found.access[0].resource == ("pipeline=*",)
    assert found.secret_variables == {"KEY", "CLIENT"}
    assert "canary" not in repr(found)
    [warning] = found.warnings
    assert "under 8 characters" in warning


def test_everything_that_is_wrong_is_told_at_once_with_its_line(tmp_path):
    text = """
[pipelines]
token_domain = "pipeline"
acess = []
credential_keys = ["canary-no-key"]
[[pipelines.access]]
identity = ["bob"]
role = "reed"
resource = ["pipelne=x"]
[[pipelines.access]]
identity = "pipeline/x"
method = "us"
role = "read"
resource = "credential=x"
[pipelines.credentials.a]
type = "txt"
[pipelines.credentials.b]
type = "exec"
command = ["relative"]
[pipelines.credentials.c]
type = "text"
value = "env:CANARY"
[pipelines.notifiers.n]
type = "pigeon"
"""
    found = complaints(tmp_path, text)
    for line, words in {
        4: "pipelines.acess: unknown key; did you mean `access`?",
        5: "is no key of 32 bytes",
        8: "did you mean `read`?",
        9: "is no resource",
        13: "there is a `method`, too",
        16: "did you mean `text`?",
        19: "begins with no absolute path",
        22: "is not set",
        24: "expected one of mail, webhook, slack",
    }.items():
        assert any(each.startswith(f"settings.toml:{line}: ") and words in each for each in found), (
            line,
            found,
        )
    assert not any("canary" in each.lower() for each in found)


def test_misspelt_variables_and_files_of_secrets_are_told_without_their_values(tmp_path):
    (tmp_path / "password").write_text("canary")
    text = """
[pipelines]
external_url = "https://$HOTS"
[pipelines.credentials.a]
type = "text"
value = "env:CLEINT"
[pipelines.credentials.b]
type = "text"
value = "file:pasword"
"""
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, text, {**ENVIRON, "HOST": "canary.example.com"})
    said = str(refused.value)
    for near in (
        "HOTS is not set; did you mean `HOST`?",
        "did you mean `CLIENT`?",
        "did you mean `password`?",
    ):
        assert near in said
    assert "canary" not in said


def test_names_of_people_cannot_be_taken_by_whoever_makes_tokens(tmp_path):
    [told] = complaints(tmp_path, GOOD.replace('token_domain = "tok"', 'token_domain = "corp"'))
    assert "token_domain" in told
    [told] = complaints(tmp_path, GOOD.replace('token_domain = "tok"', 'token_domain = "pipeline"'))
    assert "token_domain" in told


def test_the_file_may_be_that_of_the_runners(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(GOOD)
    with pytest.raises(ConfigError) as refused:
        load_config(path, environ={}, executors={})
    assert [each.key for each in refused.value.complaints] == ["runners"]  # of which there are none here


def test_a_check_says_what_is_wrong_and_which_credentials_are_missing(tmp_path, monkeypatch):
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "pipelines.yml").write_text("""
pipelines:
  deploy:
    tasks:
      a: {script: [x], env: {P: {from_credential: db, field: pasword}}}
""")
    (tmp_path / "settings.toml").write_text(GOOD)
    settings = Settings(
        path=tmp_path, settings=tmp_path / "settings.toml", data=tmp_path / "data", config=tmp_path / "c.yml"
    )
    told = [str(each) for each in results(settings)]
    assert any("has no field" in each and "did you mean `password`" in each for each in told), told
    assert any("pipeline/deploy may not use credential=db" in each for each in told), told
    (tmp_path / "settings.toml").write_text("[pipelines]\nacces = []\n")
    assert any("settings.toml:2: pipelines.acces: unknown key" in str(each) for each in results(settings))
