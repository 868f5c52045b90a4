"""How each command ends in each foreseeable case."""

import pytest

from tests.golden import programs
from tests.golden.programs import called, configuration, ran
from tests.golden.worlds import BOTH_EXECUTORS

ASKING = ["reload", "drain", "drain --json", "pause golden", "resume golden"]
READING = ["status", "status --json", "explain 7", "orphans", "costs", "costs --csv"]
OTHERS = ["list", "list --json", "verify", "unregister --name golden"]
SERVICE = ["heptapod-paas-runner", "paas-runner run"]
MISSING, WRONG, FINE = None, 'concurrent = "many"\n', BOTH_EXECUTORS


def commands(lines):
    """`COMMAND CONFIG ARGUMENTS` of each line."""
    for line in lines:
        command, _, arguments = line.partition(" ")
        yield f"paas-runner {command} CONFIG {arguments}"


TABLE = [
    *((MISSING, 78, line) for line in commands([*ASKING, *READING, *OTHERS])),
    *((WRONG, 78, line) for line in commands([*READING, *OTHERS])),
    *((written, 78, f"{line} CONFIG") for line in SERVICE for written in (MISSING, WRONG)),
    *((written, 1, line) for line in commands(ASKING) for written in (WRONG, FINE)),
    *((FINE, 74, line) for line in commands(READING)),
    (FINE, 0, "paas-runner list CONFIG"),
    (FINE, 0, "paas-runner --version"),
    (FINE, 0, "paas-runner-inner --version"),
    (MISSING, 1, "paas-runner demo --pipeline CONFIG"),
    *(
        (FINE, 2, line)
        for line in (
            "heptapod-paas-runner",
            "heptapod-paas-runner CONFIG --no-such-option",
            "heptapod-paas-runner CONFIG --logging-level loud",
            "heptapod-paas-runner CONFIG --poll-interval much",
            "heptapod-paas-runner-register",
            "heptapod-paas-runner-register CONFIG --non-interactive",
            "paas-runner-inner",
            "paas-runner",
            "paas-runner no-such-command",
            "paas-runner check",
            "paas-runner costs CONFIG --by moon",
            "paas-runner costs CONFIG --json --csv",
            "paas-runner costs CONFIG --since yesterday",
            "paas-runner explain CONFIG",
            "paas-runner explain CONFIG last",
            "paas-runner exec --docker --shell",
            "paas-runner pause CONFIG",
            "paas-runner register CONFIG --non-interactive",
            "paas-runner unregister CONFIG",
            "paas-runner unregister CONFIG --name nobody",
            "paas-runner verify CONFIG --name nobody",
        )
    ),
]
NAMES = {MISSING: "missing", WRONG: "wrong", FINE: "fine"}


@pytest.mark.parametrize(
    ("written", "code", "line"),
    TABLE,
    ids=[f"{NAMES[written]}-{code}-{line}" for written, code, line in TABLE],
)
def test_each_case_has_its_exit_code(tmp_path, monkeypatch, written, code, line):
    for variable in ("STATE_DIRECTORY", "CI_SERVER_URL", "CI_SERVER_TOKEN", "REGISTRATION_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    config = tmp_path / "config.toml"
    if written:
        configuration(tmp_path, written)
    program, *arguments = line.split()
    found, answer, messages = called(program, *(config if each == "CONFIG" else each for each in arguments))
    assert found == code, (answer, messages)
    assert code == 0 or messages
    assert "Traceback" not in messages


def test_check_ends_with_1_where_something_would_not_work(tmp_path):
    config = configuration(tmp_path, BOTH_EXECUTORS)
    config.with_name("paas-runner-state.db").write_text("no database")
    assert ran("paas-runner", "check", config, "--offline")[0] == 1


@pytest.mark.parametrize("name", ["paas-runner-state.json", "paas-runner-state.db"])
def test_the_service_ends_with_74_where_its_records_cannot_be_read(tmp_path, name):
    with programs.silence() as url:
        config = configuration(tmp_path, BOTH_EXECUTORS.replace("http://127.77.0.1:9", url))
        config.with_name(name).write_text("{ half")
        assert ran("heptapod-paas-runner", config)[0] == 74


def test_a_second_service_on_the_same_state_ends_with_75(recorded_store):
    assert recorded_store["second service"] == 75


def test_commands_to_a_running_service_end_with_0(one_job):
    assert one_job["codes"] == {"pause golden": 0, "resume golden": 0, "reload": 0, "drain": 0}
    assert [one_job[f"{name} exit code"] for name in ("status", "orphans", "check")] == [0, 0, 0]


def test_a_drain_that_left_a_host_ends_with_3_and_so_does_the_service(one_job):
    assert one_job["exit codes at the end"] == [3, 3]
