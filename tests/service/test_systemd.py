"""The protocol of sd_notify(3), over real datagram sockets."""

import asyncio
import os
import socket
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from paas_runner.service.systemd import ServiceManager


@pytest.mark.parametrize("kind", ["listener", "abstract_listener"])
def test_each_state_is_one_message(request, kind):
    listener = request.getfixturevalue(kind)
    manager = ServiceManager(address=listener.address)
    manager.ready("2 runners, no jobs")
    manager.status("2 runners, 1 job")
    manager.alive()
    manager.stopping("coming to rest")
    assert listener.heard() == [
        {"READY": "1", "STATUS": "2 runners, no jobs"},
        {"STATUS": "2 runners, 1 job"},
        {"WATCHDOG": "1"},
        {"STOPPING": "1", "STATUS": "coming to rest"},
    ]


def test_a_reload_begins_with_the_monotonic_time_and_ends_with_ready_even_when_it_is_refused(listener):
    manager = ServiceManager(address=listener.address)
    before = time.monotonic_ns() // 1000
    with pytest.raises(ValueError, match="wrong"), manager.reloading():
        raise ValueError("wrong")
    [reloading, ready] = listener.heard()
    assert reloading["RELOADING"] == "1"
    assert before <= int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    assert ready == {"READY": "1"}


def test_a_status_is_one_line_whatever_is_in_it(listener):
    ServiceManager(address=listener.address).status("two\nWATCHDOG=trigger\r\n lines")
    assert listener.heard() == [{"STATUS": "two WATCHDOG=trigger lines"}]


async def test_a_manager_that_reads_nothing_blocks_nobody_and_later_hears_the_last_of_each_kind(tmp_path):
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as theirs:
        theirs.bind(address)
        theirs.setblocking(False)
        manager = ServiceManager(address=address)
        room = int(Path("/proc/sys/net/unix/max_dgram_qlen").read_text()) + 1
        begun = time.process_time()
        for number in range(room + 100):
            manager.status(f"{number} jobs")
            manager.alive()
        assert time.process_time() - begun < 0.5
        heard = []
        async with asyncio.timeout(60):
            while heard[-2:] != [{f"STATUS={room + 99} jobs"}, {"WATCHDOG=1"}]:
                with suppress(BlockingIOError):
                    heard.append(set(theirs.recv(4096).decode().split("\n")))
                await asyncio.sleep(0.01)
    assert len(heard) == room + 2


def test_the_variables_are_taken_out_of_the_environment():
    environ = {
        "NOTIFY_SOCKET": "/run/x",
        "WATCHDOG_USEC": "3000000",
        "WATCHDOG_PID": str(os.getpid()),
        "A": "b",
    }
    manager = ServiceManager.of(environ)
    assert manager == ServiceManager(address="/run/x", watchdog=timedelta(seconds=3))
    assert environ == {"A": "b"}


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"NOTIFY_SOCKET": "/run/x"},
        {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"},
        {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "soon"},
        {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "3000000"},
    ],
)
def test_a_watchdog_that_is_not_ours_is_not_fed(environ):
    assert ServiceManager.of(environ).watchdog is None


def test_without_a_service_manager_nothing_is_told_and_nothing_fails():
    ServiceManager().ready("nobody is there")


@pytest.mark.parametrize("address", ["/nowhere/at/all", "/" + "x" * 200, "vsock:2:1234"])
def test_a_service_manager_that_cannot_be_told_is_warned_about_and_nothing_else(address):
    with capture_logs() as logs:
        ServiceManager(address=address).ready("up")
    [warning] = logs
    assert warning["event"] == "service_manager_unreachable"
    assert warning["told"] == "READY=1"
