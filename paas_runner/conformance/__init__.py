"""A test suite for executors: what the service relies on, whatever the provider is.

Needs pytest and pytest-asyncio. The author of an executor subclasses the suite, in a test module of theirs,
and says what is special about their provider:

    from paas_runner.conformance import ExecutorConformance

    class TestMyExecutor(ExecutorConformance):
        @pytest.fixture
        async def provider(self):
            yield MyProvider(...)  # see `Provider`
"""

import pytest

# Before the imports below, which ruff would have above it: asserts are rewritten when a module is imported.
pytest.register_assert_rewrite("paas_runner.conformance.suite", "paas_runner.conformance.optional_parts")

from paas_runner.conformance.provider import Call, Provider, host_request  # noqa: E402 - as said above
from paas_runner.conformance.suite import ExecutorConformance  # noqa: E402 - as said above

__all__ = ["Call", "ExecutorConformance", "Provider", "host_request"]
