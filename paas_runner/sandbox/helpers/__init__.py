"""Hosts of the simulated cloud that take one job after the other, as the helper service does."""

from paas_runner.sandbox.helpers.book import HelperBook, HelperLife, Turn
from paas_runner.sandbox.helpers.manners import HONEST, Cleaning, Manners
from paas_runner.sandbox.helpers.played import HelperPlay

__all__ = ["HONEST", "Cleaning", "HelperBook", "HelperLife", "HelperPlay", "Manners", "Turn"]
