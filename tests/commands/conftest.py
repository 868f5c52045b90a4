"""Real services as the tests of the service have them, and a usual terminal."""

import pytest

from tests.service.conftest import play, real, sandbox_options

__all__ = ["play", "real", "sandbox_options"]


@pytest.fixture(autouse=True)
def a_usual_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)
