"""The log beside standard error: what a receiver of syslog gets, over TCP and TLS, and over an outage."""

import io
import json
import logging
import os
import socket
import ssl
import time

import pytest
import structlog

from paas_runner import logs
from paas_runner.logs import syslog
from paas_runner.logs.syslog import LogReceiver, RemoteLog, RemoteLogError
from paas_runner.secret import Secret
from tests.support.syslog_server import SyslogServer, parsed

CANARY = "syslog-canary-secret"


@pytest.fixture
def server():
    server = SyslogServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def sending(monkeypatch):
    """What logs to a receiver, and what standard error has of it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr(logs, "redactor", logs.Redactor())
    monkeypatch.setattr(logs.chain, "redactor", logs.redactor)
    monkeypatch.setattr(syslog, "FIRST_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(syslog, "LONGEST_PAUSE_SECONDS", 0.1)
    opened, errors = [], io.StringIO()

    def to(port, **options):
        receiver = LogReceiver(**{"host": "127.0.0.1", "port": port, "tls": False} | options)
        handler = RemoteLog(receiver, facility=16, app_name="paas-runner")
        opened.append(handler)
        logs.configure(level="info", form="json", stream=errors, beside=handler)
        logs.redactor.add([Secret(CANARY)])
        log = structlog.stdlib.get_logger("test")
        return log, handler

    to.errors = lambda: [json.loads(line) for line in errors.getvalue().splitlines()]
    yield to
    root.handlers[:] = handlers
    root.setLevel(level)
    for handler in opened:
        handler.close()


def test_a_machine_without_more_threads_loses_no_line_and_tells_no_secret(
    server, sending, monkeypatch, capfd
):
    log, handler = sending(server.port)

    def start(_thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as exhausted:
        exhausted.setattr(syslog.threading.Thread, "start", start)
        log.warning("job_failed", reason=CANARY)
    log.warning("job_gone")
    handler.close()
    server.until(lambda: len(server.lines) == 2)
    assert [line.text["event"] for line in server.lines] == ["job_failed", "job_gone"]
    assert CANARY not in capfd.readouterr().err


def test_a_line_has_its_job_as_structured_data_and_all_its_facts_as_json(server, sending):
    log, handler = sending(server.port)
    with structlog.contextvars.bound_contextvars(runner='a "b" \\ [c]', job=7, phase="launching"):
        log.warning("job_launching", host="app_1", seconds=2.5)
    handler.close()
    server.until(lambda: server.lines)
    [line] = server.lines
    assert (line.facility, line.severity) == (16, 4)
    assert (line.host, line.app, line.process) == (socket.gethostname(), "paas-runner", str(os.getpid()))
    assert line.id == "job_launching"
    assert line.at == line.text["timestamp"]
    assert line.data["paas-runner@32473"] == {
        "job": "7",
        "runner": 'a "b" \\ [c]',
        "phase": "launching",
        "host": "app_1",
    }
    assert line.data["meta"] == {"sequenceId": "1"}
    assert line.data["origin"]["software"] == "paas-runner"
    assert (line.text["event"], line.text["seconds"], line.text["job"]) == ("job_launching", 2.5, 7)


def test_secrets_are_taken_out_as_on_standard_error_and_texts_are_bounded(server, sending):
    log, handler = sending(server.port)
    log.info("started", reason=f"with {CANARY} in it", more="é" * 100_000, host=f"x{CANARY}")
    logging.getLogger("somebody.else").warning("a line\nof theirs with %s", CANARY)
    handler.close()
    server.until(lambda: len(server.lines) == 2)
    assert CANARY not in str(server.lines)
    assert len(server.lines[0].text["more"]) == syslog.MOST_CHARACTERS + 1
    assert server.lines[1].id == "-"


def test_standard_error_has_the_same_lines(server, sending):
    log, handler = sending(server.port)
    log.info("started", jobs=3)
    handler.close()
    server.until(lambda: server.lines)
    assert server.lines[0].text == sending.errors()[0]


def test_an_outage_is_said_once_with_what_was_dropped_and_lines_come_in_order(server, sending, monkeypatch):
    monkeypatch.setattr(syslog, "MOST_WAITING", 20)
    log, handler = sending(server.port)
    log.info("before")
    server.until(lambda: server.lines)
    server.stop()
    for number in range(50):
        log.info(f"during_{number}")
    waited = time.monotonic() + 10
    while not any(line["event"] == "remote_log_interrupted" for line in sending.errors()):
        assert time.monotonic() < waited
        time.sleep(0.005)
    server.start()
    server.until(lambda: "remote_log_resumed" in server.ids())
    log.info("after")
    handler.close()
    server.until(lambda: "after" in server.ids())
    ids = server.ids()
    assert ids.count("remote_log_interrupted") <= 1
    during = [int(name.removeprefix("during_")) for name in ids if name.startswith("during_")]
    assert during == sorted(set(during))
    events = [line["event"] for line in sending.errors() if line["event"].startswith("remote_log")]
    assert events == ["remote_log_interrupted", "remote_log_resumed"]
    [said] = [line for line in server.lines if line.id == "remote_log_resumed"]
    numbers = [int(line.data["meta"]["sequenceId"]) for line in server.lines]
    assert numbers == sorted(numbers)
    assert said.text["dropped"] >= 50 - 20
    assert numbers[-1] - len(numbers) >= said.text["dropped"]


def test_a_receiver_that_takes_nothing_holds_up_nobody(sending, monkeypatch):
    monkeypatch.setattr(syslog, "MOST_WAITING", 500)
    monkeypatch.setattr(syslog, "CALL_SECONDS", 0.2)
    monkeypatch.setattr(syslog, "CLOSE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        log, handler = sending(mute.getsockname()[1])
        began = time.monotonic()
        for _ in range(2000):
            log.info("x", reason="y" * 5000)
        handler.close()
        assert time.monotonic() - began < 20
        assert len(sending.errors()) >= 2000


def test_large_lines_take_no_more_memory_than_is_allowed(server, sending, monkeypatch):
    monkeypatch.setattr(syslog, "MOST_BYTES", 50_000)
    server.stop()
    log, handler = sending(server.port)
    for _ in range(100):
        log.info("x", reason="y" * 5000)
    assert sum(map(len, handler._waiting)) < 60_000
    assert handler._dropped >= 85
    server.start()


def test_nobody_is_waited_for_at_the_end_of_an_outage(server, sending):
    server.stop()
    log, handler = sending(server.port)
    log.info("x")
    began = time.monotonic()
    logging.shutdown([lambda: handler])
    logging.shutdown([lambda: handler])
    assert time.monotonic() - began < syslog.CLOSE_SECONDS + 10
    [said] = [line for line in sending.errors() if line["event"] == "remote_log_lost"]
    assert said["lines"] in (1, 2), "the line, and maybe that of the outage"
    server.start()


def test_over_tls_only_with_a_receiver_that_is_who_it_says_and_with_our_certificate(certificates, sending):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates / "ca.pem")
    context.load_cert_chain(certificates / "server-cert.pem", certificates / "server-key.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    server = SyslogServer(context)
    server.start()
    ours = {"cert_file": certificates / "cert.pem", "key_file": certificates / "key.pem"}
    log, handler = sending(server.port, tls=True, ca_file=certificates / "ca.pem", **ours)
    log.info("started", jobs=1)
    handler.close()
    server.until(lambda: server.ids() == ["started"])

    log, handler = sending(server.port, tls=True)
    log.info("secret_of_nobody")
    waited = time.monotonic() + 10
    while not any(line["event"] == "remote_log_interrupted" for line in sending.errors()):
        assert time.monotonic() < waited
        time.sleep(0.005)
    handler.close()
    assert server.ids() == ["started"]
    [said] = [line for line in sending.errors() if line["event"] == "remote_log_interrupted"]
    assert "certificate" in said["reason"]
    server.stop()


def test_certificates_that_are_none_are_refused_in_words(tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate")
    receiver = LogReceiver(host="x", port=1, tls=True, ca_file=tmp_path / "ca.pem")
    with pytest.raises(RemoteLogError, match=r"`\[log_remote\]`: its tls-… files cannot be used") as caught:
        RemoteLog(receiver, facility=3, app_name="x")
    assert caught.value.exit_code == 78


def test_a_line_is_one_datagram_where_there_is_neither_tls_nor_tcp(sending):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10)
        log, handler = sending(receiver.getsockname()[1], udp=True)
        log.info("service_started", note=CANARY)
        log.info("service_started", **{f"key_{number}": "x" * 8000 for number in range(9)})
        handler.close()
        first, second = receiver.recv(65535), receiver.recv(65535)
    line = parsed(first)
    assert (line.id, line.text["event"], line.severity) == ("service_started", "service_started", 6)
    assert CANARY not in first.decode()
    assert len(second) == syslog.MOST_DATAGRAM_BYTES


def test_nobody_at_the_other_end_of_datagrams_is_nobodys_trouble(sending):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    log, handler = sending(port, udp=True)
    for _ in range(5):
        log.info("service_started")
        time.sleep(0.02)
    handler.close()
    assert {each["event"] for each in sending.errors()} == {"service_started"}
