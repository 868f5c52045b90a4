"""A coordinator whose clock the test moves, as the tests of its routes have it."""

from tests.server.conftest import make_world, world

__all__ = ["make_world", "world"]
