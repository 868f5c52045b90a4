"""Files as GitLab Runner reads them."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from paas_runner.config import Config

LoadText = Callable[..., Config]

RUNNER = """
[[runners]]
  url = "https://gitlab.example/"
  token = "glrt-t1_aaaaaaaaaaaaaaaa"
  executor = "clever-docker"
  cc_orga_id = "orga_1"
  cc_token = "clever"
"""


def test_a_mark_of_the_byte_order_and_the_line_ends_of_windows_are_nothing(load_text: LoadText) -> None:
    text = "\ufeffconcurrent = 7\n" + RUNNER
    assert load_text(text.replace("\n", "\r\n")).concurrent == 7


@pytest.mark.parametrize(
    ("written", "level"),
    [("warn", "warning"), ("WARNING", "warning"), ("trace", "debug"), ("DEBUG", "debug"), ("Error", "error")],
)
def test_a_level_has_the_names_and_cases_of_gitlab_runner(
    load_text: LoadText, written: str, level: str
) -> None:
    assert load_text(f'log_level = "{written}"\n' + RUNNER).log_level == level


@pytest.mark.parametrize("key", ["tls-ca-file", "tls-cert-file", "tls-key-file"])
def test_an_empty_name_of_a_certificate_is_none(load_text: LoadText, key: str) -> None:
    [runner] = load_text(RUNNER + f'{key} = ""\n').runners
    assert (runner.tls.ca_file, runner.tls.cert_file, runner.tls.key_file) == (None, None, None)


def test_a_limit_of_zero_is_the_default_and_a_span_of_zero_needs_no_unit(load_text: LoadText) -> None:
    [runner] = load_text(RUNNER + 'unhealthy_requests_limit = 0\nunhealthy_interval = "0"\n').runners
    assert (runner.unhealthy_requests_limit, runner.unhealthy_interval) == (3, timedelta())
