"""What all tests share: a quiet log that shows up where a test fails."""

import sys

from paas_runner.lean_imports import import_structlog_without_rich

if "structlog" not in sys.modules:
    import_structlog_without_rich()  # as in our programs

import gc
import logging
import os
import signal
import time

import hypothesis  # early: CPython 3.11 trips over its late import at the end of a run
import pytest
import structlog

from tests.support.often import often

pytest_plugins = [
    "tests.support.engine.plugin",
    "tests.support.engine.certificates",
    "tests.support.postgres.plugin",
]

# A shell that starts us in the background has it ignored, and so would every program that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# With it a program that a test starts may be aborted before it begins, once another test has used gRPC.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

# How fast an example is tried says more about the machine than about what is tested. People try others each
# time; where a change is judged it is by the same ones.
hypothesis.settings.register_profile(
    "untimed",
    deadline=None,
    max_examples=often(100),
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    derandomize=os.environ.get("CI") == "true",
)
hypothesis.settings.load_profile("untimed")


@pytest.hookimpl(wrapper=True)
def pytest_collection(session):
    """What is collected stays to the end: no search for garbage goes through it, while it grows or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(10_000)
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Where half an hour is all there is, no long test begins after LONG_TESTS_UNTIL, a Unix time."""
    until = os.environ.get("LONG_TESTS_UNTIL")
    if until and time.time() > float(until) and item.get_closest_marker("long"):
        pytest.skip("no time is left for it on so slow a machine")


@pytest.fixture(autouse=True)
def quiet_log():
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO), cache_logger_on_first_use=False
    )
    yield
    structlog.reset_defaults()
