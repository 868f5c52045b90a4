"""What a job's variables say to the runner itself, and all kinds of variables."""

import json
import re
from pathlib import PurePosixPath
from typing import Any

import attrs
import pytest

from paas_runner.inner.job import Job, Workspace, read_job
from paas_runner.inner.settings import GitStrategy, Submodules, read_section, seconds
from paas_runner.job.payload import decode

TOML = '[[runners]]\nurl = "http://gitlab.test"\ntoken = "abc"\nenvironment = ["A=runner", "B=runner $A"]\n'
FOLDERS = Workspace(builds=PurePosixPath("/builds"), project=PurePosixPath("/builds/group/project"))


def read(toml: str = TOML, /, *, more: dict[str, Any] | None = None, **variables: Any) -> Job:
    """A job with variables, each a value or the fields of an entry."""
    entries = [
        {"key": key, **(value if isinstance(value, dict) else {"value": value})}
        for key, value in variables.items()
    ]
    payload = {"id": 1, "token": "job-token", "variables": entries, **(more or {})}
    return read_job(decode(json.dumps(payload).encode()), read_section(toml), FOLDERS)


@pytest.mark.parametrize(
    ("text", "span"),
    [("10s", 10), ("1h30m", 5400), ("1.5h", 5400), ("90m", 5400), ("300ms", 0.3), ("1h2m3s", 3723)],
)
def test_durations_are_written_as_go_writes_them(text: str, span: float) -> None:
    assert seconds(text) == pytest.approx(span)


@pytest.mark.parametrize("text", ["10", "s", "1x", "-5s", "1h 5m", "0s", "ten seconds"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        seconds(text)


def test_without_variables_all_is_as_with_gitlab_runner() -> None:
    settings = read().settings
    assert settings.git_strategy is GitStrategy.FETCH
    assert settings.submodules is Submodules.NONE
    assert (settings.git_checkout, settings.git_depth) == (True, None)
    assert settings.git_clean_flags == ("-ffdx",)
    assert settings.git_fetch_flags == ("--prune", "--quiet")
    assert settings.attempts["GET_SOURCES_ATTEMPTS"] == 1
    assert (settings.script_seconds, settings.after_script_seconds) == (None, 300)
    assert settings.after_script_ignore_errors
    assert settings.warnings == ()


def test_a_coordinator_may_forbid_to_fetch() -> None:
    assert read(more={"allow_git_fetch": False}).settings.git_strategy is GitStrategy.CLONE


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GIT_STRATEGY", "beam"),
        ("GIT_CHECKOUT", "maybe"),
        ("GIT_DEPTH", "-1"),
        ("GIT_SUBMODULE_STRATEGY", "some"),
        ("GET_SOURCES_ATTEMPTS", "11"),
        ("GET_SOURCES_ATTEMPTS", "0"),
        ("RUNNER_SCRIPT_TIMEOUT", "soon"),
        ("AFTER_SCRIPT_IGNORE_ERRORS", "2"),
    ],
)
def test_a_value_without_sense_is_warned_of_and_counts_as_absent(name: str, value: str) -> None:
    settings = read(**{name: value}).settings
    (warning,) = settings.warnings
    assert warning.startswith(f"{name} is ignored: `{value}` is not understood")
    assert attrs.evolve(settings, warnings=()) == read().settings


def test_the_job_wins_over_the_runner_and_neither_over_what_is_so() -> None:
    variables = read(A="job", CI_PROJECT_DIR="/elsewhere", CI_RUNNER_VERSION="me").variables
    assert variables.get("A") == "job"
    assert variables.get("B") == "runner job"
    assert variables.get("CI_PROJECT_DIR") == "/elsewhere"
    assert variables.get("CI_RUNNER_VERSION") != "me"


def test_the_runners_own_variables_are_there() -> None:
    variables = read(more={"image": {"name": "alpine:$TAG"}}, TAG="3").variables
    expected = {
        "CI_BUILDS_DIR": "/builds",
        "CI_PROJECT_DIR": "/builds/group/project",
        "CI_CONCURRENT_ID": "0",
        "CI_CONCURRENT_PROJECT_ID": "0",
        "CI_SERVER": "yes",
        "CI_JOB_STATUS": "running",
        "CI_JOB_TIMEOUT": "7200",
        "CI_JOB_IMAGE": "alpine:3",
        "CI_RUNNER_SHORT_TOKEN": "abc",
        "CI_DISPOSABLE_ENVIRONMENT": "true",
        "RUNNER_TEMP_PROJECT_DIR": "/builds/group/project.tmp",
        "GITLAB_ENV": "/builds/group/project.tmp/gitlab_runner_env",
    }
    assert {key: variables.get(key) for key in expected} == expected


def test_of_equal_keys_the_last_wins() -> None:
    entries = [{"key": "A", "value": "1", "file": True}, {"key": "A", "value": "2"}]
    variables = read(more={"variables": entries}).variables
    assert variables.get("A") == "2"
    assert variables.files == {}


def test_kinds_of_variables_can_be_combined() -> None:
    variables = read(
        X="x",
        RAW={"value": "$X", "raw": True},
        FILE={"value": "<$X>", "file": True},
        RAW_FILE={"value": "<$X>", "file": True, "raw": True, "masked": True},
        USE="$RAW $FILE",
    ).variables
    folder = PurePosixPath("/builds/group/project.tmp")
    assert variables.files == {folder / "FILE": "<x>", folder / "RAW_FILE": "<$X>"}
    assert variables.get("USE") == f"$X {folder}/FILE"
    assert variables.masked == ("<$X>",)


def test_what_no_process_can_have_is_left_out_of_its_environment() -> None:
    job = read(
        more={
            "variables": [
                {"key": "A=B", "value": "1"},
                {"key": "", "value": "2"},
                {"key": "N", "value": "\0"},
            ]
        }
    )
    assert {"A=B", "", "N"}.isdisjoint(job.variables.environment)


def test_variables_are_expanded_in_image_names() -> None:
    more = {"image": {"name": "$I:1"}, "services": [{"name": "${I}-db"}, {"name": ""}, None]}
    assert read(more=more, I="app").image_names == ("app:1", "app-db")


def test_the_runners_owner_can_forbid_debug_traces() -> None:
    assert read(CI_DEBUG_TRACE="true").debug_trace
    assert not read(TOML + "debug_trace_disabled = true\n", CI_DEBUG_TRACE="true").debug_trace
