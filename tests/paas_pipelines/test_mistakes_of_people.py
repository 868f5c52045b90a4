"""Mistakes as people make them: each message says what, where and what to do; none is a traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from paas_pipelines.cli.options import doubts_of, settings_of
from paas_pipelines.definitions.loading import examine
from paas_pipelines.server.checking import results
from paas_pipelines.server.settings import Settings

from paas_runner.errors import UsageError

BIN = Path(sys.executable).parent
TASK = "pipelines:\n  a:\n    tasks:\n      x:\n"
LIST = "as in [one, other], or a line with a dash each"
QUOTES = "in quotes it is a text: a colon with a blank, or braces, make a mapping"
TEMPLATE = "pipelines.yml:6: a.tasks.x.script, entry 1: template: interpolate:1: "
WRITTEN = {
    "script: ls": (
        "pipelines.yml:5: decoding YAML: a list was expected, not a text (a.tasks.x.script)",
        LIST,
    ),
    "depends_on: y": (
        "pipelines.yml:5: decoding YAML: a list was expected, not a text (a.tasks.x.depends_on)",
        LIST,
    ),
    "restart: always": (
        'pipelines.yml:5: decoding YAML: unknown restart: "always"',
        "it is one of never, retry",
    ),
    "script:\n          - ls\n          - echo status: done": (
        "pipelines.yml:7: decoding YAML: a text was expected, not a mapping (a.tasks.x.script)",
        QUOTES,
    ),
    "script:\n          - {{ .name }}": (
        "pipelines.yml:6: decoding YAML: a text was expected, not a mapping (a.tasks.x.script)",
        QUOTES,
    ),
    "script:\n          - *.sh": (
        "pipelines.yml:6: decoding YAML: not YAML: did not find expected alphabetic or numeric character",
        "a text that begins so has to stand in quotes",
    ),
    "script:\n\t  - ls": (
        "pipelines.yml:6: decoding YAML: not YAML: found character that cannot start any token",
        "it is indented by a tab, where YAML wants blanks",
    ),
    "script:\n          - echo {{ name }}": (
        f'{TEMPLATE}function "name" not defined',
        "the task will fail; a variable is written {{ .name }}",
    ),
    "script:\n          - echo {{ .name": (f"{TEMPLATE}unclosed action", "the task will fail"),
}


def told(tmp_path, monkeypatch, text=None):
    """What `check` says of the definitions."""
    if text is not None:
        (tmp_path / "pipelines.yml").write_text(text)
    monkeypatch.chdir(tmp_path)
    found = results(Settings(address="127.0.0.1:0"))
    return [(each.grade, each.text, each.advice) for each in found if each.subject == "definitions"]


@pytest.mark.parametrize("line", WRITTEN)
def test_what_is_written_wrongly_is_told_with_its_place_and_its_remedy(tmp_path, monkeypatch, line):
    grade = "warning" if "template" in WRITTEN[line][0] else "fault"
    assert told(tmp_path, monkeypatch, f"{TASK}        {line}\n")[0] == (grade, *WRITTEN[line])


def test_a_template_of_what_runs_after_a_failure_is_looked_at_too(tmp_path, monkeypatch):
    text = "pipelines: {a: {on_error: {script: [ls, 'echo {{ end }}']}}}\n"
    [(grade, said, _), _] = told(tmp_path, monkeypatch, text)
    assert (grade, said.partition(", entry 2: template: ")[0]) == (
        "warning",
        "pipelines.yml:1: a.on_error.script",
    )


def test_the_server_says_the_same_in_one_line_more_than_prunner(tmp_path, monkeypatch):
    (tmp_path / "pipelines.yml").write_text("pipelines: {a: {queue_strategy: Replace}}\n")
    monkeypatch.chdir(tmp_path)
    [complaint] = examine(".", "pipelines.yml").complaints
    assert (complaint.text, complaint.remedy) == (
        'decoding YAML: unknown queue strategy: "Replace"',
        "it is one of append, replace, partitioned_replace",
    )


def test_a_wrong_folder_and_a_file_of_something_else_are_doubts(tmp_path, monkeypatch):
    [(grade, said, remedy)] = told(tmp_path, monkeypatch)
    assert (grade, said) == ("warning", f"no file matches **/pipelines.{{yml,yaml}} below {tmp_path}")
    assert "--path" in remedy
    [(grade, said, _)] = told(tmp_path, monkeypatch, "stages: [build]\n")
    assert (grade, said) == ("warning", "no pipelines in files: 1")


@pytest.mark.parametrize(
    ("name", "doubts"),
    [
        ("PRUNNER_ADRESS", ["$PRUNNER_ADRESS is no option; did you mean `PRUNNER_ADDRESS`?"]),
        ("PRUNNER_JWTSECRET", ["$PRUNNER_JWTSECRET is no option; did you mean `PRUNNER_JWT_SECRET`?"]),
        (
            "PAAS_PIPELINE_RUNNERS",
            ["$PAAS_PIPELINE_RUNNERS is no option; did you mean `PAAS_PIPELINES_RUNNERS`?"],
        ),
        ("PRUNNER_DATA", []),
        ("PRUNNER", []),
        ("HOME", []),
    ],
)
def test_a_variable_that_seems_misspelt_is_told(name, doubts):
    """Its value is not: it may be a secret."""
    assert doubts_of({}, {name: "canary"}) == doubts


@pytest.mark.parametrize(
    "url", ["pipelines.example.com", "ftp://pipelines.example.com", "https://", "https://a b"]
)
def test_an_address_that_hosts_cannot_use_is_refused_before_the_start(url):
    with pytest.raises(UsageError, match=r"^--external-url: "):
        settings_of({"external-url": [url]}, {})


@pytest.mark.process
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["run"], 2, "required: NAME\n"),
        (["run", "site", "version"], 2, '"version" is no variable: VAR=value, in quotes where it has blanks'),
        (["run", "site", "a=1", "a=2"], 2, "a= is given twice"),
        (["run", "site", "--json-variables", '{"a": 1}'], 2, "No such file or directory; it names a file"),
        (["--address", "localhost:1", "list"], 2, "--address has its place behind the action"),
        (["token", "--seconds", "0"], 2, "'0' is no whole number above 0"),
        (["list"], 1, "(Connection refused): `paas-runner pipelines serve` starts one"),
        (["list", "--address", "http://localhost:1"], 2, "has no scheme and no path"),
        (["serve", "--runners", "absent.toml"], 78, "absent.toml: cannot be read: No such file or directory"),
    ],
)
def test_what_is_called_wrongly_ends_with_a_code_and_a_line(tmp_path, words, code, said):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PRUNNER_")}
    done = subprocess.run(
        [BIN / "paas-runner", "pipelines", *words],
        cwd=tmp_path,
        env={**kept, "PRUNNER_JWT_SECRET": "a secret of many characters", "PRUNNER_ADDRESS": "127.0.0.1:1"}
        | ({"PRUNNER_ADDRESS": "127.0.0.1:0"} if words[0] == "serve" else {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "listening" not in done.stderr


@pytest.mark.process
def test_check_tells_of_a_misspelt_variable(tmp_path):
    (tmp_path / "pipelines.yml").write_text("pipelines: {a: }\n")
    done = subprocess.run(
        [BIN / "paas-runner", "pipelines", "check", "--json", "--address", "127.0.0.1:0"],
        cwd=tmp_path,
        env={**os.environ, "PRUNNER_WACH": "true"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    first = json.loads(done.stdout)["results"][0]
    assert (done.returncode, first["grade"], first["text"]) == (
        0,
        "warning",
        "$PRUNNER_WACH is no option; did you mean `PRUNNER_WATCH`?",
    )
