import os

import pytest

from tests.support.systemd_listener import Listener


@pytest.fixture
def listener(tmp_path):
    listener = Listener(str(tmp_path / "notify"))
    yield listener
    listener.close()


@pytest.fixture
def abstract_listener(tmp_path):
    listener = Listener(f"@paas-runner-test-{os.getpid()}-{tmp_path.name}")
    yield listener
    listener.close()
