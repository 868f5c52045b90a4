"""The real program: what it takes to start, its log, and its end (P001, P078, P084, P095–P097)."""

import os
import pty
import re
import signal
import subprocess

import pytest

from tests.support.pipelines_server import PROGRAM, environment, start_server, until

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One for all that only ask it something."""
    with start_server(tmp_path_factory.mktemp("server")) as server:
        yield server


def refused(folder, *options, **variables):
    """What it says that does not start."""
    done = subprocess.run(
        [PROGRAM, *options],
        cwd=folder,
        env=environment(folder, **variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr
    return done.stderr


def test_one_process_offers_the_api(server):
    """P001."""
    assert server.ask("/pipelines/").json == {"pipelines": []}
    assert server.ask("/pipelines/", token="wrong").status == 401


def test_each_request_is_a_line_of_the_log_without_its_query(server):
    """P097."""
    server.ask("/job/detail?id=canary-of-a-query&token=canary", token="wrong")
    [line] = until(lambda: [line for line in server.log.splitlines() if "path=/job/detail" in line])
    for fact in ("method=GET", "remote=127.0.0.1:", "user_agent=Python-urllib/", "status=401"):
        assert fact in line
    assert re.search(r" size=\d+ ms=\d+\.\d+$", line)
    assert "canary" not in server.log


def test_a_log_that_is_no_terminal_is_logfmt(server):
    """P096; no token is in it, nor its secret (house rule)."""
    assert re.match(r'timestamp=\S+Z level=info event="a config with a new secret was made"', server.log)
    assert "\x1b[" not in server.log
    assert server.token().split(".")[0] not in server.log
    assert "`paas-pipelines debug`, with the same options, prints a token" in server.log


@pytest.mark.parametrize(("options", "coloured"), [([], True), (["--disable-ansi"], False)])
def test_a_log_on_a_terminal_is_coloured_unless_that_is_disabled(tmp_path, options, coloured):
    """P078, P096."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [PROGRAM, "--address", "127.0.0.1:0", *options],
        cwd=tmp_path,
        env=environment(tmp_path, TERM="xterm"),
        stderr=theirs,
    )
    os.close(theirs)
    said = b""
    while b"listening" not in said:
        said += os.read(ours, 4096)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    os.close(ours)
    assert (b"\x1b[" in said) is coloured
    assert (b"level=info" in said) is not coloured


@pytest.mark.long
@pytest.mark.parametrize("address", ["localhost:0", ":0", "[::1]:0", "0.0.0.0:0", "unix:/{folder}/socket"])
def test_it_listens_wherever_it_is_told_to(tmp_path, address):
    """P084; a socket of the file system is ours."""
    process = subprocess.Popen(
        [PROGRAM, "--address", address.format(folder=tmp_path)],
        cwd=tmp_path,
        env=environment(tmp_path),
        stderr=subprocess.PIPE,
        text=True,
    )
    with process.stderr:
        while "HTTP API listening" not in (line := process.stderr.readline()):
            assert line
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_a_taken_port_is_told_and_leaves_the_other_server_alone(server, tmp_path):
    """P095."""
    said = refused(tmp_path, PRUNNER_ADDRESS=server.url.removeprefix("http://"))
    assert "Address already in use (another program listens there: `ss -ltnp` shows which)" in said
    assert server.ask("/pipelines/").status == 200


def test_broken_definitions_end_the_start_with_1(tmp_path):
    """P014, P095; all other refusals are in `test_server_refusals`."""
    (tmp_path / "pipelines.yml").write_text("pipelines: [\n")
    assert "decoding YAML" in refused(tmp_path)


def test_a_signal_reads_the_definitions_again_and_wrong_ones_change_nothing(tmp_path):
    with start_server(tmp_path, definitions="pipelines: {one: {}}\n") as server:
        (tmp_path / "pipelines.yml").write_text("pipelines: [\n")
        server.signal(signal.SIGUSR1)
        until(lambda: "the old ones stay in force" in server.log)
        assert [each["pipeline"] for each in server.ask("/pipelines/").json["pipelines"]] == ["one"]
        (tmp_path / "pipelines.yml").write_text("pipelines: {two: {}}\n")
        server.signal(signal.SIGUSR1)
        until(lambda: "definitions changed" in server.log)
        assert [each["pipeline"] for each in server.ask("/pipelines/").json["pipelines"]] == ["two"]


def test_definitions_that_want_what_the_settings_have_not_end_the_start_with_1(tmp_path):
    (tmp_path / "pipelines.yml").write_text("pipelines: {one: {tasks: {a: {message: {to: chat}}}}}\n")
    (tmp_path / "settings.toml").touch(mode=0o600)
    said = refused(tmp_path, "--settings", "settings.toml")
    assert 'one": task "a": unknown notifier "chat"\n' in said
    assert "pipelines.yml:1: see settings.toml" in said


@pytest.mark.long
def test_a_secret_among_the_arguments_works_and_is_warned_of(tmp_path):
    """P080."""
    with start_server(tmp_path, "--jwt-secret", "canary of 16 characters") as server:
        assert server.ask("/health", token="").status == 200
    assert "level=warning" in server.log
    assert "canary" not in server.log
    assert not (tmp_path / ".prunner.yml").exists()


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_without_runs_it_ends_at_once_and_well(tmp_path, number):
    """P095, P098, P099."""
    with start_server(tmp_path) as server:
        server.signal(number)
        assert server.wait() == 0
    assert 'event="shutdown complete"' in server.log
