"""Keys in any case, as GitLab Runner takes them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from paas_runner.config import Config, ConfigError
from paas_runner.config.load import state_path
from paas_runner.config.spelling import FORWARDED_TABLES
from paas_runner.inner.cache.settings import read_cache_settings
from paas_runner.inner.containers.settings import read_docker

LoadText = Callable[..., Config]
RUNNER = """\
[[runners]]
  url = "https://gitlab.example"
  token = "glrt-aaaaaaaaaaaaaaaa"
  executor = "clever-docker"
  cc_orga_id = "orga_1"
  cc_token = "made-up"
"""


def complaints(load_text: LoadText, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_text(text)
    return [str(each).partition("config.toml:")[2] for each in caught.value.complaints]


def test_keys_are_taken_in_any_case(load_text: LoadText) -> None:
    config = load_text(
        "Concurrent = 7\nLOG_LEVEL = 'WARN'\n[Quota_Computation]\nReference_Runner = 'one'\n"
        "reference_flavor = 'M'\nREFERENCE_JOBS_COUNT = 2\n"
        + RUNNER.replace("[runners]", "[Runners]").replace("url", "URL").replace("cc_token", "CC_Token")
        + "  Name = 'one'\n  Limit = 3\n  Environment = ['A=1']\n  CC_Zone = 'rbx'\n"
        "  [Runners.PaaS_Job_Trace_Watch]\n    Timeout_Seconds = 60\n"
    )

    [runner] = config.runners
    assert (config.concurrent, config.log_level) == (7, "warning")
    assert (runner.name, runner.url, runner.limit) == ("one", "https://gitlab.example", 3)
    assert runner.settings.cc_zone == "rbx"
    assert runner.paas_job_trace_watch.timeout_seconds.total_seconds() == 60
    assert runner.forwarded == {"environment": ["A=1"]}
    assert config.warnings == ()


def test_tables_of_gitlab_runner_mean_the_same_to_both_runners_on_the_host(load_text: LoadText) -> None:
    config = load_text(
        f"{RUNNER}  [runners.Cache]\n    type = 's3'\n    PATH = 'p'\n    [runners.Cache.S3]\n"
        "      bucketname = 'b'\n      accesskey = 'a'\n      Secretkey = 's'\n"
        "      serveraddress = 's3.example'\n"
        "  [runners.Docker]\n    Image = 'alpine'\n    Pull_Policy = 'never'\n"
        "    [[runners.Docker.Services]]\n      Name = 'redis'\n"
    )

    forwarded = config.runners[0].forwarded
    cache, docker = read_cache_settings(forwarded["cache"]), read_docker(forwarded["docker"])
    assert cache.bucket is not None
    assert (cache.bucket.url, cache.prefix) == ("https://s3.example/b", "p")
    assert (docker.image, docker.unknown) == ("alpine", ())
    assert [service["name"] for service in docker.services] == ["redis"]


@pytest.mark.parametrize("path", FORWARDED_TABLES, ids=".".join)
def test_every_key_of_a_forwarded_table_has_one_spelling(path: tuple[str, ...], load_text: LoadText) -> None:
    known = FORWARDED_TABLES[path]
    [one, more] = ("[[", "]]") if path == ("docker", "services") else ("[", "]")
    lines = "".join(f"    {key.swapcase()} = {{}}\n" for key in known)
    value = load_text(f"{RUNNER}  {one}runners.{'.'.join(path)}{more}\n{lines}").runners[0].forwarded

    for step in path:
        value = value[step]
    [table] = value if isinstance(value, list) else [value]
    assert table.keys() == known


def test_keys_that_are_data_stay_as_they_are(load_text: LoadText) -> None:
    config = load_text(
        f"{RUNNER}  [runners.feature_flags]\n    FF_X = true\n    ff_x = false\n"
        "  [runners.docker.sysctls]\n    Image = '1'\n    image = '2'\n"
        "  [runners.kubernetes]\n    Namespace = 'ci'\n"
        "  [runners.cc_extra_env]\n    Path = '1'\n    PATH = '2'\n"
    )

    [runner] = config.runners
    assert runner.forwarded == {
        "feature_flags": {"FF_X": True, "ff_x": False},
        "docker": {"sysctls": {"Image": "1", "image": "2"}},
        "kubernetes": {"Namespace": "ci"},
    }
    assert runner.settings.cc_extra_env == {"Path": "1", "PATH": "2"}


def test_a_key_in_two_spellings_is_refused_with_both_lines(load_text: LoadText) -> None:
    said = complaints(
        load_text,
        f"concurrent = 1\nConcurrent = 2\n{RUNNER}  URL = 'https://other.example'\n  CC_TOKEN = 'x'\n"
        "  [runners.docker]\n    image = 'a'\n"
        "  [runners.cache.s3]\n    BucketName = 'a'\n    bucketName = 'b'\n"
        "  [runners.Docker]\n    image = 'b'\n",
    )

    hint = "; keep one: GitLab Runner takes keys in any case"
    s3 = "runners[0].cache.s3"
    assert said == [
        f"2: Concurrent: is there already, as concurrent, on line 1{hint}",
        f"9: runners[0].URL: is there already, as runners[0].url, on line 4{hint}",
        f"10: runners[0].CC_TOKEN: is there already, as runners[0].cc_token, on line 8{hint}",
        f"15: {s3}.bucketName: is there already, as {s3}.BucketName, on line 14{hint}",
        f"16: runners[0].Docker: is there already, as runners[0].docker, on line 11{hint}",
    ]


def test_the_line_of_a_complaint_is_found_whatever_the_case(load_text: LoadText) -> None:
    said = complaints(
        load_text, f"\nCONCURRENT = 'x'\n{RUNNER}  [runners.Cache]\n  Limit = 1\n  LIMIT = -1\n"
    )

    assert said[0].startswith("2: concurrent: expected a whole number")
    said = complaints(load_text, f"{RUNNER}\n  LIMIT = -1\n  DOCKER = 1\n")
    assert [line.partition(":")[0] for line in said] == ["8", "9"]


def test_the_place_of_the_state_is_read_whatever_the_case(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("State_File = '/var/lib/x.json'\nconcurrency = 1\n")

    assert state_path(file, {}) == Path("/var/lib/x.json")
