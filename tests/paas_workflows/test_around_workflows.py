"""What an execution is given from around it: files, variables, those who are told, the log."""

import json
import logging
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import structlog
from paas_workflows.environment import environment
from paas_workflows.logging import LogSettings
from paas_workflows.notifying import opened
from paas_workflows.reading import ReadingError, read
from structlog.testing import capture_logs

from paas_runner.errors import UsageError
from tests.support.logged_events import events_in


@contextmanager
def server(statuses):
    """On loopback; answers each path with its statuses, one after the other, and keeps what it is sent."""
    bodies = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self._answer(b"name: n\n")

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            bodies.append((self.path, self.headers["Content-Type"], json.loads(body)))
            self._answer(b"")

        def _answer(self, body):
            left = statuses.get(self.path, [404])
            self.send_response(left.pop(0) if left[1:] else left[0])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        threading.Thread(target=serving.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}", bodies
        serving.shutdown()


async def test_files_are_read_from_paths_and_addresses(tmp_path):
    """K006, K040, K055, K075."""
    path = tmp_path / "file.yaml"
    path.write_bytes(b"x")
    assert await read(str(path)) == b"x"
    with pytest.raises(ReadingError, match="cannot be read: No such file"):
        await read(str(tmp_path / "none"))
    with server({"/file?token=canary": [503, 200]}) as (base, _):
        assert await read(f"{base}/file?token=canary") == b"name: n\n"
        with pytest.raises(ReadingError, match="/other: cannot be read: the server answers 404") as caught:
            await read(f"{base}/other?token=canary")
    assert "canary" not in str(caught.value)


def values(found, env=None):
    return {name: value.reveal() for name, value in found.of(env or {}).items()}


def test_a_later_source_wins():
    """K054, K055, K056, K057, K082."""
    everywhere = dict.fromkeys("ABCDE", "imported") | {"SECRET_1": "x", "SECRET_2": "x", "HOME": "x"}
    found = environment(
        variables=["D=--env", "D=last --env", "N="],
        files=[("one", b"B=one\nC=one\nD=one\nE=one"), ("two", b"C=two\nE=two")],
        imported=everywhere,
        ignored=["SECRET_*, HOME", "NOTHING"],
    )
    assert values(found, {"D": "action", "E": "action"}) == {
        "A": "imported",
        "B": "one",
        "C": "two",
        "D": "last --env",
        "E": "action",
        "N": "",
    }


def test_dotenv_files_are_read_line_by_line():
    """K055."""
    text = (
        b"# a comment\n\nA=1\nexport B = two words # comment\nC='raw # $x'\n"
        b'D="dou\\"ble\\nx" # comment\nE=\nF=a#b\nG=#c\n'
    )
    found = environment(variables=[], files=[("f", text)], imported=None, ignored=[])
    assert values(found) == {
        "A": "1",
        "B": "two words",
        "C": "raw # $x",
        "D": 'dou"ble\nx',
        "E": "",
        "F": "a#b",
        "G": "",
    }


@pytest.mark.parametrize("line", [b"canary", b"A='canary", b'A="canary', b"=canary", b"A='canary' b"])
def test_a_line_that_is_none_is_told_by_its_place_alone(line):
    with pytest.raises(UsageError, match=r"^f:2: NAME=value was expected$"):
        environment(variables=[], files=[("f", b"X=1\n" + line)], imported=None, ignored=[])


@pytest.mark.parametrize("text", ["canary", "=canary", "A B=canary"])
def test_a_variable_without_a_name_is_refused_without_its_value(text):
    with pytest.raises(UsageError, match=r"^--env wants NAME=value$"):
        environment(variables=[text], files=[], imported=None, ignored=[])


JOB = {"name": "ä", "status": "running"}


async def test_all_who_want_to_know_are_told_and_who_fails_is_named(capsys):
    """K068, K070, K071, K085."""
    with server({"/good?key=x": [204], "/bad": [400], "/shy": [500, 500, 200]}) as (base, bodies):
        targets = ["console", f"{base}/good?key=x", f"{base}/bad", f"{base}/shy"]
        with capture_logs() as logged:
            async with opened(targets) as notifier:
                told = await notifier.notify(JOB)
    assert (told.status, told.message) == ("failure", "receiver of notifications 127.0.0.1 answers 400")
    assert [event["reason"] for event in events_in(logged, "notification_failed")] == [told.message]
    assert {path: (kind, body) for path, kind, body in bodies} == dict.fromkeys(
        ("/good?key=x", "/bad", "/shy"), ("application/json", JOB)
    )
    assert json.loads(capsys.readouterr().err) == JOB


async def test_nobody_is_told_where_nobody_wants_to_know():
    async with opened([]) as notifier:
        assert (await notifier.notify(JOB)).status == ""
    async with opened(["console"]) as notifier:
        assert (await notifier.notify(JOB)).status == "success"


@pytest.mark.parametrize("target", ["mail", "ftp://x/y", "http://"])
async def test_a_receiver_that_is_none_is_refused(target):
    with pytest.raises(UsageError, match="--notifier wants"):
        async with opened([target]):
            pass


@pytest.fixture
def log():
    before = logging.getLogger().handlers[:], logging.getLogger().level
    yield structlog.stdlib.get_logger("test")
    logging.getLogger().handlers[:], logging.getLogger().level = before[0], before[1]


def test_the_log_is_logfmt_or_json_and_syslog_beside_it(log, capsys):
    """K062, K063, K064, K065, K066, K067."""
    with LogSettings().configured():
        log.info("step_began", step="one")
    assert "event=step_began step=one" in capsys.readouterr().err
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        address = f"127.0.0.1:{receiver.getsockname()[1]}"
        settings = LogSettings(formatter="json", remote_logger="syslog", remote_addr=address)
        with settings.configured():
            log.info("step_began", step="one")
            log.info("step_began", step="long" * 50_000)
        sent = receiver.recv(65535)
        assert len(receiver.recv(65535)) < 9000
    assert json.loads(capsys.readouterr().err.splitlines()[0])["event"] == "step_began"
    assert sent.startswith(b"<14>")
    assert b'"step_began"' in sent
    assert settings.for_context() == {
        "format": "json",
        "level": "info",
        "remote": "syslog",
        "addr": address,
    }


@pytest.mark.parametrize(("logger", "address"), [("", "x:1"), ("syslog", "localhost:many")])
def test_an_address_of_the_log_that_is_none_is_refused(logger, address):
    with (
        pytest.raises(UsageError, match="--remote-logger-addr"),
        LogSettings(remote_logger=logger, remote_addr=address).configured(),
    ):
        pass
