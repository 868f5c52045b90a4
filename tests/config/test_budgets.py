"""What no clock, calendar, header or disk can take is refused where it is written."""

from collections.abc import Callable
from pathlib import Path

import pytest

from paas_runner.config import Config, ConfigError

LoadText = Callable[..., Config]

RUNNER = """
[[runners]]
  name = "one"
  url = "https://gitlab.example/"
  token = "{token}"
  executor = "clever-docker"
  cc_orga_id = "orga_1"
  cc_token = "clever"
  {more}
"""
TOKEN = "glrt-t1_aaaaaaaaaaaaaaaa"


def complaint(load_text: LoadText, text: str, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load_text(text, environ or {})
    [line] = str(caught.value).split("\n")
    return line.rpartition("/")[2]


@pytest.mark.parametrize("value", ["1000000000000", "1e300", "-1e300", "31700000.5"])
@pytest.mark.parametrize(
    "key", ["check_interval", "job_progress_poll_interval", "shutdown_timeout", "paas_orphan_sweep_interval"]
)
def test_a_span_ends_somewhere(load_text: LoadText, key: str, value: str) -> None:
    text = f"{key} = {value}\n" + RUNNER.format(token=TOKEN, more="")
    assert complaint(load_text, text) == f"config.toml:1: {key}: longer than 366 days, which is the most"


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ("cc_deployment_repo_timeout = 1000000000000", "runners[0].cc_deployment_repo_timeout"),
        ("paas_job_trace_watch = {timeout_seconds = 1e12}", "paas_job_trace_watch.timeout_seconds"),
        ('unhealthy_interval = "300000h"', "runners[0].unhealthy_interval"),
        ("unhealthy_interval = 9000000000000000000", "runners[0].unhealthy_interval"),
    ],
)
def test_a_span_of_a_runner_ends_somewhere(load_text: LoadText, more: str, where: str) -> None:
    found = complaint(load_text, RUNNER.format(token=TOKEN, more=more))
    assert found.endswith(f"{where}: longer than 366 days, which is the most")


@pytest.mark.parametrize(
    ("line", "most"),
    [("paas_min_seconds_between_launches = 1e300", "86400"), ("paas_costs_keep_days = 3000000", "36500")],
)
def test_other_numbers_that_are_added_to_moments_end_somewhere(
    load_text: LoadText, line: str, most: str
) -> None:
    found = complaint(load_text, line + RUNNER.format(token=TOKEN, more=""))
    assert found.endswith(f"more than {most}, which is the most")


@pytest.mark.parametrize(
    ("spoiled", "fault"),
    [
        (f"{TOKEN}\n", "has white space at its beginning or end"),
        (f" {TOKEN}", "has white space at its beginning or end"),
        (f"{TOKEN}\u00a0", "has white space at its beginning or end"),
        (f"{TOKEN}\u200b", "has an invisible character in it (U+200B)"),
        (f"\ufeff{TOKEN}", "has an invisible character in it (U+FEFF)"),
        (f"{TOKEN}\x07b", "has an invisible character in it (U+0007)"),
        ("glrt-aaaaa\u00a0aaaa", "has an invisible character in it (U+00A0)"),
        ("glrt-aaaa aaaa", "has a blank or a letter in it that no token has"),
        ("glrt-aaaaaaaaé", "has a blank or a letter in it that no token has"),
    ],
)
@pytest.mark.parametrize("way", ["literal", "$NAME", "env", "file", "cc_token"])
def test_a_token_with_something_around_it_is_refused_wherever_it_stands(
    load_text: LoadText, tmp_path: Path, way: str, spoiled: str, fault: str
) -> None:
    environ = {"TOKEN": spoiled}
    if way == "literal":
        written = "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in spoiled)
    elif way == "file":
        (tmp_path / "token").write_text(f"{spoiled}\n")
        (tmp_path / "token").chmod(0o600)
        written = "file:token"
    else:
        written = {"$NAME": "$TOKEN", "env": "env:TOKEN"}.get(way, TOKEN)
    text = RUNNER.format(token=written, more="")
    if way == "cc_token":
        text = text.replace('"clever"\n', '"$TOKEN"\n')
    found = complaint(load_text, text, environ)
    key, line = ("cc_token", 8) if way == "cc_token" else ("token", 5)
    assert found.startswith(f"config.toml:{line}: runners[0].{key}: {fault}")
    assert TOKEN not in found


@pytest.mark.parametrize("name", ["paas.db", "paas.installation", "config.toml", "a" * 300])
def test_a_state_file_in_the_place_of_another_file_is_refused(load_text: LoadText, name: str) -> None:
    found = complaint(load_text, f'state_file = "{name}"\n' + RUNNER.format(token=TOKEN, more=""))
    assert found.startswith("config.toml:1: state_file: ")
