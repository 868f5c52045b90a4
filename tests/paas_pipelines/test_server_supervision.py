"""What the server tells its service manager, what it tells of a disk that fails, and its unit and image."""

import signal
from pathlib import Path

import pytest

from tests.support.pipelines_server import start_server, until
from tests.support.systemd_listener import Listener

pytestmark = [pytest.mark.process, pytest.mark.long]

DEFINITIONS = "pipelines: {one: {tasks: {a: {script: [echo 1]}}}}\n"


@pytest.fixture
def systemd(tmp_path):
    listener = Listener(f"@paas-pipelines-{tmp_path.name}-{id(tmp_path)}")
    yield listener
    listener.close()


def test_the_service_manager_hears_of_start_life_reload_and_end(tmp_path, systemd):
    def told(name, value="1"):
        return [message for message in systemd.told if message.get(name) == value]

    with start_server(
        tmp_path, definitions=DEFINITIONS, NOTIFY_SOCKET=systemd.address, WATCHDOG_USEC="300000"
    ) as server:
        until(lambda: told("READY"))
        assert told("READY")[0]["STATUS"] == "1 pipelines, 0 running, 0 waiting"
        until(lambda: len(told("WATCHDOG")) > 2)
        job = server.schedule("one")
        server.ended(job)
        server.signal(signal.SIGUSR1)
        until(lambda: told("RELOADING") and len(told("READY")) == 2)
        server.signal(signal.SIGINT)
        assert server.wait() == 0
        until(lambda: told("STOPPING"))


def test_a_store_that_cannot_be_written_is_told_and_the_server_goes_on(tmp_path):
    with start_server(tmp_path, definitions=DEFINITIONS) as server:
        server.ended(server.schedule("one"))
        for file in (tmp_path / ".prunner").glob("pipelines.db*"):
            if not file.name.endswith(".lock"):
                file.unlink()
        refused = server.ask("/pipelines/schedule", {"pipeline": "one"})
        assert refused.status == 503
        assert "was removed or replaced" in server.log
        assert server.ask("/health").status == 200
        server.signal(signal.SIGTERM)
        until(lambda: "received SIGTERM" in server.log)
        server.signal(signal.SIGTERM)
        assert server.wait() == 1


def test_the_image_ends_gracefully_and_keeps_its_state_in_a_volume():
    """P105, P106."""
    text = (Path(__file__).parents[2] / "pipelines" / "Dockerfile").read_text()
    assert "\nSTOPSIGNAL SIGINT\n" in text
    assert "\nVOLUME /data\n" in text
    for setting in ("PRUNNER_DATA=/data", "PRUNNER_CONFIG=/data/prunner.yml", "PRUNNER_ADDRESS=:9009"):
        assert setting in text
