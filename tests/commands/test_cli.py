"""Commands, their help, and how they end."""

import importlib
import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import paas_runner
from paas_runner import cli
from paas_runner.commands.command import OutputError, exit_code_of
from paas_runner.config.complaints import Complaint, ConfigError
from paas_runner.config.packaged import WrongUserError
from paas_runner.control import ControlError, NotRunningError
from paas_runner.errors import Exit, Rejected, RunnerError, Transient, UsageError
from paas_runner.kubernetes.entry import KubeconfigError
from paas_runner.logs.syslog import RemoteLogError
from paas_runner.migration.kept import NotKeptError
from paas_runner.migration.migration import InUseError
from paas_runner.proxies import ProxyError
from paas_runner.service.assembly import StartError
from paas_runner.store import NoStoreError, StaleLeaseError, StoreError, StoreUnreachableError
from paas_runner.store.database import StoreInUseError
from paas_runner.store.left_behind import LeftBehindError
from paas_runner.store.opening import MissingLibraryError, MissingStorePackagesError
from paas_runner.store.state_file import StateFileError
from paas_runner.web.listening import ListenError

MALFORMED = sorted((Path(__file__).parents[1] / "config" / "malformed").glob("*.toml"))
BIN = Path(sys.executable).parent


def run(*command, seconds=100, **more):
    return subprocess.run(
        [BIN / command[0], *command[1:]], capture_output=True, text=True, timeout=seconds, check=False, **more
    )


def test_there_are_enough_malformed_configurations():
    assert len(MALFORMED) >= 20


@pytest.mark.parametrize("path", MALFORMED, ids=lambda path: path.stem)
def test_a_malformed_configuration_ends_with_78_and_every_complaint(path, capsys, monkeypatch):
    monkeypatch.setenv("EMPTY", "")
    assert cli.service([str(path)]) == Exit.CONFIG == 78
    told = capsys.readouterr()
    assert told.out == ""
    assert "Traceback" not in told.err
    expected = [
        line[10:] for line in path.read_text(errors="replace").splitlines() if line[:9] == "# expect:"
    ]
    assert expected
    assert told.err.splitlines() == [f"{path.parent}/{line}" for line in expected]


@pytest.mark.parametrize("command", [["heptapod-paas-runner"], ["paas-runner", "run"]])
def test_both_names_of_the_service_refuse_a_wrong_configuration(command):
    told = run(*command, str(MALFORMED[0]))
    assert told.returncode == 78
    assert MALFORMED[0].name in told.stderr


@pytest.mark.parametrize("arguments", [[], ["--no-such-option", "x"], ["x", "-l", "loud"]])
def test_wrong_arguments_end_with_2(arguments, capsys):
    try:
        code = cli.service(arguments)
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert "heptapod-paas-runner" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        ["heptapod-paas-runner"],
        ["paas-runner", "run"],
        ["paas-runner", "check"],
        ["paas-runner", "orphans"],
        ["paas-runner", "costs"],
        ["paas-runner", "demo"],
    ],
)
def test_help_names_signals_and_exit_codes(command):
    told = run(*command, "--help").stdout
    assert "exit codes" in told.lower()


HELPED = """
import sys
before = set(sys.modules)
from paas_runner import cli
for arguments in [[], *([command.name] for command in cli.COMMANDS)]:
    try:
        cli.main([*arguments, "--help"])
    except SystemExit as ended:
        assert ended.code == 0
print("modules:", *(set(sys.modules) - before))
"""


def test_help_imports_nothing_that_takes_time():
    answer = subprocess.run([sys.executable, "-c", HELPED], capture_output=True, text=True, check=True).stdout
    modules = answer.splitlines()[-1].split()[1:]
    packages = {name.partition(".")[0] for name in modules}
    ours = [name for name in modules if name.startswith(("paas_runner", "register", "executors"))]
    assert packages - set(sys.stdlib_module_names) <= {
        "attr",
        "attrs",
        "paas_pipelines",
        "paas_workflows",
        "paas_runner",
        "register",
    }
    assert not packages & {"asyncio", "executors", "sqlite3", "ssl", "subprocess"}
    assert len(ours) < 32, ours


def errors(kind=RunnerError):
    """All types of our errors in the modules that are imported."""
    return {kind}.union(*map(errors, kind.__subclasses__()))


CODES = {
    UsageError: 2,
    StoreError: 74,
    StateFileError: 74,
    OutputError: 74,
    StoreInUseError: 75,
    ConfigError: 78,
    StartError: 78,
    WrongUserError: 78,
    ProxyError: 78,
    KubeconfigError: 78,
    InUseError: 75,
    ListenError: 78,
    NotKeptError: 74,
    RemoteLogError: 78,
    StoreUnreachableError: 74,
    NoStoreError: 74,
    StaleLeaseError: 74,
    MissingStorePackagesError: 78,
    MissingLibraryError: 78,
    LeftBehindError: 78,
}


def test_each_type_of_error_has_one_exit_code():
    for module in pkgutil.walk_packages(paas_runner.__path__, "paas_runner."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    ours = {kind for kind in errors() if kind.__module__.startswith("paas_runner.")}
    assert {kind: int(kind.exit_code) for kind in ours if kind.exit_code is not Exit.FAILED} == CODES
    assert {ControlError, NotRunningError, Transient, Rejected} <= ours


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (RunnerError("there is no host"), 1, "paas-runner x: there is no host\n"),
        (UsageError("which?"), 2, "paas-runner x: which?\n"),
        (StoreInUseError("process 3 has it"), 75, "paas-runner x: process 3 has it\n"),
        (
            ConfigError([Complaint(path=Path("a.toml"), line=line, found="odd") for line in (3, 2)]),
            78,
            "a.toml:2: odd\na.toml:3: odd\n",
        ),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_an_error_ends_a_program_with_its_message_and_its_code(capsys, error, code, message):
    def call():
        raise error

    assert exit_code_of("paas-runner x", call) == code
    assert capsys.readouterr() == ("", message)


def test_what_nobody_foresaw_keeps_its_traceback():
    def call():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        exit_code_of("paas-runner x", call)


def test_a_reader_who_has_seen_enough_ends_a_command_without_a_word(tmp_path):
    config = tmp_path / "config.toml"
    config.touch(mode=0o600)
    config.write_text('concurrent = "many"')
    reading, writing = os.pipe()
    os.close(reading)
    command = [BIN / "paas-runner", "check", config, "--json"]
    ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (1, b"")


def test_help_needs_neither_git_nor_executors():
    told = run("heptapod-paas-runner", "--help", env={**os.environ, "PATH": "/nonexistent"})
    assert told.returncode == 0
    assert "CONFIG" in told.stdout


@pytest.mark.process
def test_the_demo_keeps_the_promise_and_says_so_in_json():
    told = run("paas-runner", "demo", "--json")
    assert told.returncode == 0, told.stderr
    document = json.loads(told.stdout)
    assert document["verdict"] == "kept"
    assert document["hosts"]["left"] == 0
    assert len(document["jobs"]) >= 5
    assert any("SIGTERM" in line for line in document["course"])
    logs = {job["name"]: job["log"] for job in document["jobs"]}
    assert "Job succeeded" in logs["compile"]
    assert "the tests ended with success" in logs["unit tests"]
    assert "exit code 3" in logs["broken"]
    assert 'The flavor "9XL" does not exist' in logs["unknown flavor"]


@pytest.mark.process
@pytest.mark.long
def test_the_demo_runs_a_pipeline_of_the_users_own_and_names_what_it_does_not_understand(tmp_path):
    (tmp_path / "ci.yml").write_text(
        "lint:\n  script: [echo clean]\n  coverage: /x/\n  image: debian\n"
        "test:\n  needs: [lint]\n  script: [exit 7]\n  retry: 1\n"
    )
    told = run("paas-runner", "demo", "--pipeline", str(tmp_path / "ci.yml"))
    assert told.returncode == 0, told.stdout + told.stderr
    assert "warning: line 3: job `lint`, `coverage`" in told.stdout
    assert "warning: `image` and `services` have no effect here" in told.stdout
    assert "clean" in told.stdout
    assert told.stdout.count("ERROR: Job failed: exit code 7") == 2
    assert "\x1b" not in told.stdout


@pytest.mark.parametrize(
    ("content", "words"),
    [("a: b: c", "line 1"), ("just text", ""), ("job: {script: {a: b}}", "script")],
)
def test_a_pipeline_that_cannot_be_run_is_refused_with_its_line(tmp_path, content, words):
    path = tmp_path / "ci.yml"
    path.write_text(content)
    told = run("paas-runner", "demo", "--pipeline", str(path))
    assert told.returncode == 1
    assert f"paas-runner demo: {path}: " in told.stderr
    assert words in told.stderr
    assert "Traceback" not in told.stderr


def test_a_pipeline_that_is_not_there_is_a_clear_error(tmp_path):
    told = run("paas-runner", "demo", "--pipeline", str(tmp_path / "none.yml"))
    assert told.returncode == 1
    assert told.stderr == f"paas-runner demo: {tmp_path}/none.yml: No such file or directory\n"


SANDBOX = ("python", "-m", "paas_runner.sandbox")


@pytest.mark.parametrize("command", [("paas-runner", "demo"), SANDBOX])
def test_what_the_sandbox_needs_and_is_not_there_is_named(tmp_path, command):
    told = run(*command, env={**os.environ, "PATH": "/nonexistent"})
    assert told.returncode == 1
    assert "the program `git` was not found on PATH: install it" in told.stderr
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['starlette'] = None")
    told = run(*command, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert told.returncode == 1
    assert "needs more packages (starlette" in told.stderr
    assert "in a checkout of PaaS Runner, pip install '.[demo]'" in told.stderr
    assert "Traceback" not in told.stderr
