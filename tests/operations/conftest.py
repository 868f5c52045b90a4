"""Stories in the virtual world with an operator in it."""

import functools

import pytest

from tests.support.operated_world import OperatedWorld


@pytest.fixture
def operate(tmp_path):
    """Run a story in a world of its own."""
    return functools.partial(OperatedWorld.play, tmp_path)
