"""What is said before anything runs: which jobs there are, and why one is not run."""

import json

import pytest


def test_without_a_name_all_jobs_are_listed_in_the_order_of_stages(project, called):
    code, answer, _ = called() if project.use("artifacts") else None
    assert code == 0
    assert [line.split() for line in answer.splitlines()] == [
        ["JOB", "STAGE", "WHEN", "IMAGE", "NEEDS"],
        ["build", "build", "on_success", "-", "-"],
        ["test", "test", "on_success", "-", "build"],
    ]
    _, answer, _ = called("--json")
    assert json.loads(answer)["jobs"][1] == {
        "job": "test",
        "stage": "test",
        "when": "on_success",
        "image": None,
        "needs": ["build"],
    }


def test_the_folder_below_the_root_is_as_good(project, called, monkeypatch):
    project.use("artifacts").write("below/file", "")
    monkeypatch.chdir(project.root / "below")
    assert called()[0] == 0


TEXT = """\
include: [{template: Jobs/SAST.gitlab-ci.yml}]
tests: {script: [echo]}
child: {trigger: other/project}
vault: {script: [echo], secrets: {KEY: {vault: a/b}}}
alone: {script: [echo], inherit: {default: false}}
tagged: {script: [echo], tags: [big], rules: [{changes: [a], when: manual}]}
.base: {script: [echo]}
"""
REASONS = {
    "test": "has no job `test`: did you mean `tests`? It may be in what is not included",
    "sast": "has no job `sast`; there are: tests, vault, alone, tagged It may be",
    "child": ".gitlab-ci.yml:3: job `child`, `trigger`: exec starts no other pipelines",
    "vault": ".gitlab-ci.yml:4: job `vault`, `secrets`: not understood by exec, it has no effect: the",
    "alone": ".gitlab-ci.yml:5: job `alone`, `inherit`: not understood by exec",
    ".base": "`.base` is a template: hidden jobs are not run",
}


@pytest.mark.parametrize("name", REASONS)
def test_a_job_that_cannot_be_run_is_refused_with_the_reason(project, called, name):
    project.write(".gitlab-ci.yml", TEXT)
    code, answer, messages = called(name)
    assert (code, answer) == (2, "")
    assert REASONS[name] in messages


def test_what_is_not_known_is_named_with_file_and_line_and_what_is_done_here_is_not(project, called):
    project.write(".gitlab-ci.yml", TEXT)
    _, _, messages = called()
    assert (
        ".gitlab-ci.yml:1: `include`: the template `Jobs/SAST.gitlab-ci.yml` is not read by exec" in messages
    )
    assert ".gitlab-ci.yml:6: job `tagged`, `changes`" not in messages
    assert "taken as fulfilled" in messages
    assert "tags" not in messages
    assert "manual" not in messages


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "workflow: {rules: [{if: $X}]}\na: {script: x}",
            "none holds for a push to `main`; rules see what -e gives",
        ),
        ("a: [", ".gitlab-ci.yml: line 2: not YAML"),
        ("a: {script: [x], needs: [b]}", "need `b` is not defined"),
        ("a: {script: 1", ".gitlab-ci.yml: line"),
    ],
)
def test_a_pipeline_that_cannot_be_read_is_refused_with_the_line(project, called, text, words):
    project.write(".gitlab-ci.yml", text)
    code, _, messages = called("a")
    assert code == 2
    assert words in messages


WRONG = {
    ("-e", "1=2"): "-e wants NAME=VALUE",
    ("-e", "NAME"): "-e wants NAME=VALUE",
    ("--secret", "NOT_SET_ANYWHERE"): "--secret wants the name of a variable that is set in this shell",
    ("--variables-file", "absent.env"): "absent.env: it cannot be read: FileNotFoundError",
    ("--url", "https://gitlab.example.org"): "--url needs a token of scope api",
    ("--docker",): "--docker: the job names no image, --image gives it one",
    ("--docker", "--shell"): "not allowed with argument",
}


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_arguments_are_told(project, called, arguments):
    code, _, messages = called("test", *arguments) if project.use("artifacts") else None
    assert code == 2
    assert WRONG[arguments] in messages


def test_a_file_of_variables_quotes_nothing_of_its_text(project, called):
    project.use("artifacts").write("given.env", "export A='b c'\n# no\nsecret-text\n")
    code, _, messages = called("test", "--variables-file", "given.env")
    assert code == 2
    assert "given.env:3: NAME=VALUE was expected" in messages
    assert "secret-text" not in messages
