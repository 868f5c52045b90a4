"""`paas-runner pipelines list|run|logs|cancel|token` ask a server over a socket, and say what people need."""

import asyncio
import http.server
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import attrs
import httpx
import jwt
import pytest
from paas_pipelines.cli.asking import Server, UnreachableError
from paas_pipelines.cli.following import looks
from paas_pipelines.definitions.definition import Definition, TaskDefinition
from paas_pipelines.runs.run import TaskEnd
from paas_pipelines.server.settings import Settings
from paas_pipelines.tasks.job_server import registration_token

from paas_runner.cli import main
from tests.support.served_pipelines import SECRET, served, serving

PROGRAM = Path(sys.executable).with_name("paas-runner")
TASKS = {
    "build": TaskDefinition(script=("make",)),
    "deploy": TaskDefinition(script=("cp",), depends_on=("build",)),
}
DEFINITIONS = (
    Definition(name="good", source="fixtures", tasks=TASKS),
    Definition(name="bad", source="fixtures", tasks={"build": TaskDefinition(script=("fail",))}),
    Definition(
        name="slow", source="fixtures", tasks={"wait": TaskDefinition(script=("sleep",))}, queue_limit=0
    ),
    Definition(name="dark", source="fixtures", tasks={"ink": TaskDefinition(script=("paint",))}),
)


class Hands:
    """A server in a thread of its own, whose tasks do at once what their scripts say, but for `sleep`."""

    def __init__(self, folder, runs=(), port=0):
        self.parts = served(folder, *DEFINITIONS, runs=tuple(runs))
        self.loop = asyncio.new_event_loop()
        self.port = port
        self.ready, self.stop = threading.Event(), asyncio.Event()
        self.thread = threading.Thread(target=lambda: self.loop.run_until_complete(self.serve()))

    def end(self):
        if self.thread.is_alive():
            self.loop.call_soon_threadsafe(self.stop.set)
            self.thread.join(60)

    async def serve(self):
        async with serving(self.parts, port=self.port) as running:
            self.port = running.port
            work = asyncio.create_task(self.work())
            self.ready.set()
            await self.stop.wait()
            work.cancel()

    async def work(self):
        while True:
            for activity in list(self.parts.engine.activities()):
                self.act(activity.run.run_id, activity.task, activity.stop)
            await asyncio.sleep(0.02)

    def act(self, run_id, task, stop):
        [script] = task.definition.script
        if script == "sleep" and not stop:
            return
        output = self.parts.logs.output(run_id, task.name)
        output.stdout(b"\x1b[31mred\x1b[0m \x1b[2Jgone" if script == "paint" else f"{script} 1\nend".encode())
        output.stderr(b"a warning\n")
        end = TaskEnd(stopped=stop, exit_code=3 if script == "fail" else 0)
        self.parts.engine.task_ended(run_id, task.name, end)


@contextmanager
def hands(folder, **more):
    server = Hands(folder, **more)
    server.thread.start()
    try:
        assert server.ready.wait(60)
        yield server
    finally:
        server.end()
        server.loop.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with hands(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def variables(server):
    return {"PRUNNER_ADDRESS": f"127.0.0.1:{server.port}", "PRUNNER_JWT_SECRET": SECRET.reveal()}


@pytest.fixture
def call(variables, monkeypatch, capsys, tmp_path):
    """Its exit code, what it prints, and what it says."""
    monkeypatch.chdir(tmp_path)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    def called(*words):
        try:
            code = main(["pipelines", *words])
        except SystemExit as left:
            code = left.code
        said = capsys.readouterr()
        return code, said.out, said.err

    return called


def scheduled(call, *words):
    code, out, err = call("run", *words)
    assert (code, err) == (0, "")
    return out.strip()


def test_a_run_is_started_and_its_id_printed(call):
    run_id = scheduled(call, "good", "what=it", "empty=")
    code, out, _ = call("list", "--json")
    [run] = [run for run in json.loads(out)["jobs"] if run["id"] == run_id]
    assert code == 0
    assert (run["pipeline"], run["variables"]) == ("good", {"what": "it", "empty": ""})


def test_variables_come_from_a_file_or_the_standard_input_and_then_from_words(call, tmp_path, monkeypatch):
    (tmp_path / "v.json").write_text('{"n": 1, "what": {"a": [true]}}')
    run_id = scheduled(call, "good", "what=it", "--json-variables", "v.json", "--user", "me")
    with (tmp_path / "v.json").open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        other = scheduled(call, "good", "--json-variables", "-")
    found = {run["id"]: run for run in json.loads(call("list", "--json")[1])["jobs"]}
    assert (found[run_id]["variables"], found[run_id]["user"]) == ({"n": 1, "what": "it"}, "me")
    assert found[other]["variables"] == {"n": 1, "what": {"a": [True]}}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["novalue"], '"novalue" is no variable: VAR=value'),
        (["=x"], '"=x" is no variable: VAR=value'),
        (["--json-variables", "absent.json"], "absent.json: No such file or directory; it names a file"),
        (["--json-variables", "list.json"], "list.json: an object is expected"),
        (["--json-variables", "bad.json"], "bad.json: not JSON: Expecting value"),
    ],
)
def test_variables_that_are_none_are_wrong_arguments(call, tmp_path, words, told):
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "bad.json").write_text("x")
    code, out, err = call("run", "good", *words)
    assert (code, out) == (2, "")
    assert told in err


def test_a_run_that_is_waited_for_says_what_happens_and_how_it_ended(call):
    code, out, err = call("run", "good", "--wait")
    assert code == 0
    assert "build: done" in out
    assert "deploy: done" in out
    assert out.splitlines()[-1].startswith("done good ")
    assert err.startswith("run ")


def test_a_run_that_fails_is_the_exit_code(call):
    code, out, _ = call("run", "bad", "--wait")
    assert code == 1
    assert "build: error" in out
    assert "exit status 3" in out
    assert out.splitlines()[-1].startswith("failed bad ")


def test_a_run_that_is_followed_says_what_its_tasks_write(call):
    code, out, err = call("run", "good", "--follow")
    assert code == 0
    assert [line for line in out.splitlines() if "|" in line] == [
        *("build | make 1", "build | end"),
        *("deploy | cp 1", "deploy | end"),
    ]
    assert "build | a warning" in err


def test_a_pipeline_that_takes_no_more_runs_is_told(call):
    run_id = scheduled(call, "slow")
    code, out, err = call("run", "slow")
    assert (code, out) == (1, "")
    assert "queueing disabled for pipeline: `paas-runner pipelines list` shows what runs and waits" in err
    code, out, _ = call("list")
    assert "slow      1        -        takes no runs now" in out
    assert call("cancel", run_id[:20])[:2] == (0, f"run {run_id} is canceled\n")


def test_an_unknown_pipeline_is_told(call):
    code, _, err = call("run", "none")
    assert code == 1
    assert 'Error scheduling pipeline: pipeline "none" is not defined' in err


def test_the_list_shows_the_last_runs_of_all(call):
    scheduled(call, "good")
    run_id = scheduled(call, "good")
    call("run", "bad", "--wait")
    code, out, _ = call("list", "--last", "2")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].split() == ["pipeline", "running", "waiting"]
    assert [line.split()[0] for line in lines[1:5]] == ["bad", "dark", "good", "slow"]
    assert lines[6].split() == ["run", "pipeline", "state", "created", "took", "user"]
    assert lines[7].split()[1:3] == ["bad", "failed"]
    assert lines[8].startswith(run_id[:8])
    assert "--last says how many are shown" in lines[-1]


def test_logs_of_all_tasks_have_their_names_before_the_lines(call):
    call("run", "good", "--wait")
    code, out, err = call("logs", "latest")
    assert code == 0
    assert out.splitlines() == ["build | make 1", "build | end", "deploy | cp 1", "deploy | end"]
    assert err.splitlines() == ["build | a warning", "deploy | a warning"]


def test_logs_of_one_task_are_as_it_wrote_them(call):
    run_id = scheduled(call, "good")
    code, out, err = call("logs", "-f", run_id, "deploy")
    assert (code, out, err) == (0, "cp 1\nend\n", "a warning\n")


def test_what_moves_a_terminals_cursor_is_not_printed(call):
    call("run", "dark", "--wait")
    _, out, _ = call("logs", "latest", "ink")
    assert "\x1b" not in out
    assert "red" in out


def test_a_task_that_the_run_does_not_have_is_told(call):
    run_id = scheduled(call, "good")
    code, _, err = call("logs", run_id, "nope")
    assert code == 2
    assert f'run {run_id} has no task "nope", but build, deploy' in err


def test_a_run_may_be_named_by_its_beginning_if_no_other_begins_so(call):
    call("run", "good", "--wait")
    code, _, err = call("logs", "zz")
    assert (code, '"zz": `paas-runner pipelines list` shows them' in err) == (2, True)
    ids = [run["id"] for run in json.loads(call("list", "--json", "--last", "1000")[1])["jobs"]]
    while len({run_id[0] for run_id in ids}) == len(ids):
        ids.append(scheduled(call, "good"))
    twice = next(first for first in "0123456789abcdef" if sum(run_id[0] == first for run_id in ids) > 1)
    code, _, err = call("logs", twice)
    assert code == 2
    assert f'"{twice}" is the beginning of ' in err


def test_what_has_ended_cannot_be_canceled(call):
    call("run", "good", "--wait")
    code, _, err = call("cancel", "latest")
    assert code == 1
    assert "has ended already: done" in err


def test_a_canceled_run_is_a_failure_for_who_waits(call, server, variables, tmp_path):
    process = subprocess.Popen(
        [PROGRAM, "pipelines", "run", "slow", "--wait"],
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    run_id = process.stderr.readline().split()[1]
    assert call("cancel", run_id)[0] == 0
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "wait: canceled" in out
    assert out.splitlines()[-1].startswith("canceled slow ")


def test_a_server_that_is_started_again_meanwhile_is_asked_again(tmp_path):
    settings = Settings(address="", jwt_secret=SECRET)
    pauses, again = [], ExitStack()
    with hands(tmp_path) as first, again:
        settings = attrs.evolve(settings, address=f"127.0.0.1:{first.port}")
        with Server(settings, user="me") as asked:
            run_id = asked.schedule("slow", {}, "")
            seen = looks(asked, run_id, pauses.append)
            assert next(seen)["tasks"][0]["status"] == "running"
            first.end()
            with pytest.raises(UnreachableError):
                asked.run(run_id)

            def starts_again(_seconds):
                pauses.append(_seconds)
                if len(pauses) == 3:
                    runs = first.parts.engine.book.runs()
                    again.enter_context(hands(tmp_path, runs=runs, port=first.port))
                    asked.cancel(run_id)
                if len(pauses) > 3:
                    time.sleep(_seconds)

            *_, last = looks(asked, run_id, starts_again)
    assert last["canceled"]
    assert len(pauses) >= 3


@pytest.mark.process
def test_ctrl_c_leaves_the_run_going(call, variables):
    process = subprocess.Popen(
        [PROGRAM, "pipelines", "run", "slow", "--wait"],
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process.stdout, process.stderr:
        run_id = process.stderr.readline().split()[1]
        assert "wait: running" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        assert process.wait(60) == 130
    assert said == f"the run goes on: `paas-runner pipelines cancel {run_id[:8]}` cancels it\n"
    [run] = [run for run in json.loads(call("list", "--json")[1])["jobs"] if run["id"] == run_id]
    assert (run["canceled"], run["tasks"][0]["status"]) == (False, "running")
    assert call("cancel", run_id)[0] == 0


@pytest.mark.process
def test_on_a_terminal_the_tasks_have_their_places(variables):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [PROGRAM, "pipelines", "run", "good", "--wait"],
        env=os.environ | variables | {"TERM": "xterm", "COLUMNS": "100", "PYTHONIOENCODING": "utf-8"},
        stdout=theirs,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs)
    said = b""
    try:
        while piece := os.read(ours, 4096):
            said += piece
    except OSError:  # its end, on Linux
        pass
    os.close(ours)
    assert process.wait(60) == 0
    assert "✓" in said.decode()
    assert "deploy" in said.decode()
    assert b"\x1b[" in said


def test_a_token_is_for_somebody_and_for_some_time(call, server):
    code, out, _ = call("token", "--for", "editor", "--seconds", "60")
    claims = jwt.decode(out.strip(), options={"verify_signature": False})
    assert code == 0
    assert claims["sub"] == "editor"
    assert claims["exp"] - claims["iat"] == 60
    headers = {"Authorization": f"Bearer {out.strip()}"}
    assert httpx.get(f"http://127.0.0.1:{server.port}/pipelines", headers=headers).status_code == 200


def test_the_token_for_the_registration_of_runners_is_the_servers(call):
    code, out, _ = call("token", "--registration")
    assert code == 0
    assert out.strip() == registration_token(SECRET).reveal()


def test_a_server_that_does_not_answer_is_told(call):
    code, _, err = call("list", "--address", "127.0.0.1:1")
    assert code == 1
    assert "no pipelines server answers on 127.0.0.1:1" in err
    assert "--address or $PRUNNER_ADDRESS says where it is" in err


def test_another_secret_is_told(call, monkeypatch):
    monkeypatch.setenv("PRUNNER_JWT_SECRET", "another-secret-than-that")
    code, _, err = call("list")
    assert code == 78
    assert "'token is unauthorized': its secret is another one" in err


def test_without_any_secret_none_is_made(call, monkeypatch, tmp_path):
    monkeypatch.delenv("PRUNNER_JWT_SECRET")
    code, _, err = call("list")
    assert code == 78
    assert "there is no .prunner.yml with the server's secret" in err
    assert list(tmp_path.iterdir()) == []


def test_the_secret_of_the_servers_own_file_is_taken(call, monkeypatch, tmp_path):
    monkeypatch.delenv("PRUNNER_JWT_SECRET")
    (tmp_path / "mine.yml").write_text(f"jwt_secret: {SECRET.reveal()}\n")
    assert call("list", "--config", "mine.yml")[0] == 0


def test_what_is_no_pipelines_server_is_told(call, monkeypatch):
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Page) as other:
        thread = threading.Thread(target=other.handle_request)
        thread.start()
        code, _, err = call("list", "--address", f"127.0.0.1:{other.server_port}")
        thread.join(60)
    assert code == 1
    assert "answers as no pipelines server does" in err
