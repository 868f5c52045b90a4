"""Real services as the tests of the service have them."""

from tests.service.conftest import play, real, sandbox_options

__all__ = ["play", "real", "sandbox_options"]
