"""Real services as the tests of the service have them."""

from tests.service.conftest import real, sandbox_options

__all__ = ["real", "sandbox_options"]
