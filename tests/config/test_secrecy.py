"""Secrets are planted wherever a configuration may hold one; nothing that is said about it repeats them."""

import traceback
from collections.abc import Callable

import pytest

from paas_runner.config import Config, ConfigError

LoadText = Callable[..., Config]

SECRET = "CANARY31415926"
NUMBER = "31415926"
TOKEN = '"glrt-aaaaaaaaaaaa"'


def section(url: str = '"https://gitlab.example"', token: str = TOKEN, more: str = "") -> str:
    return f"""
[[runners]]
  url = {url}
  token = {token}
  executor = "clever-docker"
  cc_orga_id = "orga_1"
{more}
"""


QUOTA = """
[quota_computation]
  reference_runner = "$IN_ENVIRONMENT"
  reference_flavor = "M"
  reference_jobs_count = 1
"""
BAD_SECRETS = [
    f'["{SECRET}"]',
    f'{{value = "{SECRET}"}}',
    NUMBER,
    f"{NUMBER}.5",
    f'"secret:{SECRET}"',
    f'"${SECRET}"',
    f'"${{{SECRET}}}"',
    f'"abc${SECRET}"',
    f'"{SECRET}',
    f'"{SECRET}\\q"',
    f'"{SECRET}" "{SECRET}"',
    f'"""{SECRET}',
]
BROKEN = [
    *(section(token=bad) for bad in BAD_SECRETS),
    *(section(more=f"cc_token = {bad}") for bad in BAD_SECRETS),
    *(section(more=f"paas_job_trace_watch.token = {bad}") for bad in BAD_SECRETS),
    section(token=f'"{SECRET}"') * 2,
    section(token=f'"{SECRET}"', more=f'token_ = "{SECRET}"\ncc_tokn = "{SECRET}"\nlimit = -1'),
    section(token=f'"{SECRET}1"', more="cc_token = 'x'") + section(token=f'"{SECRET}2"'),
    section(url=f'"https://user:{SECRET}@gitlab.example"'),
    section(url=f'"ftp://user:{SECRET}@gitlab.example"'),
    section(url=f'"https://gitlab.example?private_token={SECRET}"'),
    section(url='"$IN_ENVIRONMENT"'),
    section(more='limit = "$IN_ENVIRONMENT"'),
    'log_level = "$IN_ENVIRONMENT"' + section(),
    section().replace('"clever-docker"', '"$IN_ENVIRONMENT"'),
    section(more='tls-ca-file = "$IN_ENVIRONMENT"'),
    section(more=f"cc_extra_env = {{PASSWORD = {NUMBER}}}"),
    section(more=f'cc_extra_env = {{PASSWORD = ["{SECRET}"]}}'),
    section(more=f'cc_extra_env = "{SECRET}"'),
    section(more=f'cache = "{SECRET}"'),
    section(more=f'cache = {{s3 = {{SecretKey = "{SECRET}"}}}}\nlimit = -1'),
    QUOTA + section(),
    *(f'[traces]\nendpoint = "http://x"\nheaders = {bad}\n' + section() for bad in BAD_SECRETS),
    f'[traces]\nendpoint = "http://x"\nheaders = "{SECRET}"\n' + section(),
    f'[traces]\nendpoint = "http://x"\nhosts_headers = "x={SECRET}"\n' + section(),
    f'[traces]\nendpoint = "http://user:{SECRET}@x"\n' + section(),
]


@pytest.mark.parametrize("text", BROKEN)
def test_no_complaint_repeats_a_secret(text: str, load_text: LoadText) -> None:
    with pytest.raises(ConfigError) as caught:
        load_text(text, {"IN_ENVIRONMENT": SECRET})

    said = "".join(traceback.format_exception(caught.value)) + repr(caught.value.complaints)
    assert SECRET not in said
    assert NUMBER not in said


def test_no_warning_and_no_representation_repeats_a_secret(load_text: LoadText) -> None:
    config = load_text(
        section(
            token=f'"{SECRET}"',
            more=f"""
                cc_token = "{SECRET}"
                quota_max_fraction = 1
                heptapod_paas_runner_helper_image = "{SECRET}"
                cc_extra_env = {{PASSWORD = "{SECRET}"}}
                cache = {{s3 = {{SecretKey = "{SECRET}"}}}}
                job_trace_watch = {{token = "{SECRET}"}}
            """,
        )
    )

    assert len(config.warnings) == 2
    assert SECRET not in repr(config)
    assert SECRET not in "".join(config.warnings)
