"""Signals to the real program while it is still being loaded: none kills it, and a stop is an orderly one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from paas_runner.service.first_signals import SIGNALS, is_service
from tests.support.often import often

PROGRAMS = Path(sys.executable).parent
CONFIG = """
[[runners]]
  name = "alone"
  url = "http://127.0.0.1:9"
  token = "abcdefghijk"
  executor = "clever-docker"
  cc_api_url = "http://127.0.0.1:9"
  cc_orga_id = "orga_1"
  cc_token = "canary"
"""
SECONDS = 60


class Program:
    """The service in front of a coordinator that nobody serves, from its first instruction on."""

    def __init__(self, folder, text=CONFIG):
        config = folder / "config.toml"
        config.touch(mode=0o600)
        config.write_text(text)
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [PROGRAMS / "heptapod-paas-runner", config], stdout=log, stderr=log, start_new_session=True
            )
        self._until(lambda: self.held or self.ended)

    @property
    def held(self):
        """Whether the signals wait by now; a blocked one has its bit in the kernel's mask."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        mask = int(status.partition("SigBlk:")[2].split()[0], 16)
        return all(mask >> (number - 1) & 1 for number in SIGNALS)

    @property
    def ended(self):
        return self.process.poll() is not None

    def started(self):
        self._until(lambda: "started" in self.log.read_text() or self.ended)
        return not self.ended

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self):
        return self.process.wait(SECONDS)

    def _until(self, condition):
        end = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.001)


@pytest.fixture
def begin(tmp_path):
    begun = []

    def start(**options):
        begun.append(Program(tmp_path, **options))
        return begun[-1]

    yield start
    for each in begun:
        each.process.kill()
        each.process.wait()


FEW, MANY = (0.0, 0.2), tuple(2 * number / often(40) for number in range(1, often(40)))
DELAYS = [*FEW, *(pytest.param(seconds, marks=(pytest.mark.long, pytest.mark.soak)) for seconds in MANY)]


@pytest.mark.process
@pytest.mark.parametrize("seconds", DELAYS)
def test_what_asks_for_something_kills_no_service_that_is_just_starting(begin, seconds):
    program = begin()
    time.sleep(seconds)
    for number in (signal.SIGHUP, signal.SIGUSR1):
        program.signal(number)
    assert program.started()
    program.signal(signal.SIGTERM)
    assert program.wait() == 0
    assert "Traceback" not in program.log.read_text()


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
@pytest.mark.parametrize("seconds", DELAYS)
def test_what_ends_the_service_ends_one_that_is_just_starting_in_an_orderly_way(begin, number, seconds):
    program = begin()
    time.sleep(seconds)
    program.signal(number)
    if number is signal.SIGQUIT:  # too early to be a drain, maybe
        program.started()
        program.signal(signal.SIGTERM)
    assert program.wait() in {0, 3} if number is signal.SIGQUIT else program.wait() == 0
    assert "Traceback" not in program.log.read_text()


@pytest.mark.process
def test_a_wrong_configuration_is_told_whatever_signal_waits(begin):
    program = begin(text="concurrent = 0")
    program.signal(signal.SIGHUP)
    assert program.wait() == 78
    assert "config.toml:1: concurrent" in program.log.read_text()


@pytest.mark.parametrize(
    ("line", "service"),
    [
        ("/usr/bin/heptapod-paas-runner C", True),
        ("heptapod-paas-runner", True),
        ("paas-runner run C", True),
        ("paas-runner status C", False),
        ("paas-runner", False),
        ("/usr/bin/pytest run", False),
        ("", False),
    ],
)
def test_only_the_service_lets_signals_wait(line, service):
    assert is_service(line.split()) is service
    assert not SIGNALS & signal.pthread_sigmask(signal.SIG_BLOCK, ()), os.getpid()
