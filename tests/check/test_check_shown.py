"""`paas-runner check --show`: what is in effect, without secrets, and what it means."""

import json
import tomllib
from datetime import timedelta

import attrs
import pytest

from paas_runner.check import shown
from paas_runner.config import load
from paas_runner.executor.contract import installed
from paas_runner.job.limits import Flavors
from paas_runner.plain_text import exact_span

TEXT = """
concurrent = 8
check_interval = 5

[quota_computation]
reference_runner = "one"
reference_flavor = "M"
reference_jobs_count = 4

[[runners]]
name = "one"
url = "https://gitlab.example.com"
token = "glrt-abCDEfghi-token-canary"
executor = "clever-docker"
limit = 3
cc_orga_id = "orga_1"
cc_token = "cloud-token-canary"
environment = ["PASSWORD=environment-canary"]
pre_build_script = "login script-canary"
[runners.cc_extra_env]
KEY = "extra-canary"
[runners.cc_flavor_fallback]
M = ["L", "XL"]
[runners.docker]
image = "debian:12"
privileged = true
memory = "odd-canary"
[[runners.docker.services]]
name = "postgres:16"
[runners.cache]
Type = "s3"
[runners.cache.s3]
AccessKey = "access-canary"
SecretKey = "secret-canary"
"""
SIZES = {"abCDEfghi": Flavors(weights={"S": 1.0, "M": 2.5, "L": 6.0}, most_weight=5.0)}


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.toml"
    path.touch(mode=0o600)
    path.write_text(TEXT)
    return load(path, environ={}, executors=installed())


def test_it_is_toml_with_defaults_filled_in(config):
    found = tomllib.loads(shown.text(config, SIZES))
    assert (found["concurrent"], found["check_interval"], found["shutdown_timeout"]) == (8, 5, 100)
    assert found["state_file"] == str(config.state_file)
    [runner] = found["runners"]
    assert (runner["limit"], runner["cc_zone"], runner["unhealthy_interval"]) == (3, "par", "3600s")
    assert runner["paas_job_trace_watch"]["timeout_seconds"] == 300
    assert runner["cc_flavor_fallback"] == {"M": ["L", "XL"]}
    assert runner["docker"]["image"] == "debian:12"
    assert runner["docker"]["privileged"] is True


@pytest.mark.parametrize(
    "form", [shown.text, lambda *given: json.dumps(shown.document(*given), ensure_ascii=False)]
)
def test_no_secret_is_shown_wherever_it_stands(config, form):
    told = form(config, SIZES)
    assert "canary" not in told
    assert '"glrt-ab…(hidden)"' in told
    assert told.count("…(hidden)") == 9


def test_what_is_shown_can_be_loaded_again(config, tmp_path):
    again = tmp_path / "again.toml"
    again.touch(mode=0o600)
    again.write_text(shown.text(config, SIZES).replace(shown.HIDDEN, "-of-ten-letters"))
    loaded = load(again, environ={}, executors=installed())
    assert loaded.concurrent == config.concurrent
    assert loaded.runners[0].unhealthy_interval == config.runners[0].unhealthy_interval
    assert loaded.runners[0].paas_job_trace_watch == config.runners[0].paas_job_trace_watch


def test_settings_are_explained_in_numbers(config):
    meaning = shown.document(config, SIZES)["meaning"]
    assert meaning["concurrent"] == (
        "at most 8 jobs at once over all runners; the limits of all runners together allow 3"
    )
    assert "up to 12 times a minute" in meaning["check_interval"]
    assert "2 requests a minute, 8 jobs 16" in meaning["job_progress_poll_interval"]
    assert "a dead host within about 60 s" in meaning["job_progress_poll_interval"]
    assert meaning["quota_computation"] == "all hosts together may weigh 10.0"
    assert meaning["runners[0]"].endswith("within 10.0 of the quota: S 3, M 3")
    assert "writes nothing, after 5 min and up to 30 looks" in meaning["runners[0].paas_job_trace_watch"]


def test_without_a_catalogue_the_rest_is_still_explained(config):
    meaning = shown.document(config, {})["meaning"]
    assert meaning["runners[0]"] == "at most 3 jobs at once; what its hosts weigh could not be found out"


@pytest.mark.parametrize(("interval", "words"), [(1, "10 s"), (4, "12 s"), (20, "40 s"), (90, "3 min")])
def test_the_explained_numbers_are_those_of_the_policy_that_the_service_uses(config, interval, words):
    config = attrs.evolve(config, job_progress_poll_interval=timedelta(seconds=interval))
    meaning = shown.document(config, {})["meaning"]["job_progress_poll_interval"]
    assert meaning.endswith(f"a dead host within about {words}")
    policy = config.policy_of(config.runners[0])
    assert words == exact_span(policy.dead_host_within)


AWKWARD = {
    "plain": 'a "quoted" \\ text\n\x7f\x00é😀',
    "a key": [1, 2.5, True, "x", [1], {"in line": "value"}],
    "none": [],
    "table": {"deep": {"list": [{"a": 1}, {"b": [{"c": "d"}]}]}, "empty": {}},
}


def test_any_document_reads_back_equal_with_its_comments_in_lines():
    comments = {("plain",): "word " * 60, ("table", "deep", "list", 1): "of an entry"}
    text = shown.commented(AWKWARD, comments)
    lines = text.splitlines()
    assert tomllib.loads(text) == AWKWARD
    assert max(len(line) for line in lines if line.startswith("#")) <= shown.COMMENT_WIDTH + 2
    assert "# of an entry" in lines
    assert lines[3:] == [
        'plain = "a \\"quoted\\" \\\\ text\\n\\u007f\\u0000é😀"',
        '"a key" = [1, 2.5, true, "x", [1], {"in line" = "value"}]',
        "none = []",
        "",
        "[table]",
        "",
        "[table.deep]",
        "",
        "[[table.deep.list]]",
        "a = 1",
        "",
        "# of an entry",
        "[[table.deep.list]]",
        "",
        "[[table.deep.list.b]]",
        'c = "d"',
        "",
        "[table.empty]",
    ]


def test_large_numbers_are_written_out(config):
    busy = attrs.evolve(config, concurrent=600)
    assert "600 jobs 1200" in shown.document(busy, SIZES)["meaning"]["job_progress_poll_interval"]
