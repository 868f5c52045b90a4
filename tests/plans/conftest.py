"""What all tests of plans share."""

import logging

import pytest


@pytest.fixture(autouse=True)
def log_of_plans() -> None:
    """It has a level of its own: other tests set up a service, and with it the level of all logs."""
    logging.getLogger("paas_plans").setLevel(logging.INFO)
