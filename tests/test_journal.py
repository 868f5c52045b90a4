"""Entries for systemd's journal: its own protocol on a socket that a test holds."""

import array
import json
import logging
import os
import socket
import struct

import pytest
import structlog

from paas_runner import logs
from paas_runner.logs.journal import Journal
from paas_runner.secret import Secret

CANARY = "journal-canary-secret"


def parsed(entry):
    """The fields of an entry, read by what the protocol says."""
    fields = {}
    while entry:
        line, _, entry = entry.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            [length] = struct.unpack("<Q", entry[:8])
            value, end, entry = entry[8 : 8 + length], entry[8 + length : 9 + length], entry[9 + length :]
            assert end == b"\n"
        fields[name.decode()] = value.decode()
    return fields


class Listening:
    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(5)

    def entry(self):
        data, rights, _, _ = self.socket.recvmsg(1 << 20, socket.CMSG_SPACE(4))
        if not rights:
            return parsed(data)
        assert data == b""
        [file] = array.array("i", rights[0][2])
        with os.fdopen(file, "rb") as handed:
            with pytest.raises(PermissionError):
                os.write(file, b"changed")
            handed.seek(0)
            return parsed(handed.read())


@pytest.fixture
def journal(tmp_path):
    listening = Listening(tmp_path / "socket")
    yield listening
    listening.socket.close()


@pytest.fixture
def log(tmp_path, monkeypatch, journal):
    """What logs as under systemd, and the file that stands for the journal's stream."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr(logs, "redactor", logs.Redactor())
    monkeypatch.setattr(logs.chain, "redactor", logs.redactor)
    monkeypatch.setattr(logs.chain, "SOCKET", journal.path)
    with (tmp_path / "stream").open("w+") as stream:
        there = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{there.st_dev}:{there.st_ino}")
        logs.configure(level="info", form=None, stream=stream)
        logs.redactor.add([Secret(CANARY)])
        yield structlog.stdlib.get_logger("test")
        root.handlers[0].close()
        root.handlers[:] = handlers
        root.setLevel(level)


def written(tmp_path):
    return (tmp_path / "stream").read_text()


def test_what_a_line_is_about_is_a_field_of_its_entry(log, journal, tmp_path):
    with structlog.contextvars.bound_contextvars(runner="one", job=7, phase="launching"):
        log.warning("job_launching", host="app_1", seconds=2.5)
    entry = journal.entry()
    line = json.loads(entry.pop("MESSAGE"))
    assert (line["event"], line["seconds"], line["job"]) == ("job_launching", 2.5, 7)
    assert entry == {
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "paas-runner",
        "EVENT": "job_launching",
        "JOB_ID": "7",
        "RUNNER": "one",
        "PHASE": "launching",
        "HOST": "app_1",
    }
    assert written(tmp_path) == ""


def test_no_text_of_anybody_adds_a_field(log, journal):
    log.info("job_launched", host="x\nPRIORITY=0\nEVIL=1", runner=f"with {CANARY}")
    entry = journal.entry()
    assert entry["HOST"] == "x\nPRIORITY=0\nEVIL=1"
    assert entry["PRIORITY"] == "6"
    assert "EVIL" not in entry
    assert CANARY not in str(entry)


def test_a_traceback_is_one_entry(log, journal):
    try:
        int("many")
    except ValueError:
        log.exception("job_error")
    entry = journal.entry()
    assert entry["PRIORITY"] == "3"
    assert "Traceback" in entry["MESSAGE"]


def test_an_entry_that_is_too_large_for_a_datagram_is_handed_over_as_a_sealed_file(log, journal):
    log.info("started", reason="x" * 1_000_000)
    assert len(json.loads(journal.entry()["MESSAGE"])["reason"]) == 1_000_000


def test_where_the_journal_takes_nothing_it_is_a_line_with_its_priority(log, journal, tmp_path):
    journal.socket.close()
    log.warning("careful", job=7)
    assert written(tmp_path).startswith('<4>{"job": 7')


def test_a_journal_that_stands_still_is_not_waited_for(journal):
    sender = Journal(journal.path)
    taken = 0
    while sender.send({"MESSAGE": "x" * 1000}):
        taken += 1
        assert taken < 100_000
    assert taken
    sender.close()
