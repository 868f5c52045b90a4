"""Stories of a service that somebody is told of."""

from functools import partial

import pytest

from tests.support.notified_world import NotifiedWorld


@pytest.fixture
def notified(tmp_path):
    return partial(NotifiedWorld.play, tmp_path)
