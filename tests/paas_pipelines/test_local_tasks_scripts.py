"""A task of this machine: its entries in one session of a shell, its environment, its codes (spec §4)."""

import asyncio
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from paas_pipelines.definitions.automation import ExecutorDefinition
from paas_pipelines.runs.run import NO_EXIT_CODE, TaskEnd
from paas_pipelines.tasks import shell as shells
from paas_pipelines.tasks.shell import Shell

from tests.support.local_tasks import BASH, SH, SHELLS, order, place, ran

each_shell = pytest.mark.parametrize("shell", SHELLS, ids=["bash", "sh"])


@each_shell
async def test_one_session_for_all_entries_and_each_begins_in_the_base_folder(
    tmp_path: Path, shell: Shell
) -> None:
    """P016, P064, P065."""
    script = ("a='x  y'; f() { echo \"f $1\"; }; cd /", 'pwd; echo "$a"; f 1', "cd /tmp; pwd", "pwd")
    ended = await ran(place(tmp_path, shell=shell), order(*script))
    assert ended.lines == [str(tmp_path), "x  y", "f 1", "/tmp", str(tmp_path)]
    assert ended.end == TaskEnd()


@each_shell
@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ("false", 1),
        ("exit 42", 42),
        ("exit 300", 44),
        ("no-such-program", 127),
        ("sh -c 'kill -9 $$'", 137),
        ("sh -c 'kill -TERM $$'", 143),
        ("kill -9 $$", 137),
        ("set -e; (exit 3); echo no", 3),
        ("exec sh -c 'exit 4'", 4),
        ("trap 'exit 5' EXIT; exit 1", 5),
    ],
)
async def test_a_code_that_is_not_zero_ends_the_task_with_it(
    tmp_path: Path, shell: Shell, entry: str, code: int
) -> None:
    """P066."""
    ended = await ran(place(tmp_path, shell=shell), order("echo before", entry, "echo after"))
    assert ended.end == TaskEnd(exit_code=code)
    assert ended.lines == ["before"]


@each_shell
async def test_only_the_last_command_of_an_entry_counts(tmp_path: Path, shell: Shell) -> None:
    ended = await ran(place(tmp_path, shell=shell), order("false; true", "false | true", "echo here"))
    assert ended.end == TaskEnd()
    assert ended.lines == ["here"]


@each_shell
async def test_an_exit_with_zero_ends_its_entry_alone(tmp_path: Path, shell: Shell) -> None:
    ended = await ran(place(tmp_path, shell=shell), order("exit 0", "echo 2; exit", "echo 3"))
    assert ended.end == TaskEnd()
    assert ended.lines == ["2", "3"]


@each_shell
async def test_failures_that_are_allowed_are_noted_and_the_rest_runs(tmp_path: Path, shell: Shell) -> None:
    """P021: also after an `exit`, for which another shell goes on; the last code that is not 0 stays."""
    script = ("echo 1; exit 7", "echo 2; false", "echo 3; (exit 9)", "echo 4", "echo 5")
    ended = await ran(place(tmp_path, shell=shell), order(*script, allow_failure=True))
    assert ended.end == TaskEnd(exit_code=9)
    assert ended.lines == ["1", "2", "3", "4", "5"]
    ended = await ran(place(tmp_path, shell=shell), order("exit 7", "true", allow_failure=True))
    assert ended.end == TaskEnd(exit_code=7)


@each_shell
@pytest.mark.parametrize("entry", ["echo no\nif", "echo 'no", "echo no )", "case x in\n(", "f() {"])
async def test_an_entry_that_does_not_parse_fails_in_any_case_and_those_before_it_have_run(
    tmp_path: Path, shell: Shell, entry: str
) -> None:
    given = order("echo before", entry, "echo after", allow_failure=True)
    ended = await ran(place(tmp_path, shell=shell), given)
    assert ended.lines == ["before"]
    assert ended.end.error.startswith("entry 2 of the script: ")
    assert "yntax error" in ended.end.error or "unexpected" in ended.end.error
    assert "/proc" not in ended.end.error


@each_shell
async def test_an_entry_that_cannot_be_rendered_fails_and_those_before_it_have_run(
    tmp_path: Path, shell: Shell
) -> None:
    """P057, P058."""
    given = order(
        "echo {{ .there }}", "echo {{ .missing }}", "x", variables={"there": "yes"}, allow_failure=True
    )
    ended = await ran(place(tmp_path, shell=shell), given)
    assert ended.lines == ["yes"]
    assert 'map has no entry for key "missing"' in ended.end.error
    assert ended.end.exit_code == NO_EXIT_CODE


@each_shell
@pytest.mark.parametrize(
    "entry",
    [
        "# only a comment",
        "",
        "echo \\",
        "cat <<END\n'\"$((1+1))\nEND",
        "cat <<END\nnever ends",
        "printf '%s' 'it'\\''s'; echo \"a\\\nb\"",
        "true & wait",
        "set -u; IFS=x; set -f",
        "set -C; exec 3>&1; echo 3 >&3",
        "echo() { :; }; cd() { :; }; printf() { :; }",
        "set -x; true",
        "set -v; true",
        "LC_ALL=C; echo ä",
        "set -- 1 2 3; shift",
        "unset PATH; PATH=/nowhere",
    ],
)
async def test_whatever_an_entry_does_with_its_shell_the_next_one_runs(
    tmp_path: Path, shell: Shell, entry: str
) -> None:
    ended = await ran(place(tmp_path, shell=shell), order(entry, "pwd"))
    assert ended.end == TaskEnd(), ended
    assert ended.lines[-1] == str(tmp_path)


async def test_what_a_trace_adds_to_the_report_is_not_taken_for_it(tmp_path: Path) -> None:
    entry = "cat <<X\n0 0\n1 0\n! 2\nX\nfalse"
    ended = await ran(place(tmp_path), order("set -x", entry, "echo no"))
    assert ended.end == TaskEnd(exit_code=1)


@each_shell
async def test_the_values_of_variables_arrive_as_they_are(tmp_path: Path, shell: Shell) -> None:
    """Whatever they are: in quotes of the author's, by a here-document here."""
    value = "'\"`$(touch x)\\ \t{{ .a }} ä€\U0001f600 \x01\x7f%s\n end"
    given = order("cat <<'END'\n{{ .value }}\nEND", variables={"value": value})
    ended = await ran(place(tmp_path, shell=shell), given)
    assert ended.out == f"{value}\n"
    assert not list(tmp_path.iterdir())


@each_shell
async def test_an_entry_may_have_megabytes_and_arguments_show_nothing_of_it(
    tmp_path: Path, shell: Shell
) -> None:
    given = order(
        "wc -c <<'END'\n{{ .value }}\nEND",
        "tr '\\0' ' ' </proc/$$/cmdline",
        variables={"value": "x'" * 400_000},
    )
    ended = await ran(place(tmp_path, shell=shell), given)
    assert ended.lines[0].strip() == "800001"
    assert len(ended.lines[1]) < 100


async def test_a_task_without_a_script_succeeds_at_once(tmp_path: Path) -> None:
    """P017; the engine does not even ask."""
    assert (await ran(place(tmp_path), order())).end == TaskEnd()


async def test_task_over_pipeline_over_process_and_the_name_between(tmp_path: Path) -> None:
    """P022, P023, P062, P063."""
    where = place(
        tmp_path, environment={"A": "process", "B": "process", "C": "process", "TASK_NAME": "process"}
    )
    given = order(
        'echo "$A $B $C $TASK_NAME"',
        pipeline_env={"B": "pipeline", "C": "pipeline", "TASK_NAME": "pipeline"},
        env={"C": "ta sk\n'$X"},
        name="the-task",
    )
    ended = await ran(where, given)
    assert ended.out == "process pipeline ta sk\n'$X the-task\n"
    assert (await ran(where, order("echo $TASK_NAME", env={"TASK_NAME": "mine"}))).lines == ["mine"]


async def test_the_servers_own_secrets_reach_no_task(tmp_path: Path) -> None:
    secrets = {"PRUNNER_JWT_SECRET": "canary-of-the-secret", "NOTIFY_SOCKET": "/canary"}
    where = place(tmp_path, environment={**secrets, "PRUNNER_DATA": "x"})
    ended = await ran(where, order("env; tr '\\0' '\\n' </proc/$PPID/environ", env={"NOTIFY_SOCKET": "mine"}))
    assert "canary" not in ended.out
    assert "PRUNNER_DATA=x" in ended.lines
    assert "NOTIFY_SOCKET=mine" in ended.lines


async def test_its_input_is_empty(tmp_path: Path) -> None:
    """P067."""
    assert (await ran(place(tmp_path), order("cat; read x; echo $?"))).lines == ["1"]


async def test_outputs_are_kept_apart_and_come_as_they_are_written(tmp_path: Path) -> None:
    """P072."""
    pieces: list[tuple[str, bytes]] = []
    stop = asyncio.Event()

    class Output:
        def stdout(self, data: bytes) -> None:
            pieces.append(("out", data))

        def stderr(self, data: bytes) -> None:
            pieces.append(("err", data))
            (tmp_path / "go").touch()

    script = "printf '\\377\\0out'; printf error >&2; until [ -e go ]; do sleep 0.01; done; printf later"
    assert await place(tmp_path).run(order(script), Output(), stop) == TaskEnd()
    by_stream = {name: b"".join(data for other, data in pieces if other == name) for name in ("out", "err")}
    assert by_stream == {"out": b"\xff\0outlater", "err": b"error"}
    assert pieces[-1] == ("out", b"later")


async def test_no_descriptor_of_ours_reaches_a_program(tmp_path: Path) -> None:
    ended = await ran(place(tmp_path), order("ls -l /proc/self/fd | grep -v '/proc/'"))
    assert sorted(line.split()[-3] for line in ended.lines if "->" in line) == ["0", "1", "2"], ended.out


async def test_files_have_the_limit_that_tasks_are_to_have(tmp_path: Path) -> None:
    assert (await ran(place(tmp_path, files=321), order("ulimit -S -n"))).lines == ["321"]


LIMITS = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (300, 2000))
from pathlib import Path
from paas_pipelines.tasks.local import LocalPlace, with_more_files
few = LocalPlace({}, folder=Path("/"), files=with_more_files())
print(few.files, resource.getrlimit(resource.RLIMIT_NOFILE), few.room._value)
"""


def test_the_server_may_open_more_files_than_its_tasks() -> None:
    environment = {**os.environ, "PYTHONPATH": ".:pipelines"}
    said = subprocess.check_output([sys.executable, "-c", LIMITS], env=environment, text=True)
    assert said == "300 (2000, 2000) 174\n"


async def test_an_environment_that_no_program_can_have_fails_the_task(tmp_path: Path) -> None:
    assert (await ran(place(tmp_path), order("true", env={"A": "x\0B=y"}))).end.error
    ended = await ran(place(tmp_path), order("true", env={"A": "x" * 200_000}))
    assert "Argument list too long" in ended.end.error


async def test_a_base_folder_that_is_gone_fails_the_task(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    assert "No such file" in (await ran(place(folder), order("true"))).end.error
    folder.mkdir()
    ended = await ran(place(folder), order("rm -r ../gone", "echo after", allow_failure=True))
    assert "No such file" in ended.end.error
    assert ended.lines == []


async def test_a_task_that_takes_too_long_is_ended_with_words(tmp_path: Path) -> None:
    given = order("trap 'echo bye; exit 3' INT; sleep 60", timeout=timedelta(seconds=3), allow_failure=True)
    ended = await ran(place(tmp_path), given)
    assert ended.end.error == "it took longer than its timeout of 3 s"
    assert ended.lines == ["bye"]
    assert not ended.end.stopped


async def test_more_than_there_is_room_for_wait_and_may_be_stopped_meanwhile(tmp_path: Path) -> None:
    where = place(tmp_path, room=asyncio.Semaphore(1))
    first, second = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        holds = group.create_task(ran(where, order("touch up; sleep 60"), first))
        while not (tmp_path / "up").exists():
            await asyncio.sleep(0.01)
        waits = group.create_task(ran(where, order("touch no"), second))
        third = group.create_task(ran(where, order("echo third")))
        await asyncio.sleep(0)
        second.set()
        assert (await waits).end == TaskEnd(stopped=True)
        assert not third.done()
        first.set()
        assert (await holds).end.stopped
    assert third.result().lines == ["third"]
    assert not (tmp_path / "no").exists()


def test_the_posix_shell_serves_where_there_is_no_bash(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert Path(shells.shell_of_this_machine().program).name == "bash"
    (tmp_path / "sh").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shells.shell_of_this_machine() == Shell(program=str(tmp_path / "sh"), reads=SH.reads)
    assert BASH != SH
    assert os.environ["PATH"] == str(tmp_path)


async def test_a_shell_of_its_own_reads_each_entry_as_a_file(tmp_path):
    """Of the task, or of its executor."""
    script = ("import os; print('it is', 6 * 7, os.environ['A'])", "raise SystemExit(3)", "print('never')")
    done = await ran(place(tmp_path), order(*script, shell=("python3", "-I"), env={"A": "b"}))
    assert (done.lines, done.end.exit_code) == (["it is 42 b"], 3)
    executor = ExecutorDefinition(settings={"shell": ["sh", "-e"]})
    done = await ran(place(tmp_path), order("false; echo no", "pwd", executor=executor, allow_failure=True))
    assert (done.lines, done.end.exit_code) == ([str(tmp_path)], 1)
    done = await ran(place(tmp_path), order("x", shell=("/no/such/program",)))
    assert done.end.error
