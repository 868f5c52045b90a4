"""A test suite for executors: what the service relies on, whoever the provider is.

Needs pytest and pytest-asyncio. Whoever writes an executor subclasses the suite, in a test module of theirs,
and says what is special about their provider:

    from paas_runner.conformance import ExecutorConformance

    class TestMyExecutor(ExecutorConformance):
        @pytest.fixture
        async def provider(self):
            yield MyProvider(...)  # see `Provider`
"""

import pytest

pytest.register_assert_rewrite("paas_runner.conformance.suite")

from paas_runner.conformance.provider import Call, Provider, order  # noqa: E402
from paas_runner.conformance.suite import ExecutorConformance  # noqa: E402

__all__ = ["Call", "ExecutorConformance", "Provider", "order"]
