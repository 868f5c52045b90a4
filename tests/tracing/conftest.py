"""The real service as its own process, beside a receiver on loopback."""

from tests.service.conftest import real, sandbox_options

__all__ = ["real", "sandbox_options"]
