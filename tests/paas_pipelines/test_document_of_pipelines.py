"""docs/pipelines.md, typed as it stands there: each block is run, or read by what reads such a file."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from contextlib import contextmanager
from pathlib import Path

import jwt
import pytest
import yaml
from paas_pipelines.definitions.loading import load
from paas_pipelines.template.evaluation import Template
from paas_pipelines.template.strings import TemplateError

from tests.support.pipelines_server import environment, start_server, until
from tests.support.site_program import ROOT

PAGE = (ROOT / "docs" / "pipelines.md").read_text()
_BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^ *```$|((?:^    (?! *```)[^\n]+\n)+)", re.MULTILINE | re.DOTALL)
SECONDS = 60


def blocks():
    """Kind and text of each, in their order; indented ones are typed into a shell."""
    for found in _BLOCK.finditer(PAGE):
        indent = found[1] if found[2] else "    "
        text = re.sub(f"^{indent}", "", found[3] or found[4], flags=re.MULTILINE)
        if found[2] or not text.startswith(("The hosts report", "`systemctl")):
            yield found[2] or "sh", text


(
    (_, INSTALL),
    (_, FIRST),
    (_, SERVE),
    (_, RUN),
    (_, SECTION),
    (_, SERVE_RUNNERS),
    (_, REGISTER),
    (_, SANDBOX),
    (_, SERVE_SANDBOX),
    (_, FAR),
    (_, CURL),
    (_, EMBEDDED),
    (_, UNIT),
) = blocks()


@pytest.fixture
def variables(tmp_path):
    """Of a shell that finds our programs; `python3 -m venv` and pip are stand-ins that need no network."""
    programs = tmp_path / "programs"
    programs.mkdir()
    ours = Path(sys.executable).parent
    script(
        programs / "python3",
        f'[ "$1 $2" = "-m venv" ] || exec {sys.executable} "$@"',
        'mkdir -p "$3/bin" && folder="$(realpath "$3")/bin"',
        f'for name in python paas-pipelines paas-runner; do ln -s {ours}/$name "$folder/$name"; done',
        'printf \'PATH="%s:$PATH"\\n\' "$folder" > "$folder/activate"',
        f'cp {programs}/pip "$folder/pip"',
    )
    script(
        programs / "pip",
        '[ "$1" = install ] && shift',
        'for each; do [ -f "${each%%[[]*}/pyproject.toml" ]; done',
    )
    path = f"{programs}:{ours}:{os.environ['PATH']}"
    return environment(tmp_path, PATH=path)


def script(path, *lines):
    path.write_text("\n".join(["#!/bin/sh", "set -e", *lines, ""]))
    path.chmod(0o755)


@contextmanager
def terminal(block, folder, variables):
    """A block that goes on while others are typed; yields what it has said. Ctrl-C ends it well."""
    output = folder / "terminal.out"
    with output.open("wb") as said:
        process = subprocess.Popen(
            ["sh", "-ec", block.replace("\npaas-pipelines", "\nexec paas-pipelines")],
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )

    def said():
        assert process.poll() is None, output.read_text()
        return output.read_text()

    try:
        yield said
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == 0, output.read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(SECONDS)


def typed(block, folder, variables, code=0):
    done = subprocess.run(
        ["sh", "-ec", block],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def address_of(server):
    return server.url.removeprefix("http://")


@pytest.mark.long
@pytest.mark.process
def test_from_nothing_to_the_first_run(tmp_path, variables, unused_address):
    checkout = tmp_path / "checkout"
    for name in (".", "pipelines"):
        (checkout / name).mkdir()
        shutil.copy(ROOT / name / "pyproject.toml", checkout / name)
    typed(INSTALL, checkout, variables)
    first = tmp_path / "first"
    (first / "pipelines.yml").write_text(FIRST)
    variables["PRUNNER_ADDRESS"] = unused_address
    activated = ". ../pipelines-env/bin/activate\n"
    with terminal(activated + SERVE, first, variables) as said:
        assert until(lambda: "HTTP API listening" in said())
        assert "faults: 0, warnings: 0" in said()
        told = typed(RUN, first, variables)
    assert "making pages of version 1.0" in told
    assert re.search(r"^[0-9a-f]{8} +site +done ", told, re.MULTILINE)
    *_, published, token = told.splitlines()
    assert published == "published"
    secret = yaml.safe_load((first / ".prunner.yml").read_text())["jwt_secret"]
    jwt.decode(token, secret, algorithms=["HS256"])
    assert (first / ".prunner").is_dir()


@pytest.fixture
def unused_address():
    import socket

    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{tried.getsockname()[1]}"


@pytest.mark.long
@pytest.mark.process
def test_a_shell_and_an_application_schedule_runs(tmp_path, variables):
    with start_server(tmp_path, definitions=FIRST) as server:
        variables["PRUNNER_ADDRESS"] = address_of(server)
        told = typed(CURL.replace("http://localhost:9009", server.url), tmp_path, variables)
        listed, scheduled = map(json.loads, told.splitlines())
        assert listed == {"pipelines": [{"pipeline": "site", "schedulable": True, "running": False}]}
        secret = yaml.safe_load((tmp_path / ".prunner.yml").read_text())["jwt_secret"]
        application = {}
        exec(EMBEDDED.replace("http://localhost:9009", server.url), application)
        run_id = application["schedule"](secret, "ada", "site", version="2")
        assert server.ended(scheduled["jobId"])["variables"] == {"version": "1.1"}
        assert (server.ended(run_id)["user"], server.output(run_id, "publish")) == ("ada", "published\n")


@pytest.mark.process
def test_the_section_of_a_runner_can_be_served(tmp_path, variables, unused_address):
    (tmp_path / "config.toml").write_text(SECTION)
    (tmp_path / "config.toml").chmod(0o600)
    assert tomllib.loads(SECTION)["runners"][0]["url"] == "local:"
    check, _, serve = SERVE_RUNNERS.rstrip().rpartition("\n")
    variables |= {"CLEVER_TOKEN": "a-token-of-clever-cloud", "PRUNNER_ADDRESS": unused_address}
    assert "✓ runners      config.toml can be served" in typed(check, tmp_path, variables)
    assert serve.split()[1:] == check.split()[3:]  # what is served is what was checked


@pytest.mark.long
@pytest.mark.process
def test_tasks_run_on_hosts_of_the_sandbox_by_either_kind_of_runner(tmp_path, variables, unused_address):
    """In the process of the server, and registered with it."""
    (tmp_path / "pipelines.yml").write_text(FAR)
    variables["PRUNNER_ADDRESS"] = unused_address
    here = f"http://{unused_address}"
    cloud = SANDBOX.replace("python", f"exec {sys.executable}")
    output = tmp_path / "sandbox.out"
    with terminal(cloud, tmp_path, variables):
        until(lambda: output.exists() and "Ready" in output.read_text())
        printed = dict(re.findall(r"^(?:export )?([A-Z_]+)=(\S*)$", output.read_text(), re.MULTILINE))
        serving = SERVE_SANDBOX.replace("http://localhost:9009", here)
        server = tmp_path / "server"
        server.mkdir()
        (server / "pipelines.yml").write_text(FAR)
        (server / "sandbox.toml").write_text((tmp_path / "sandbox.toml").read_text())
        (server / "template.toml").write_text(f'[[runners]]\ncc_api_url = "{printed["CLOUD"]}"\n')
        with terminal(serving, server, variables) as said:
            assert until(lambda: "HTTP API listening" in said())
            run = "paas-runner pipelines run far who=you --follow"
            assert "built for you by build" in typed(run, server, variables)
            variables |= {name: printed[name] for name in ("CC_ORGA_ID", "CC_TOKEN")}
            variables["TEMPLATE_CONFIG_FILE"] = "template.toml"
            register, _, serve_own = REGISTER.rstrip().rpartition("\n")
            typed(register.replace("http://localhost:9009", here), server, variables)
            assert serve_own == "paas-runner run own/config.toml"
            section = tomllib.loads((server / "own" / "config.toml").read_text())["runners"][0]
            assert (section["name"], section["url"]) == ("own", here)
            assert "the coordinator knows it" in typed(
                "paas-runner verify own/config.toml", server, variables
            )


def test_the_unit_finds_what_the_document_installs(tmp_path, variables):
    """In a folder instead of the machine's root, where nobody is made a user of."""
    root, checkout = tmp_path / "root", tmp_path / "checkout"
    for name in ("opt", "usr/bin", "etc/systemd/system", "srv"):
        (root / name).mkdir(parents=True)
    for name in (".", "pipelines"):
        (checkout / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name / "pyproject.toml", checkout / name)
    shutil.copytree(ROOT / "systemd", checkout / "systemd")
    for name in ("useradd", "systemctl"):
        script(tmp_path / "programs" / name, f'echo "$@" >> {tmp_path}/{name}')
    typed(
        re.sub(r"(?<= )/(?=opt|usr/bin|etc|srv)|^/(?=opt)", f"{root}/", UNIT, flags=re.MULTILINE),
        checkout,
        variables,
    )
    unit = (root / "etc/systemd/system/paas-pipelines.service").read_text()
    settings = dict(re.findall(r"^(\w+)=(.*)$", unit, re.MULTILINE))
    assert os.access(f"{root}{settings['ExecStart']}", os.X_OK)
    assert Path(f"{root}{settings['WorkingDirectory']}").is_dir()
    assert (tmp_path / "useradd").read_text().split()[-1] == settings["User"]
    assert (tmp_path / "systemctl").read_text() == "daemon-reload\nenable --now paas-pipelines\n"
    told = re.search(r"`--config (/\S+)`", PAGE)[1]
    assert f"PRUNNER_CONFIG={told}" in unit


def test_definitions_of_the_document_are_right(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("first.yml").write_text(FIRST)
    Path("far.yml").write_text(FAR)
    assert set(load(".", "*.yml")) == {"site", "far"}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ .n }}", "3"),
        ("{{ .large }}", "1e+06"),
        ("{{ eq .n 3.0 }}", "true"),
        ('{{ printf "%.0f" .n }}', "3"),
        ('{{ default "x" .empty }}', "x"),
        ('{{ default "x" (index . "name") }}', "x"),
        ("{{ eq .n 3 }}", None),
        ("{{ .name }}", None),
        ("{{ html .n }}", None),
        ('{{ define "x" }}{{ end }}', None),
    ],
)
def test_what_it_says_of_templates(template, text):
    values = {"n": 3, "large": 1000000, "empty": ""}
    if text is None:
        with pytest.raises(TemplateError):
            Template.parse(template).render(values)
    else:
        assert Template.parse(template).render(values) == text


def test_every_key_and_option_is_there():
    from paas_pipelines.cli.options import OPTIONS
    from paas_pipelines.definitions import pipeline_keys, task_keys

    for key in {*pipeline_keys.OLD_KEYS, *task_keys.OLD_KEYS}:
        assert f"`{key}`" in PAGE
    for option in OPTIONS:
        if option.variable.startswith("PAAS_"):
            assert f"`--{option.name}`" in PAGE


def test_events_of_the_log_are_those_of_the_code():
    _, _, table = PAGE.partition("| Event | Level | What to do |\n|---|---|---|\n")
    rows = re.findall(r"^\| (.*?) \| (\w+) \|", table.partition("\n\n")[0], re.MULTILINE)
    sources = "".join(path.read_text() for path in (ROOT / "pipelines" / "paas_pipelines").rglob("*.py"))
    calls = {"error": "error|exception|tell", "warning": "warning"}
    assert len(rows) == 7
    for events, level in rows:
        for event in re.findall("`([^`]+)`", events):
            call = re.search(rf"\b({calls[level]})\(\s*\"{re.escape(event)}\"", sources)
            assert call, event
