"""`paas_page` is for this machine alone unless a token is asked for; else the file is refused."""

import pytest

from paas_runner.check.meaning import meanings
from paas_runner.config import ConfigError, load
from paas_runner.executor.contract import installed
from tests.config.test_load import RUNNER

TOKEN = 'paas_page_token = "0123456789abcdef"\n'


@pytest.fixture
def loaded(tmp_path):
    def loaded(text):
        path = tmp_path / "config.toml"
        path.touch(mode=0o600)
        path.write_text(text + RUNNER)
        return load(path, environ={}, executors=installed())

    return loaded


def complaints(loaded, text):
    with pytest.raises(ConfigError) as refused:
        loaded(text)
    return [str(each).partition("config.toml:")[2] for each in refused.value.complaints]


@pytest.mark.parametrize(
    "address", ["127.0.0.1:9252", "localhost", "[::1]:80", "127.8.8.8:1", "unix:/run/page.sock"]
)
def test_on_this_machine_the_page_needs_no_token(loaded, address):
    assert loaded(f'listen_address = "{address}"\npaas_page = true\n').paas_page


@pytest.mark.parametrize(
    "address", [":9252", "0.0.0.0:9252", "[::]:9252", "runner.example:80", "192.168.0.1:80"]
)
def test_elsewhere_it_needs_one(loaded, address):
    text = f'listen_address = "{address}"\npaas_page = true\n'
    [complaint] = complaints(loaded, text)
    assert complaint.startswith("2: paas_page: true, so that everybody who reaches ")
    assert complaint.endswith(
        "could see all jobs, hosts and costs; set `paas_page_token`, or listen on 127.0.0.1 or unix:/path"
    )
    assert loaded(text + TOKEN).paas_page_token.reveal() == "0123456789abcdef"
    assert not loaded(text.replace("true", "false")).paas_page


def test_a_page_without_an_address_is_a_mistake(loaded):
    [complaint] = complaints(loaded, "paas_page = true\n")
    assert "true, but there is no `listen_address`" in complaint


def test_a_token_that_can_be_guessed_is_refused_and_not_repeated(loaded):
    told = complaints(loaded, 'listen_address = ":1"\npaas_page = true\npaas_page_token = "hunter2hunter2"\n')
    [complaint] = told
    assert complaint.startswith("3: paas_page_token: shorter than 16 characters, which can be guessed; ")
    assert "hunter2" not in complaint


def test_a_token_that_cannot_be_read_is_one_complaint(loaded):
    [complaint] = complaints(
        loaded, 'listen_address = ":1"\npaas_page = true\npaas_page_token = "env:MISSING"\n'
    )
    assert complaint.startswith("3: paas_page_token: ")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('listen_address = "127.0.0.1:9252"\n', "at http://127.0.0.1:9252/ to everybody on this machine"),
        ('listen_address = "unix:/run/p.sock"\n', "at unix:/run/p.sock to whoever may open that socket"),
        (f'listen_address = ":9252"\n{TOKEN}', "at http://:9252/ to whoever has the token"),
    ],
)
def test_check_says_who_sees_the_page(loaded, text, told):
    config = loaded(f"{text}paas_page = true\n")
    assert meanings(config, {})["paas_page",] == f"what runs, waits, fails and costs is shown {told}"
    assert ("paas_page",) not in meanings(loaded(text), {})


def test_the_token_is_one_of_the_secrets(loaded):
    config = loaded(f'listen_address = ":1"\npaas_page = true\n{TOKEN}')
    assert "0123456789abcdef" in [secret.reveal() for secret in config.secrets]
    assert "0123456789abcdef" not in repr(config)


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        (TOKEN, "1: paas_page_token: has no effect without `paas_page`"),
        (
            "paas_metrics_exemplars = true\n",
            "1: paas_metrics_exemplars: has no effect without `listen_address`",
        ),
        (f'listen_address = ":1"\npaas_page = true\npaas_metrics_exemplars = true\n{TOKEN}', ""),
    ],
)
def test_what_only_another_key_switches_on_is_warned_about(loaded, text, warned):
    assert "".join(each.partition("config.toml:")[2] for each in loaded(text).warnings) == warned
