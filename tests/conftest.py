"""What all tests share: a quiet log that shows up where a test fails."""

import logging
import os
import signal

import hypothesis  # early: CPython 3.11 trips over its late import at the end of a run
import pytest
import structlog

pytest_plugins = [
    "tests.support.engine.plugin",
    "tests.support.engine.certificates",
    "tests.support.postgres.plugin",
]

# A shell that starts us in the background has it ignored, and so would every program that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How fast an example is tried says more about the machine than about what is tested. People try others each
# time; where a change is judged it is by the same ones.
hypothesis.settings.register_profile(
    "untimed",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    derandomize=os.environ.get("CI") == "true",
)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def quiet_log():
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO), cache_logger_on_first_use=False
    )
    yield
    structlog.reset_defaults()
