"""Switching traces on: what the configuration may say, and what is needed on the machine."""

import pytest
from structlog.testing import capture_logs

from paas_runner.config import ConfigError, load
from paas_runner.config.telemetry import credentials_in, headers_in
from paas_runner.errors import MissingPackagesError
from paas_runner.executor.contract import installed
from paas_runner.logs import Redactor
from paas_runner.secret import Secret
from tests.support.missing_packages import take_away
from tests.support.virtual_world import VirtualWorld

SECTION = """
[[runners]]
url = "http://gitlab.example"
token = "glrt-aaaaaaaaaaaa"
executor = "clever-docker"
cc_orga_id = "orga_1"
cc_token = "cloud"
"""


def complaints(tmp_path, traces):
    config = tmp_path / "config.toml"
    config.write_text(f"[traces]\n{traces}\n{SECTION}")
    with pytest.raises(ConfigError) as caught:
        load(config, environ={}, executors=installed())
    return [str(complaint).partition("config.toml:")[2] for complaint in caught.value.complaints]


@pytest.mark.parametrize(
    ("traces", "said"),
    [
        ("", "1: traces.endpoint: expected an http or https address, found nothing"),
        ('endpoint = "http://x"\nheaders = "abc"', "3: traces.headers: must be "),
        ('endpoint = "http://x"\nheaders = "a b=c"', "3: traces.headers: must be "),
        ('endpoint = "http://x"\nhosts_headers = "a=b"', "3: traces.hosts_headers: has no effect without"),
        ('endpoint = "http://x"\nsample_ratio = 0', "3: traces.sample_ratio: expected a number above 0"),
        ('endpoint = "http://x"\nendpont = "x"', "3: traces.endpont: unknown key; did you mean `endpoint`?"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path, traces, said):
    [complaint] = complaints(tmp_path, traces)
    assert complaint.startswith(said)


def test_headers_have_the_form_of_the_standard_variable():
    found = headers_in(Secret("authorization=Basic YTpiCg==, x-scope = a"))
    assert {name: value.reveal() for name, value in found.items()} == {
        "authorization": "Basic YTpiCg==",
        "x-scope": "a",
    }
    assert headers_in(None) == {}


def test_a_receiver_that_quotes_our_credential_quotes_it_to_nobody():
    redactor = Redactor()
    redactor.add(credentials_in(headers_in(Secret("authorization=Bearer canary-0123456789")).values()))
    assert "canary" not in redactor.text("answered 401: the token canary-0123456789 is not known")
    assert redactor.text("answered 401: a Bearer is needed") == "answered 401: a Bearer is needed"


def test_without_the_packages_the_start_says_what_to_install(tmp_path, monkeypatch):
    take_away(monkeypatch, "opentelemetry", "paas_runner.tracing")

    async def story(world):
        serving, _ = world.start()
        with pytest.raises(MissingPackagesError, match=r"pip install '\.\[otel\]'"):
            await serving

    with capture_logs():
        VirtualWorld.play(tmp_path, story, more='[traces]\nendpoint = "http://x"\n')
